"""Language data: sets of labelled texts by name, and what a classifier reads of them.

How data passes through it: ``load_texts`` finds a set in the table ``SOURCES`` and reads one split
of it.  ``with_labels_of`` numbers its labels as a model does.  ``encode_words`` and
``encode_pieces`` give token ids.  Open ``sources.py`` first: a set is one row of its table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
