"""The task of judging quantified sentences: is every (or some) number so far positive?"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution, Normal, distribution
from icl.tasks.kind import Listing, Measure, Numbers, Row, Task
from icl.tasks.losses import LOGISTIC, Loss
from icl.tasks.options import Sampling
from icl.tasks.prompts import Case, Change, Prompts, Values, counted, with_deviant
from icl.tasks.quantifiers.answers import ANSWERS
from icl.tasks.quantifiers.balanced_scores import SKIP, measures
from icl.tasks.quantifiers.designs import DESIGNS, truth
from icl.tasks.sweeps import DEVIANT, POINTS, SIGMA, Axis, Setting, grid, read_axes, read_deviant

Quantifier = Literal["every", "some", "mix"]
# measure → its name in a table
SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced\naccuracy",
    "late_flip_accuracy": "late\nflip",
    "late_flip_balanced_accuracy": "late\nbalanced",
    "at_deviant": "at the\ndeviant",
    "after_deviant": "after\ndeviant",
    "wrong_prompts": "wrong\nprompts",
}
RULE = (
    "Each list holds numbers, each followed by True or False, by a rule about the numbers so far. "
    "Say what follows the last number. Answer with True or False alone."
)
QUESTION = "Is {} number of the list positive? Answer with True or False alone."
EXAMPLE = 6  # numbers of a worked example


@dataclasses.dataclass(frozen=True)
class Quantifiers(Task):
    """Numbers, and after each whether the quantified sentence holds so far.

    Attributes:
        quantifier: ``every`` (y_t = +1 if all of x_1 … x_t are positive), ``some`` (if any of them
            is), or ``mix``: each prompt has one of the two, and its labels tell which.
        inputs: distribution of the numbers; designs other than ``plain`` change their signs.
        points: number of numbers in a prompt.
        design: a row of ``DESIGNS``, which says how signs are drawn.
        labels: whether the context shows the labels of earlier numbers.
        rate: probability of a number that decides, in the design ``rare``.

    Raises:
        InputError: a field has no such value, or nothing tells which quantifier is meant.
    """

    quantifier: Quantifier = "every"
    inputs: Distribution = Normal(0.0, 1.0)
    points: int = 41
    design: str = "plain"
    labels: bool = True
    rate: float = 0.02

    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "quantifier": str, "inputs": distribution, "points": int, "design": str, "labels": bool,
    }  # fmt: skip
    axes: ClassVar[Mapping[str, Axis]] = {
        "design": Axis(lambda task, text: text, words=True),
        "sigma": SIGMA,
        "points": POINTS,
        "deviant": DEVIANT,
    }
    baselines = ANSWERS
    measure: ClassVar[Measure] = Measure(
        "balanced_accuracy", "balanced accuracy", error=False, floor="constant_"
    )
    skip: ClassVar[int] = SKIP
    prompts: ClassVar[int] = 256

    def __post_init__(self) -> None:
        if self.quantifier not in get_args(Quantifier):
            raise InputError(f"unknown quantifier {self.quantifier!r}")
        DESIGNS.pick(self.design)
        if self.points < 1:
            raise InputError(f"a prompt has at least 1 point, not {self.points}")
        if not 0 < self.rate < 1:
            raise InputError(f"a rate is between 0 and 1, not {self.rate}")
        if self.quantifier == "mix" and not self.labels:
            raise InputError("without labels in context, nothing tells which quantifier is meant")

    def __str__(self) -> str:
        return f"{self.quantifier}{'' if self.labels else ' without labels'}"

    @property
    def loss(self) -> Loss:
        """The loss of labels ±1."""
        return LOGISTIC

    @property
    def neutral(self) -> int:
        """The sign of numbers that change no later label."""
        return -1 if self.quantifier == "some" else 1

    def sample(
        self,
        key: Key[Array, ""],
        step: Int[Array, ""] | int = 0,
        batch: int = 64,
        change: Change | None = None,
    ) -> Prompts:
        del step  # there is no curriculum
        quantifiers, draws, flips = jax.random.split(key, 3)
        x_BT = self.inputs.sample(draws, (batch, self.points))
        every_B1 = jnp.full((batch, 1), self.quantifier == "every")
        if self.quantifier == "mix":
            every_B1 = jax.random.bernoulli(quantifiers, shape=(batch, 1))
        x_BTD = DESIGNS.pick(self.design)(flips, x_BT, every_B1, self.rate)[:, :, None]
        x_BTD = x_BTD if change is None else change(x_BTD)
        return Prompts(x_BTD, truth(x_BTD[:, :, 0], every_B1), jnp.ones((1, self.points), bool))

    # Tests

    def accepts(self, other: Task) -> bool:
        """Whether the other task has the same quantifier, and shows labels if this one does."""
        return isinstance(other, Quantifiers) and (other.quantifier, other.labels) == (
            self.quantifier,
            self.labels,
        )

    @property
    def peers(self) -> Hashable:
        """Models are tested together if their tasks differ in the design alone."""
        return self.quantifier, self.labels, self.inputs, self.points

    def settings(self, sweeps: Sequence[str] = ()) -> list[Setting]:
        """Every combination of the values of all sweeps; all designs if none is swept."""
        return grid({"design": list(DESIGNS), **read_axes(self, sweeps)})

    def draw(self, setting: Setting, sampling: Sampling) -> Case:
        """Draw the prompts of a setting; a mix has ``sampling.prompts`` of each quantifier.

        Args:
            setting: ``design``, and if they are swept ``sigma``, which multiplies the inputs,
                ``points`` and ``deviant``.
            sampling: how many are drawn.

        Raises:
            InputError: the setting is not possible.
        """
        points = setting.get("points", self.points)
        counted(points, self.skip)  # raises if there are too few
        change: Change | None = None
        if "deviant" in setting:
            place, number = read_deviant(setting["deviant"])
            change = lambda x_BTD: with_deviant(x_BTD, place, number)  # noqa: E731
        inputs = self.inputs.scaled(setting.get("sigma", 1.0))
        parts = []
        for i, quantifier in enumerate(self._parts):
            task = Quantifiers(quantifier, inputs, points, setting["design"], rate=self.rate)
            key = jax.random.fold_in(jax.random.key(sampling.seed), i)
            parts.append(task.sample(key, 0, sampling.prompts or self.prompts, change))
        x_BTD = np.concatenate([np.asarray(part.x_BTD) for part in parts])
        y_BT = np.concatenate([np.asarray(part.y_BT) for part in parts])
        every_1T = np.ones((1, points), bool)
        return Case({**setting, "kind": self.quantifier}, x_BTD, y_BT[None], every_1T)

    @property
    def _parts(self) -> tuple[Quantifier, ...]:
        return ("every", "some") if self.quantifier == "mix" else (self.quantifier,)

    def questions(self, setting: Setting, count: int, seed: int) -> Case:
        """Draw ``count`` prompts, each asked about one position.

        Every other prompt is asked about its last number.  The prompts between are asked about an
        earlier number, or about the deviant if there is one.  So both sides of a late flip are
        asked about.  A mix takes its quantifiers in turn.

        Args:
            setting: as `draw` takes it.
            count: number of prompts.
            seed: of all draws.

        Raises:
            InputError: the setting is not possible.
        """
        kinds = len(self._parts)
        case = self.draw(setting, Sampling(prompts=-(-count // kinds), seed=seed))
        order = np.arange(count) // kinds + (np.arange(count) % kinds) * -(-count // kinds)
        points, rng = case.y_FBT.shape[2], np.random.default_rng(seed)
        early_B = rng.integers(min(SKIP, points - 1), max(points - 1, SKIP + 1), count)
        if "deviant" in setting:
            early_B[:] = read_deviant(setting["deviant"])[0]
        place_B = np.where(np.arange(count) // kinds % 2 == 0, points - 1, early_B)
        where_BT = np.arange(points)[None] == place_B[:, None]
        return Case(case.setting, case.x_BTD[order], case.y_FBT[:, order], where_BT)

    def score(self, case: Case, predicted_FBT: Values) -> dict[str, float]:
        """Score predictions by `measures`, at the positions that count.

        Args:
            case: the prompts.
            predicted_FBT: predictions, positive where the sentence holds.

        Returns:
            The measures.  With a deviant there are also ``at_deviant`` and ``after_deviant``: the
            balanced accuracy at its position and at all later ones, each with the score of the
            best constant answer under ``constant_…``.  A model that ignores the context at far
            inputs can be wrong at the deviant and right after it.
        """
        predicted_BT, y_BT = predicted_FBT[0], case.y_FBT[0]
        place_1T = np.arange(y_BT.shape[1])[None]
        asked_BT = np.broadcast_to(case.where_BT, y_BT.shape)
        numbers = measures(predicted_BT, y_BT, SKIP, asked_BT & (place_1T >= SKIP))
        if "deviant" in case.setting:
            place, _ = read_deviant(case.setting["deviant"])
            for name, part in (("at", place_1T == place), ("after", place_1T > place)):
                where_BT = asked_BT & part
                found = measures(predicted_BT, y_BT, 0, where_BT) if where_BT.any() else {}
                for prefix in ("", "constant_"):
                    number = found.get(f"{prefix}balanced_accuracy", float("nan"))
                    numbers[f"{prefix}{name}_deviant"] = number
        return numbers

    def listings(self, rows: Sequence[Row]) -> list[Listing]:
        """Make a table for each setting; its first line has the scores of the best constant answer.

        With one question a prompt, "wrong prompts" is 1 − accuracy, and is left out.
        """
        tables = []
        for title, group in itertools.groupby(rows, _title):
            mine = list(group)
            asked = mine[0].get("asked")
            names = [name for name in SHOWN if name in mine[0]]
            names = [name for name in names if asked is None or name != "wrong_prompts"]
            constant = {name: mine[0][f"constant_{name}"] for name in names}
            more = [] if asked is None else ["failures"]
            cells = [
                [row["predictor"], *(_share(row[name]) for name in names)]
                + [str(row.get(name, 0)) for name in more]
                for row in ({"predictor": "a constant", **constant}, *mine)
            ]
            heads = [SHOWN[name] for name in names] + [f"failed\nof {asked}" for _ in more]
            tables.append(Listing(title, ["", *heads], cells))
        return tables

    # Prompts as text

    @property
    def instruction(self) -> str:
        """The text for a language model; it tells the rule only where no labels show it."""
        return RULE if self.labels else QUESTION.format(self.quantifier)

    def worked(self, rng: np.random.Generator, count: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Draw numbers and labels of the same quantifier; answers are true and false in turn."""
        for i in range(count):
            every = self.quantifier == "every" or (self.quantifier == "mix" and i % 4 < 2)
            size = abs(rng.normal(size=EXAMPLE))
            flip = rng.integers(EXAMPLE) if i % 2 else EXAMPLE
            holds = np.where(np.arange(EXAMPLE) >= flip, -1, 1)
            signs = np.where(holds == 1, 1, rng.choice([-1, 1], EXAMPLE))
            signs[np.argmin(holds)] = -1 if i % 2 else 1  # where it flips, if it does
            yield (size * signs, holds) if every else (-size * signs, -holds)

    def number(self, x: float, decimals: int) -> str:
        """A number as text that keeps its sign: what rounds to 0 becomes the smallest number."""
        near = round(float(x), decimals)
        if near == 0:
            near = (1 if x > 0 else -1) * 10.0**-decimals
        return f"{near:.{decimals}f}"

    def answer(self, y: float, decimals: int) -> str:
        """``True`` or ``False``."""
        return str(bool(y > 0))

    def read(self, text: str) -> float:
        """1 for the first "true", −1 for the first "false", NaN if there is neither."""
        found = re.search(r"\b(true|false)\b", text, re.IGNORECASE)
        return float("nan") if found is None else 1.0 if found[1].lower() == "true" else -1.0


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _title(row: Row) -> str:
    """The setting of a row, as a title."""
    axes = [f"{name}={row[name]}" for name in Quantifiers.axes if name in row]
    return ", ".join([row["kind"], *axes])
