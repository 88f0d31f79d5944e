"""The model that a command works on: from its name to parameters and tokenizer on the devices.

How data passes through it: `load_model` finds the folder of a name, reads config, parameters and
tokenizer, and puts the parameters onto the mesh of devices. `fingerprint` tells checkpoints apart,
and `searched_folder` checks that one is the checkpoint of a finished search.

There is one file, `loaded.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
