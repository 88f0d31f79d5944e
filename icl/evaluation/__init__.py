"""Testing predictors on prompts that they may not have been trained for.

A predictor is a trained model (``predictors.py``) or one of the task's baselines.  ``evaluate``
gives the prompts of every setting to every predictor and lets the task score them.
``write_report`` writes what came out: tables as CSV, and the figure that fits the sweep
(``figures.py``).  ``effective_bound`` explains a row of errors by one number.

Open ``comparison.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
