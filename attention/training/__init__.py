"""Training: one loop for every loss, on one device or many, killed and resumed at will.

How data passes through it: ``fit`` (``loop``) takes a loss, parameters, an optimizer and batches
by step.  It places all of them on the mesh (``sharding``), runs the compiled step (``step``), logs
its metrics (``metrics``) and saves what a killed run goes on from (``checkpoints``).

Beside it stand parts that a training is put together from: rates by name (``schedules``), low-rank
adaptation (``lora``), which parameters decay (``weight_decay``), and what a normalizer learns over
the steps (``learned``).  Open ``loop`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
