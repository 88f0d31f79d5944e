"""The run directory of a search, its verdicts and its report; nothing here needs JAX.

How data passes through it: a command opens a `Run`, whose journal keeps every candidate, answer and
loss as soon as it is computed. After the search `finish` writes the files that people and other
commands read, and the report. `load_run` reads them back.

Open `directory.py` first, then `finished.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
