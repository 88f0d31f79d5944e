"""Trained models beyond their training: boundary values, roots, collapse of attention.

``survey`` (``saturation.py``) follows a model along slopes and far inputs.  ``approximate``
(``roots.py``) asks it for a root of the function that a prompt shows.  ``collapse.py`` looks at how
much attention one deviant draws to itself.  ``nearest_strategies`` (``strategies.py``) says which
known predictor answers most like a model.  Each takes
a trained model, or its answers, and returns numbers.

Open ``saturation.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
