"""Classes of functions that a model may learn in context: drawn by a key, evaluated at points."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
