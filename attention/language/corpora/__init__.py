"""Corpora: text in files or on the hub becomes token ids on disk, and these become rows.

How data passes through it: ``load_corpus`` (``loading``) opens a corpus, whose documents are read
one after another.  ``split_of`` (``splitting``) says which of them are held out.  A tokenizer is
trained on the others, or loaded (``vocabularies``).  ``encode_corpus`` (``token_files``) writes
all ids once.  A ``RowSource`` (``drawing``) gives the rows of a step, as a pure function of the
seed and the step.  Open ``loading`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
