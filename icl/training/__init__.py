"""Training small transformers on in-context tasks, and loading them again.

An ``Experiment`` says in words what is trained: its preset names a task and an architecture.
``train`` draws the prompts of every step on the device, minimizes the task's loss, and keeps
checkpoints and metrics in a run directory; ``load`` gives back a ``Trained`` model, of a run or of
``zoo:NAME``, a model that comes along (``zoo.py``).

Open ``experiment.py`` first, then ``fitting.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
