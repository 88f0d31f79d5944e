"""What a kind of task brings: how prompts are drawn, scored, shown and written as text."""

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
from icl.tasks.prompts import Case, Change, Prompts, Setting, Values, counted
from icl.tasks.sweeps import POINTS, Axis, grid, read_axes

Row = dict[str, Any]
Numbers = Sequence[float] | Float[np.ndarray, " T"]
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Measure:
    """The column of a table of scores that a figure shows.

    Attributes:
        column: its name.
        label: the label of the figure's axis.
        error: True for an error, which should be small and gets a logarithmic axis; False for a
            share of right answers.
        relative: name of the column that divides the score by that of a simple answer; empty if
            there is none.
        floor: prefix of the column with the score of the best constant answer; empty if there is
            none.
    """

    column: str
    label: str
    error: bool = True
    relative: str = ""
    floor: str = ""

    @property
    def headline(self) -> str:
        """The column to show where there is room for one: the relative one if there is one."""
        return self.relative or self.column


@dataclasses.dataclass(frozen=True)
class Listing:
    """A table as it is shown: a title, names of columns, and rows of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Task(abc.ABC):
    """A kind of in-context task.

    A subclass is a frozen dataclass whose fields all have defaults, and a row of ``TASKS``.  It
    must define ``sample``.  The other methods suit a task of predicting numbers: each prompt has
    a function of its own, and the error is squared.

    Attributes:
        points: number of points of a prompt.
        inputs: distribution of the inputs.
        labels: whether the context shows the values of earlier points.
        readers: the options that the task has, each with a function that makes the field's value
            of the option's value.
        axes: what a sweep may change, by name: fields, unless ``draw`` understands other names.
        baselines: simple predictors, by name.
        measure: the score that a figure shows.
        skip: number of first positions that a test does not count.
        prompts: number of prompts of a setting, unless an option says otherwise.
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
        """How many numbers an input consists of."""
        return 1

    @property
    def loss(self) -> Loss:
        """The loss of training and the error of the tables."""
        return SQUARED

    @property
    def neutral(self) -> int:
        """The sign of inputs that change no later label, for tasks that look at signs."""
        return 1

    @abc.abstractmethod
    def sample(
        self,
        key: Key[Array, ""],
        step: Int[Array, ""] | int = 0,
        batch: int = 64,
        change: Change | None = None,
    ) -> Prompts:
        """Draw a batch of prompts; a pure function of its arguments.

        Args:
            key: of all that is random.
            step: the training step, for curricula.
            batch: number of prompts.
            change: applied to the inputs before their values are computed.
        """

    def __str__(self) -> str:
        return type(self).__name__.lower()

    def changed(self, **options: Any) -> Self:
        """The task with some of its options changed.

        Raises:
            InputError: the task has no such option, or the option has no such value.
        """
        for name in options:
            if name not in self.readers:
                known = ", ".join(each for each in self.readers if each in OPTIONS)
                raise InputError(f"{self} has no {name.replace('_', ' ')}: it has {known}")
        return self._replaced(**{name: self.readers[name](text) for name, text in options.items()})

    def _replaced(self, **fields: Any) -> Self:
        task: Any = self  # a dataclass, as every subclass is
        return dataclasses.replace(task, **fields)

    # Which models it tests

    def accepts(self, other: Task) -> bool:
        """Whether a model that learned the other task can be asked this one."""
        return isinstance(other, type(self))

    @property
    def peers(self) -> Hashable:
        """Models whose tasks have equal ``peers`` are tested together, on the same prompts."""
        return type(self)

    # Tests

    @property
    def setting(self) -> Setting:
        """The setting of a test without a sweep."""
        return {}

    def settings(self, sweeps: Sequence[str] = ()) -> list[Setting]:
        """The settings of a test: every combination of the values of all sweeps ``NAME=VALUES``.

        Raises:
            InputError: a name or a value is unknown.
        """
        return [{**self.setting, **values} for values in grid(read_axes(self, sweeps))]

    def draw(self, setting: Setting, sampling: Sampling) -> Case:
        """Draw the prompts of a setting.

        Raises:
            InputError: the setting is not possible.
        """
        task = self._replaced(**setting)
        found = task.sample(jax.random.key(sampling.seed), 0, sampling.prompts or self.prompts)
        where_1T = counted(task.points, self.skip)
        return Case(setting, np.asarray(found.x_BTD), np.asarray(found.y_BT)[None], where_1T)

    def questions(self, setting: Setting, count: int, seed: int) -> Case:
        """Draw prompts of a setting with one question each: here about the last position.

        Raises:
            InputError: the setting is not possible.
        """
        case = self.draw(setting, Sampling(1, count, seed))
        last_1T = (np.arange(case.y_FBT.shape[2]) == case.y_FBT.shape[2] - 1)[None]
        return dataclasses.replace(case, where_BT=last_1T)

    def score(self, case: Case, predicted_FBT: Values) -> dict[str, float]:
        """Score predictions at the positions that count; NaN, which is no answer, is left out.

        Args:
            case: the prompts.
            predicted_FBT: predictions of its values.

        Returns:
            ``error``, the mean of ``loss.error``; ``error_over_zero``, the error divided by that of
            predicting 0; and if there are several functions, ``low`` and ``high``, the 95 %
            bootstrap interval of the error over functions.
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
        """Make tables of rows of scores: the columns that vary, and the errors."""
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
        """The text that tells a language model what to do."""
        return (
            "Each list holds inputs and values of one unknown function in turn: x1, f(x1), x2, "
            "f(x2), … Predict the value that follows the last input. Answer with the number alone."
        )

    def as_text(self, x_T: Numbers, y_T: Numbers, form: Form) -> str:
        """Write a prompt for a language model: the instruction, worked examples, the question.

        Args:
            x_T: inputs, one number each.
            y_T: values; the last one is asked for, and is not shown.
            form: how the question is written.

        Raises:
            InputError: an input of the task is more than one number.
        """
        if self.input_size != 1:
            raise InputError("prompts as text are of functions of one number")
        parts = [self.instruction, ""]
        for x, y in self.worked(np.random.default_rng(0), form.examples):
            parts += [f"List: {self.write(x, y, form.decimals)}"]
            parts += [f"Answer: {self.answer(y[-1], form.decimals)}", ""]
        return "\n".join([*parts, f"List: {self.write(x_T, y_T, form.decimals)}", "Answer:"])

    def worked(self, rng: np.random.Generator, count: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Draw the inputs and values of ``count`` worked examples."""
        key = jax.random.key(int(rng.integers(2**32)))
        found = self._replaced(points=4).sample(key, 0, max(1, count))
        pairs = zip(np.asarray(found.x_BTD)[:, :, 0], np.asarray(found.y_BT), strict=True)
        yield from list(pairs)[:count]

    def write(self, x_T: Numbers, y_T: Numbers, decimals: int = 2) -> str:
        """``[x1, f(x1), …, xn]``: the last value is left out, or all if the task shows none."""
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
        """The first number of an answer; NaN if there is none, or none that is finite."""
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("−", "-"))  # 1,234
        found = NUMBER.search(text)
        number = float(found.group()) if found else float("nan")
        return number if np.isfinite(number) else float("nan")


def shown(value: Any) -> str:
    """The text of a cell of a table: four digits of a number, a dash for NaN."""
    if not isinstance(value, float):
        return str(value)
    return "–" if np.isnan(value) else f"{value:.4g}"
