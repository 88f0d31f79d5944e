"""What is measured about a model whole and without some of its layers.

How data passes through it: a function takes an opened model, or a scorer of it on a task, and the
layers to leave out. It returns rows, which `write_rows` puts into a table and a figure. The
functions of a file that end in `_figure` draw such rows.

Open `evaluation.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
