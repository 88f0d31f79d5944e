"""What of attention reaches the output, and whether attention explains a classifier's decisions.

The mathematics: ``efficient_attention`` and ``effective_attention`` decompose attention matrices
(``efficient.py``; ``solver/`` finds the distribution of least norm).

The study: ``explain_classifier`` (``pipeline.py``, open it first) loads a classifier and a task.
Each ``Decision`` is measured (``measurements.py``): its attention is decomposed, replaced and
compared, its tokens are ranked and deleted.  The records become tables, figures and a page
(``report.py``).

What can be chosen or is shown by name is a row of a table: ``DECOMPOSITIONS`` of attention,
``INTERVENTIONS`` that replace it, ``DISTANCES`` and ``PROPERTIES`` that compare it, and
``RANKINGS`` of tokens.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
