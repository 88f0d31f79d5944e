"""Dot-product attention with any normalizer and grouped key/value heads.

How data passes through it: ``dot_product_attention`` (``implementations``) takes queries, keys and
values, puts what queries may see into a ``Visibility`` (``masks``), and hands all of it to a row of
``IMPLEMENTATIONS``: the ``reference``, which holds every weight, or one that does not (``blocks``,
``chunked``, ``flash``).

``prefix`` is for rows that begin with the same text, ``derivatives`` has gradients in the forms
that a CPU is fast at, and ``benchmark`` times all implementations.  Open ``reference`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
