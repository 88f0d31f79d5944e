"""What a search does with its model and task, and the command lines that repeat it."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Literal

from attention.errors import InputError
from tale_jax.elimination import SearchOptions
from tale_jax.options import Options


@dataclasses.dataclass(frozen=True)
class Plan(SearchOptions):
    """How layers are chosen.

    Attributes:
        criterion: what picks the layer to drop; accuracy then decides whether it may go
        calibration: text file that perplexity and cosine read instead of the prompts
        null_control: repeat the search so often on shuffled answers, to see what luck gains
    """

    criterion: Literal["accuracy", "loglikelihood", "perplexity", "cosine", "random", "last"] = (
        "accuracy"
    )
    calibration: str | None = None
    null_control: int = 0

    def check(self) -> None:
        """Raise InputError for what can be told without the model and the task."""
        if self.null_control < 0 or (self.null_control and self.criterion == "loglikelihood"):
            raise InputError(
                "a null control is a number of searches from 0 up, and goes with criteria other "
                "than loglikelihood, which looks at the answers themselves"
            )
        if self.criterion == "cosine" and self.granularity != "layer":
            raise InputError(
                "the criterion cosine measures whole layers: choose another for halves"
            )
        if self.criterion != "accuracy" and self.strategy != "greedy":
            raise InputError(f"the strategy {self.strategy} goes with the criterion accuracy alone")


def command_lines(model: str, task: str, options: Options, plan: Plan) -> list[str]:
    """Command lines that reproduce a search; the directory is the reader's own."""
    words = ["tale", "search", "--model", model, "--task", task, "--out", "RUN"]
    for given in (options, plan):
        usual = dataclasses.asdict(type(given)())
        for name, value in dataclasses.asdict(given).items():
            if value != usual[name]:
                words.append(f"--{name.replace('_', '-')}")
                if isinstance(value, tuple):
                    words.append(",".join(map(str, value)))
                elif value is not True:
                    words.append(str(value))
    exported = "tale export --run RUN --pick best --out MODEL"
    if plan.granularity != "layer":
        exported += " --format tale"
    return [shlex.join(words), exported]
