"""Labels of the words of a treebank, read off the states of each layer.

How data passes through it: ``read_treebank`` reads parsed sentences, and each row of the table
``WORD_LABELS`` makes labels of their words.  ``measure_layers`` takes their states behind each
layer, and fits a linear probe.  A control task and an untrained model stand beside.
Open ``word_labels.py`` first: what is read off is one row of its table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
