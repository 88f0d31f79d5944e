"""Solvers of efficient attention: the distribution of least norm, and one of least support.

How data passes through it: ``min_norm`` (``smallest_norm.py``, open it first) solves all rows of
several heads at once: by a projection, by a Newton method (``newton.py``), along a path
(``path.py``), and the last few rows with SciPy (``active_set.py``).  ``reduced``
(``min_support.py``) goes on from there to a vertex.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
