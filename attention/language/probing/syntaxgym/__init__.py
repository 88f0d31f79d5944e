"""SyntaxGym: suites that predict which regions of sentences are more surprising than others.

How data passes through it: ``read_suites`` reads the items of each suite and its formulas, which
``read_prediction`` turns into trees.  ``measure_suites`` computes the surprisal of every region,
and the share of items in which a prediction holds.  Open ``suites.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
