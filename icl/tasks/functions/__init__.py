"""Functions to be learned in context: classes of functions, the task, and its baselines.

A class of functions (``linear.py``, ``nonlinear.py``, ``series.py``) draws the coefficients of one
function and evaluates it; batches come from ``vmap``.  The number of dimensions and the degree may
change during training: what lies beyond is multiplied by zero, so that shapes, and with them the
compiled program, stay the same.  ``FunctionTask`` makes prompts of a class, and
``estimators.py`` holds the baselines that its prompts are also given to.

Open ``values.py`` first; a new class of functions is a dataclass and a row in ``table.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
