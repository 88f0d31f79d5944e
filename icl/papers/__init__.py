"""What reproduces the papers' tables: published numbers, and what their scripts have in common.

``published.py`` has the table and the evaluation set of arXiv 2411.11465, and puts our rows beside
the published ones.  ``normalizer_tests.py`` compares normalizers as arXiv 2508.14685 does.  A
script of ``scripts/`` plans experiments, trains what is missing (``reproduction.py``), tests it,
and writes tables.

Open ``reproduction.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
