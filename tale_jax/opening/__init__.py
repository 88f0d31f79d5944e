"""Opens what a command works on, from names: a model, a task, and a scorer of both.

How data passes through it: `open_subject` takes what a command was given, the names of a model and
a task or the directory of a finished search, and opens it. `open_scorer` asks a model the questions
of a task. `reopen_model` and `reopen_scorer` do the same for a search that was read by `load_run`.

Open `named.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
