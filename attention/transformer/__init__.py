"""The one transformer, for every family: its config, layers, checkpoints and generation.

How data passes through it: ``TransformerConfig`` (``config``) describes a model.  ``Transformer``
(``model``) embeds tokens, makes the ``Context`` that all layers share (``context``: who sees whom,
at which positions), sends states through the loop over layers (``depth``: all of them, some of
them, with a cache, with something captured) and reads out logits (``heads``).  A layer
(``layer``) is attention (``self_attention``; its positions are in ``rotary``, whose frequencies
have a table in ``frequencies``) and an MLP (``positionwise``).

Parameters are a plain tree.  ``stacking`` has its two forms and what makes it shorter,
``huggingface`` reads and writes it, ``generation`` decodes with it, and ``conversion`` gives a
softmax model another normalizer.  Open ``config`` and ``model`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
