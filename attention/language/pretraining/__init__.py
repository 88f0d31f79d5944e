"""Pretraining of decoders and encoders on text.

How data passes through it: a ``Recipe`` (``recipes``, a table) and the options (``experiment``)
say what is trained, and ``consequences`` what follows from them.  ``prepare`` (``material``) reads
the corpus and gives the batch of each step, which an objective (``objectives``, a table) makes of
rows, with ``masking``.  ``pretrain`` (``fitting``) takes a model (``starting``), minimizes its loss
(``loss``) with an optimizer (``optimizers``), looks at what is held out (``held_out``), and writes
what was learned.  Open ``recipes`` first, then ``fitting``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
