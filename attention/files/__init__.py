"""Everything that is kept on disk: run directories, journals, tables, figures and caches.

How data passes through it: a command opens a `RunDirectory`, which claims the folder, locks it and
keeps the settings of the run. What takes long is written line by line to the run's `Journal`, so
that a killed run goes on where it stopped. What follows from the journal is written in the end by
`write_json`, `write_table`, `save_figure` and `render_page`; each of these files appears whole or
not at all. Folders such as checkpoints are made with `new_folder`.

Open `run_directory.py` first. Nothing in this room needs JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
