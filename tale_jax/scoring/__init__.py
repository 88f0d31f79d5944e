"""Candidates × examples → correct counts: the fast part of a search, and how a model is asked.

How data passes through it: `Scorer` turns the examples of a task into rows, by the protocol that
`PROTOCOLS` lists, and the rows into batches on the device. To count or race candidates it gives its
`Runner` one candidate and one batch at a time. The runner takes up the states that another
candidate left (`States`), runs the layers that differ through the compiled `Programs`, and the
protocol makes answers of what comes back. `layer_states`, `last_states` and `without_layers` serve
the analyses.

Open `scorer.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
