"""The search for layers that a task does not need; no JAX.

How data passes through it: `eliminate` asks a function ``score(candidates)``, round after round,
how many answers of each candidate are correct, and returns a `Result`.  A candidate is a model
without some layers, written as the tuple of these layers.  `SearchOptions` says what may be
dropped and when the search stops; it is also a group of flags.  A row of `STRATEGIES` says how
rounds follow one another.  Where examples are expensive, `race` asks them in parts and rejects a
candidate as soon as it cannot win.  `NullControl` repeats a search on shuffled answers, to see what
selection alone gains.

Open `loop.py` first, then `strategies.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
