"""What a kind of task brings: its prompts, its tests, how they are scored, shown and written."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from attention.statistics import bootstrap_interval
from icl.tasks.baselines import ZERO, Baseline
from icl.tasks.distributions import Distribution, distribution
from icl.tasks.losses import SQUARED, Loss
from icl.tasks.options import OPTIONS, Form, Sampling
from icl.tasks.prompts import Case, Change, Prompts, Values, counted
from icl.tasks.sweeps import POINTS, Axis, Setting, grid, read_axes

Row = Mapping[str, Any]
Numbers = Sequence[float] | Float[np.ndarray, " T"]
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Measure:
    """The column of a table that counts most.

    Attributes:
        column: its name.
        label: what a figure calls it.
        error: whether it is an error, which should be small and has a logarithmic axis; otherwise
            it is a share of right answers.
        relative: the column that says the same beside a simple answer; empty: there is none.
        floor: what stands before the column of a constant answer's share; empty: there is none.
    """

    column: str
    label: str
    error: bool = True
    relative: str = ""
    floor: str = ""

    @property
    def headline(self) -> str:
        """The column that says most alone."""
        return self.relative or self.column


@dataclasses.dataclass(frozen=True)
class Listing:
    """A table as it is shown: a title, names of columns, and rows of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Task(abc.ABC):
    """A kind of in-context task; a subclass is a frozen dataclass, and a row of ``TASKS``.

    All its fields have defaults, and it must bring ``sample``.  The rest suits a task of predicting
    numbers: each prompt has a function of its own, and the error is squared.

    Attributes:
        points: points of a prompt.
        inputs: distribution of the inputs.
        labels: whether the values of earlier points are in the context.
        readers: the options that it understands, and how the field is read from an option.
        axes: what a sweep may change; names of fields unless ``draw`` says otherwise.
        baselines: simple predictors, by name.
        measure: what a figure shows.
        skip: number of first positions that do not count in a test.
        prompts: prompts of a setting.
    """

    points: int
    inputs: Distribution
    labels: bool = True

    readers: ClassVar[Mapping[str, Any]] = {"inputs": distribution, "points": int}
    axes: ClassVar[Mapping[str, Axis]] = {"points": POINTS}
    baselines: ClassVar[Mapping[str, Baseline]] = {"zero": ZERO}
    measure: ClassVar[Measure] = Measure("error", "error", relative="error_over_zero")
    skip: ClassVar[int] = 0
    prompts: ClassVar[int] = 64

    @property
    def input_size(self) -> int:
        """Numbers of an input."""
        return 1

    @property
    def loss(self) -> Loss:
        """What training minimizes, and what the tables show."""
        return SQUARED

    @property
    def neutral(self) -> int:
        """The sign of an input that decides nothing, if inputs decide by their sign."""
        return 1

    @abc.abstractmethod
    def sample(
        self,
        key: Key[Array, ""],
        step: Int[Array, ""] | int = 0,
        batch: int = 64,
        change: Change | None = None,
    ) -> Prompts:
        """A batch of prompts, a pure function of its arguments.

        Args:
            key: of all that is random.
            step: the training step, for curricula.
            batch: number of prompts.
            change: is applied to the inputs before their values are computed.
        """

    def __str__(self) -> str:
        return type(self).__name__.lower()

    def changed(self, **options: Any) -> Self:
        """The task with other fields.

        Raises:
            InputError: the task has no such option, or the option no such value.
        """
        for name in options:
            if name not in self.readers:
                known = ", ".join(each for each in self.readers if each in OPTIONS)
                raise InputError(f"{self} has no {name.replace('_', ' ')}: it has {known}")
        return self._replaced(**{name: self.readers[name](text) for name, text in options.items()})

    def _replaced(self, **fields: Any) -> Self:
        task: Any = self  # a dataclass, as every subclass is
        return dataclasses.replace(task, **fields)

    # Which models it is a test of

    def accepts(self, other: Task) -> bool:
        """Whether a model that learned the other task can be asked this one."""
        return isinstance(other, type(self))

    @property
    def peers(self) -> Hashable:
        """Models whose tasks have the same peers are tested on the same prompts."""
        return type(self)

    # Tests

    @property
    def setting(self) -> Setting:
        """The setting of a test in which nothing is swept."""
        return {}

    def settings(self, sweeps: Sequence[str] = ()) -> list[Setting]:
        """The settings of all sweeps ``NAME=VALUES``, as a grid.

        Raises:
            InputError: a name or a value is unknown.
        """
        return [{**self.setting, **values} for values in grid(read_axes(self, sweeps))]

    def draw(self, setting: Setting, sampling: Sampling) -> Case:
        """The prompts of a setting.

        Raises:
            InputError: the setting is not possible.
        """
        task = self._replaced(**setting)
        found = task.sample(jax.random.key(sampling.seed), 0, sampling.prompts or self.prompts)
        where_1T = counted(task.points, self.skip)
        return Case(setting, np.asarray(found.x_BTD), np.asarray(found.y_BT)[None], where_1T)

    def questions(self, setting: Setting, count: int, seed: int) -> Case:
        """Prompts of a setting of which one position each counts: here the last.

        Raises:
            InputError: the setting is not possible.
        """
        case = self.draw(setting, Sampling(1, count, seed))
        last_1T = (np.arange(case.y_FBT.shape[2]) == case.y_FBT.shape[2] - 1)[None]
        return dataclasses.replace(case, where_BT=last_1T)

    def score(self, case: Case, predicted_FBT: Values) -> dict[str, float]:
        """Scores of predictions at the positions that count; those that are NaN are left out.

        Returns:
            ``error``, the mean of ``loss.error``; ``error_over_zero``, the same over that of
            predicting 0; and if there are several functions, ``low`` and ``high``, the 95 %
            bootstrap interval over them.
        """
        where_FBT = np.broadcast_to(case.where_BT, case.y_FBT.shape)
        zero = self.loss.error(np.zeros_like(case.y_FBT), case.y_FBT).mean(where=where_FBT)
        where_FBT = where_FBT & np.isfinite(predicted_FBT)
        if not where_FBT.any():
            return dict.fromkeys(("error", "error_over_zero"), float("nan"))
        errors_FBT = self.loss.error(predicted_FBT, case.y_FBT)
        errors_F = errors_FBT.mean(axis=(1, 2), where=where_FBT)
        error = float(errors_F.mean())
        found = {"error": error, "error_over_zero": float(error / zero)}
        if len(errors_F) > 1:
            found["low"], found["high"] = bootstrap_interval(errors_F)
        return found

    def listings(self, rows: Sequence[Row]) -> list[Listing]:
        """Rows of scores as tables: what varies, and the errors."""
        always = ("predictor", "error", "error_over_zero", "failures")
        hidden = ("low", "high")
        columns = [
            name for name in rows[0] if name in always
            or (name not in hidden and len({str(row.get(name)) for row in rows}) > 1)
        ]  # fmt: skip
        texts = [[shown(row.get(name)) for name in columns] for row in rows]
        return [Listing("", [name.replace("_", " ") for name in columns], texts)]

    # Prompts as text

    @property
    def instruction(self) -> str:
        """What a language model is told."""
        return (
            "Each list holds inputs and values of one unknown function in turn: x1, f(x1), x2, "
            "f(x2), … Predict the value that follows the last input. Answer with the number alone."
        )

    def as_text(self, x_T: Numbers, y_T: Numbers, form: Form) -> str:
        """A prompt for a language model: the instruction, worked examples, and the question.

        Args:
            x_T: inputs, numbers.
            y_T: values; the last is what is asked for, and is not shown.
            form: of the question.

        Raises:
            InputError: the inputs are no numbers.
        """
        if self.input_size != 1:
            raise InputError("prompts as text are of functions of one number")
        parts = [self.instruction, ""]
        for x, y in self.worked(np.random.default_rng(0), form.examples):
            parts += [f"List: {self.write(x, y, form.decimals)}"]
            parts += [f"Answer: {self.answer(y[-1], form.decimals)}", ""]
        return "\n".join([*parts, f"List: {self.write(x_T, y_T, form.decimals)}", "Answer:"])

    def worked(self, rng: np.random.Generator, count: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Inputs and values of so many worked examples."""
        key = jax.random.key(int(rng.integers(2**32)))
        found = self._replaced(points=4).sample(key, 0, max(1, count))
        pairs = zip(np.asarray(found.x_BTD)[:, :, 0], np.asarray(found.y_BT), strict=True)
        yield from list(pairs)[:count]

    def write(self, x_T: Numbers, y_T: Numbers, decimals: int = 2) -> str:
        """``[x1, f(x1), …, xn]``, without the last value, or without all values."""
        pairs = zip(x_T, y_T, strict=True)
        words = [w for x, y in pairs for w in (self.number(x, decimals), self.answer(y, decimals))]
        return f"[{', '.join(words[:-1] if self.labels else words[::2])}]"

    def number(self, x: float, decimals: int) -> str:
        """An input as text."""
        return f"{round(float(x), decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.00"

    def answer(self, y: float, decimals: int) -> str:
        """A value as text."""
        return Task.number(self, y, decimals)

    def read(self, text: str) -> float:
        """The value that an answer says: its first number, NaN if there is none."""
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("−", "-"))  # 1,234
        found = NUMBER.search(text)
        return float(found.group()) if found else float("nan")


def shown(value: Any) -> str:
    """A cell of a table: a number has four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
