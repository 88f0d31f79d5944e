"""Which part of attention reaches the output, and whether attention explains decisions.

The mathematics: ``efficient_attention`` and ``effective_attention`` decompose attention matrices
(``efficient.py``; ``solver/`` finds the distribution of least norm).

How data passes through the study: ``explain_classifier`` (``pipeline.py``, open it first) loads a
classifier and a task.  ``measurements.py`` measures each ``Decision``: it decomposes, replaces and
compares the attention, and ranks and deletes the tokens.  ``report.py`` makes tables, figures and a
page of the records.

These tables have a row for each name: ``DECOMPOSITIONS`` of attention, ``INTERVENTIONS`` that
replace it, ``DISTANCES`` and ``PROPERTIES`` that compare it, and ``RANKINGS`` of tokens.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
