"""An experiment in words: task, model and training; what a run directory holds of it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attention.errors import InputError

if TYPE_CHECKING:  # JAX is imported by what needs it, so that `icl train --help` answers at once
    from attention.transformer import TransformerConfig
    from icl.tasks import Task

FILE = "experiment.json"
# what a preset's name says before the architecture
TASKS = {
    "linear": "affine",
    "polynomial": "polynomial:degree=3",
    "chebyshev": "chebyshev:degree=5",
    "garg": "linear:d=20",
    **{name: name for name in ("sparse", "noisy", "quadratic", "relu-network", "tree")},
    "classification": "classification",
    **{name: name for name in ("every", "some", "mix")},
}
QUANTIFIERS = ("every", "some", "mix")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All that decides a run's result but its number of steps.

    Attributes:
        preset: ``TASK-ARCHITECTURE``, e.g. ``linear-12l8ah``, ``every-2al4ah``.
        inputs: distribution of x.
        functions: a class, the distribution of its coefficients, or ``CLASS@DISTRIBUTION``.
        points: of a prompt.
        inverse: predict x from f(x).
        design: of quantifier prompts.
        labels: labels in context (quantifiers).
        point_curriculum: ``START:END:INCREMENT:EVERY``; dimension_ and degree_curriculum alike.
        normalizer: of attention scores.
        hidden_size: None for the papers'.
        layer_norm: with LayerNorm.
        residual: with residual additions.
        positions: kind of positions.
        precision: of matrix products; None is "highest".
        batch: prompts a step.
        learning_rate: of Adam.
        seed: the first seed.
        seeds: how many models are trained at once, with consecutive seeds.
    """

    preset: str
    inputs: str = "normal:0,1"
    functions: str = "normal:0,1"
    points: int = 41
    inverse: bool = False
    design: Literal["plain", "balanced", "rare", "late"] = "plain"
    labels: bool = True
    point_curriculum: str | None = None
    dimension_curriculum: str | None = None
    degree_curriculum: str | None = None
    normalizer: str = "softmax"
    hidden_size: int | None = None
    layer_norm: bool = True
    residual: bool = True
    positions: Literal["learned", "rope", "none"] = "learned"
    precision: str | None = None
    batch: int = 64
    learning_rate: float = 1e-4
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        if min(self.batch, self.seeds) < 1 or not 0 < self.learning_rate < math.inf:
            raise InputError("batch, seeds and learning rate must be positive")
        if self.hidden_size is not None and self.hidden_size < 1:
            raise InputError(f"a hidden size is at least 1, not {self.hidden_size}")

    @property
    def kind(self) -> str:
        """The preset's task."""
        kind = self.preset.rpartition("-")[0]
        if kind not in TASKS:
            raise InputError(
                f"unknown preset {self.preset!r}; it is TASK-ARCHITECTURE, such as linear-12l8ah, "
                f"and tasks are {', '.join(TASKS)}"
            )
        return kind

    def task(self) -> Task:
        """The task."""
        from icl.tasks import FunctionTask, Quantifiers, curriculum, distribution
        from icl.tasks.functions import function_class

        if self.kind in QUANTIFIERS:
            plans = (self.point_curriculum, self.dimension_curriculum, self.degree_curriculum)
            if self.inverse or any(plan is not None for plan in plans):
                raise InputError(f"{self.kind} has no curriculum and no inverse")
            if self.functions != "normal:0,1":
                raise InputError(f"{self.kind} has no functions; its numbers are --inputs")
            return Quantifiers(
                self.kind,  # type: ignore[arg-type]
                distribution(self.inputs),
                self.points,
                self.design,
                self.labels,
            )
        if not self.labels or self.design != "plain":
            raise InputError("designs and prompts without labels are those of quantifiers")
        kind, _, coefficients = self.functions.rpartition("@")
        if not kind and coefficients.partition(":")[0] not in ("normal", "uniform", "mix"):
            kind, coefficients = coefficients, "normal:0,1"
        return FunctionTask(
            function_class(kind or TASKS[self.kind]),
            distribution(self.inputs),
            distribution(coefficients),
            self.points,
            self.inverse,
            curriculum(self.point_curriculum),
            curriculum(self.dimension_curriculum),
            curriculum(self.degree_curriculum),
        )

    def config(self) -> TransformerConfig:
        """The model."""
        from icl.training.architectures import model

        return model(
            self.preset.rpartition("-")[2],
            input_size=self.task().input_size,
            points=self.points,
            hidden_size=self.hidden_size,
            normalizer=self.normalizer,
            layer_norm=self.layer_norm,
            residual=self.residual,
            positions=self.positions,
            precision=self.precision,
        )

    def claim(self, directory: Path) -> None:
        """Writes ``experiment.json`` into a new run directory, or finds the same one there.

        Raises:
            InputError: the directory is another experiment's, or another thing's.
        """
        file = directory / FILE
        if file.exists():
            found = dataclasses.asdict(read(directory))
            for name, value in dataclasses.asdict(self).items():
                if found[name] != value:
                    raise InputError(
                        f"{directory} belongs to another experiment: {name} is {found[name]} there "
                        f"and {value} here; choose another directory"
                    )
            return
        if directory.exists() and (directory.is_file() or any(directory.iterdir())):
            raise InputError(f"{directory} is no run of icl train; choose another directory")
        directory.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")
        part.replace(file)


def read(directory: Path) -> Experiment:
    """The experiment of a run directory."""
    try:
        fields: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return Experiment(**fields)
    except FileNotFoundError:
        raise InputError(f"{directory} is no run of icl train: it has no {FILE}") from None
    except (TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{directory / FILE} is damaged: {error}") from None
