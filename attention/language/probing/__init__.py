"""What a language model knows of grammar: minimal pairs, surprisal by region, probes of its layers.

How data passes through it: ``probe_model`` opens a model and asks it each task of the table
``PROBES``.  A set of minimal pairs is read by its row of ``PAIR_SETS``, and its sentences are
scored by a row of ``RULES``.  A suite of SyntaxGym is read with its formulas, which compare the
surprisals of regions.  The words of a treebank give labels, which are read off the states of each
layer.  The same tasks are asked of the n-gram models beside it, the floors.

Open ``tasks.py`` first: what can be asked is one row of its table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
