"""Tests of predictors, also on prompts that differ from those of their training.

A predictor is a trained model (``trained_models.py``) or one of the task's baselines.  ``evaluate``
gives the prompts of every setting to every predictor and lets the task score them.
``write_report`` writes the scores as CSV, and the figure that fits the sweep (``figures.py``).
``effective_bound`` sums up the errors of a model by one number.

Open ``comparison.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
