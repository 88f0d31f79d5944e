"""Families of Hugging Face models: each ``model_type`` is one row, with all that is known of it.

A row (``Family``, in ``definition``) says which attributes of ``config.json`` are which fields of
``TransformerConfig``, what all models of the family have, what their tensors are called with each
head, and how GGUF stores them.  The rows stand in one module for models that are alike
(``llama_like``, ``gpt2``, ``encoders``), and ``table`` lists them.

A new family is a row in one of these modules, or in a new one, and its line in ``table``.  Start
with ``definition``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
