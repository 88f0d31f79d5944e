"""Language models that are asked the same prompts as text.

``ask`` writes the questions of every setting as text, gives them to an answerer, reads its answers,
and scores them beside trained models and baselines.  An answerer is a local checkpoint or an
OpenAI-compatible server (``answering.py``).  The task writes the prompts and reads the answers.

Open ``questions.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
