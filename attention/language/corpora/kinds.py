"""How text is cut, in words; nothing here needs NumPy."""

from __future__ import annotations

from typing import Literal

By = Literal["book", "document"]
"""What one document is: a text between empty lines, or a whole file or line of JSON."""
Unit = Literal["document", "sentence"]
"""What is told apart in token files."""
TokenType = Literal["auto", "uint16", "uint32"]
"""The type of a token id on disk."""
Layout = Literal["packed", "stream", "sentence"]
"""How rows are cut: ``packed``, all tokens one behind another, where a token sees its own document
alone; ``stream``, the same where it sees all that stands before it in the row; ``sentence``, one
sentence a row."""
