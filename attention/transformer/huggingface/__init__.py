"""Checkpoints on disk ⇄ a config and parameters; one format for every model of the project.

``load_pretrained`` finds the folder (``safetensor_files``), reads its ``config.json`` (``config``,
with a row of ``families`` for each model type, which has its tensors' names too), pairs every
tensor with a parameter (``matching``, total in both directions), and copies tensor by tensor into
the stacked parameters (``pretrained``).  ``save_pretrained`` goes the same way back.

A model that transformers has not (another normalizer than softmax, or half-layers) is stored in the
same way under a model type of its own, ``tale_jax_llama``, say.  Start with ``pretrained``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
