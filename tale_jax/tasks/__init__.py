"""What a model is asked: from the name of a task to texts, tokens and verdicts; no JAX.

How data passes through it: `load_task` finds the source of a name in the table `SOURCES` and gets
a `Task` of `Example`s from it, with the shots before every prompt. `render` puts the prompts
through a chat template. `encode_choices` and `encode_prompts` make tokens of them. `judge_first`,
or the judge of the task, reads what a model wrote.

Open `loading.py` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
