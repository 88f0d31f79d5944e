"""The formats in which a model that a search found is written.

How data passes through it: `Export.of` takes a finished search and one of its models, and checks
that it can be written. `Export.write` calls the function of the chosen row of `FORMATS`.

Open `table.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
