"""Training: one loop for every loss, on one device or many.  It can be killed and resumed.

How data passes through it: ``fit`` (``loop``) takes a loss, parameters, an optimizer and one batch
for each step.  It places them on the mesh (``feeding``, ``sharding``), runs the compiled step
(``step``), logs the metrics (``metrics``) and saves checkpoints, from which a killed run goes on
(``checkpoints``).

The other modules are parts of a training: learning rates by name (``schedules``), low-rank
adaptation (``lora``), which parameters decay (``weight_decay``), the
form that a device is fast at (``backends``), and what a normalizer learns over
the steps (``learned``).  Open ``loop`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
