"""In-context tasks: what a prompt shows, what it asks, and how an answer is scored.

A task is a frozen dataclass, a subclass of ``Task``, and a row of ``TASKS`` says by which name it
is chosen.  Training calls ``sample``, a pure function of a key and a step.  A test calls
``settings`` for what a sweep asks for, ``draw`` for the prompts of a setting, ``score`` for the
numbers of a predictor, and ``listings`` for their table.  A language model is given ``as_text``,
and ``read`` understands its answer.  No other room knows which tasks there are.

Open ``kind.py`` first.  ``functions`` and ``quantifiers`` are the two kinds of tasks; a new kind
is a class and a row in ``table.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
