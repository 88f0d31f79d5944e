"""Normalizers: from attention scores to weights over keys, as pure functions in one table.

Each of them masks *after* its transform, with a boolean ``where``.  A masked key gets exactly zero
and no gradient.  A row that may see no key is all zeros.  Some formulas also read from ``where``
how many keys a row may see.

How data passes through it: ``normalize(name, scores, where, params)`` (``weights``) picks a row of
``NORMALIZERS`` (``table``) by its name or a specification (``specification``), and applies its
formula (``formulas``, ``entmax``).  A model stores what a row learns without constraints;
``Normalizer.constrain`` (``definition``) gives the effective values.  Open ``table`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
