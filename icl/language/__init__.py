"""The same prompts as text, for language models.

``ask`` writes the questions of every setting as text, gives them to an answerer, reads its answers
and scores them beside trained models and baselines.  An answerer is a local checkpoint or an
OpenAI-compatible server (``answering.py``).  What a prompt says, and how an answer is read, is up
to the task.

Open ``questions.py`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
