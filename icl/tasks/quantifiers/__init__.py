"""Quantifiers learned in context: is every number so far positive?  Is some number?

Labels are ±1.  If numbers are drawn plainly, labels hardly vary: from the fourth number on, a
constant answer is right in 15 of 16 prompts.  Hence the designs (``designs.py``), which make labels
flip, and the scores (``balanced_scores.py``), which do not flatter a constant answer.
``Quantifiers`` makes prompts of a design, and ``answers.py`` holds the baselines.

Open ``sentences.py`` first; a new design is a function and a row in ``designs.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
