"""Normalizers: from attention scores to weights over keys, as pure functions in one table.

Every one masks *after* its transform with a boolean ``where``: a masked key gets exactly zero, no
gradient flows through it, and a row with nothing to attend to is all zeros.  ``where`` also says
how many keys a row has, for those that depend on their number.

``normalize(name, scores, where, params)`` picks a row of ``NORMALIZERS`` (``table``), by its name
or a specification (``specification``), and applies its formula (``formulas``, ``entmax``).  A model
stores what a row learns unconstrained, and ``Normalizer.constrain`` gives the effective values
(``row``).  Start with ``table``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
