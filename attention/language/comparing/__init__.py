"""Which scoring function learns language better: runs of several seeds, compared in pairs.

How data passes through it: ``read_arms`` reads the runs and puts those of one normalizer into an
arm.  ``compare_arms`` pairs each arm with the reference by seed, and gives every measure a
difference, its intervals and a verdict.  ``compare_runs`` does both, and writes tables, figures and
a page.  Open ``margins.py`` first: what counts as equal is fixed there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
