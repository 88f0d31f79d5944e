"""What happens while a command works, and the trackers that are told of it.

How data passes through it: `run_of`, in every run directory, and `tell`, in training and searches,
make an `Event`. Each listener of `heard_by` gets it: the function that a caller in Python gives as
``on_event``, and the tracker that ``--tracker`` names, a row of `TRACKERS`.

Open `events.py` first, then `trackers.py`. Nothing in this room needs JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
