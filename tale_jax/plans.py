"""What a search does with its model and task, and the command lines that repeat it."""

from __future__ import annotations

import dataclasses
import shlex

from attention.errors import InputError
from tale_jax.elimination import Floor, exact_epsilon
from tale_jax.options import Options
from tale_jax.units import GRANULARITIES, Granularity, Unit


@dataclasses.dataclass(frozen=True)
class Plan:
    """The arguments of ``tale_jax.commands.search.search`` that say how layers are chosen."""

    epsilon: str = "0.08"
    floor: Floor = "baseline"
    max_drops: int | None = None
    initial: tuple[Unit, ...] = ()
    criterion: str = "accuracy"
    calibration: str | None = None
    null_control: int = 0
    strategy: str = "greedy"
    exhaustive: bool = False
    granularity: Granularity = "layer"

    def check(self) -> None:
        """Raise InputError for what can be told without the model and the task."""
        exact_epsilon(self.epsilon)
        if self.null_control < 0 or (self.null_control and self.criterion == "loglikelihood"):
            raise InputError(
                "a null control is a number of searches from 0 up, and goes with criteria other "
                "than loglikelihood, which looks at the answers themselves"
            )
        if self.granularity not in GRANULARITIES:
            raise InputError(
                f"unknown granularity {self.granularity!r}; there are {', '.join(GRANULARITIES)}"
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
