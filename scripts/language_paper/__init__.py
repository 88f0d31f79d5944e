"""Parts of ``reproduce_language.py``: the units of work, and the table of what they found."""
