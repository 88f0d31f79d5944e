"""What ``tale search`` does with an opened model: one search, or several that belong together.

How data passes through it: a `Job` has the model, the tasks and all options.  `open_job` makes a
scorer of them, for one task or for several as if they were one.  `run_job` searches, scores the
picks on held-out examples and writes the directory.  `foresee` says what a search would cost.

Open `job.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
