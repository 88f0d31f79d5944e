"""Small transformers that learn functions in context, trained from scratch.

A task draws prompts ``(x₁, f(x₁), x₂, f(x₂), …)`` (``tasks``); a transformer is trained to predict
each value from the points before it (``training``) and is tested on prompts of other kinds
(``evaluation``, ``analysis``), beside baselines and language models (``language``).  ``papers`` and
``scripts/`` reproduce published tables.  Each command of ``commands`` is a function of Python too.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
