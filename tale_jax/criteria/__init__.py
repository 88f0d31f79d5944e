"""Criteria, which pick the layer to drop next: the task's accuracy, or that of another method.

How data passes through it: a row of `CRITERIA` names a function.  The function looks at a `Basis`
(the model, its scores on the task, text to read).  It returns either a function that gives each
model a loss, or an order of all layers.  `propose_by` turns this into a function that tells a
search which layer to try next.  `RankingOptions` is the group of flags.

Open `table.py` first, then `measures.py`.  A criterion of one's own is a function like those in
`measures.py`, and a row in the table or ``--criterion module:function``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
