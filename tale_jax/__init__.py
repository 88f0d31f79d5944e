"""Task-aware elimination of whole layers of pretrained language models (TALE).

How data passes through it: a command in `commands` opens a model and a task (`opening`, `tasks`,
`models`). `elimination` searches which layers can go, and asks `scoring` how many examples a
candidate answers. What was found stands in a run directory (`runs`), which `formats` exports and
`analysis` and `finetuning` read.

`search`, `evaluate` and `export` are those commands as functions. Open `commands/search.py` first.
"""

import importlib.metadata

import lazy_loader

__version__ = importlib.metadata.version("tale-jax")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
