"""Fine-tuning of a model, whole or without some layers, on the answers of a task.

How data passes through it: `tune` takes an opened model and task, makes batches of the train split,
and trains low-rank updates or all parameters by `attention.training.fit`. What was learnt is merged
into a checkpoint, which every command opens.

Open `tuning.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
