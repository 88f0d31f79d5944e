"""Dot-product attention with any normalizer and with grouped key/value heads.

How data passes through it: ``dot_product_attention`` (``implementations``) takes queries, keys and
values.  It puts all that restricts what a query sees into a ``Visibility`` (``masks``), and hands
the call to a row of ``IMPLEMENTATIONS``.  One of them, the ``reference``, holds every weight.  The
others (``blocks``, ``chunked``, ``flash``) get their arrays as ``operands``.

``prefix`` is for rows that begin with the same text.  ``derivatives`` has gradients that a CPU
computes fast.  ``benchmark`` times all implementations.  Open ``reference`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
