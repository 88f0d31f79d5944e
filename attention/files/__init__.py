"""Everything that is kept on disk: run directories, journals, tables, figures and caches.

How data passes through it: a command opens a `RunDirectory`, which claims and locks the folder and
keeps the settings of the run. Results that take long go line by line into the run's `Journal`, so
a killed run goes on where it stopped. At the end `write_json`, `write_table`, `save_figure` and
`render_page` write what follows from the journal. Each of these files appears whole or not at all,
and so do folders that `new_folder` makes, such as checkpoints.

Open `run_directory.py` first. Nothing in this room needs JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
