"""The task of predicting the next value of a function from its earlier points."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from attention.errors import InputError
from icl.tasks.curricula import Curriculum, curriculum
from icl.tasks.distributions import DISTRIBUTIONS, Distribution, Normal, distribution
from icl.tasks.functions.classes import FunctionClass
from icl.tasks.functions.estimators import ESTIMATORS
from icl.tasks.functions.linear import Affine
from icl.tasks.functions.series import Series
from icl.tasks.functions.table import function_class
from icl.tasks.kind import Numbers, Task
from icl.tasks.losses import Loss
from icl.tasks.options import Sampling
from icl.tasks.prompting import PROMPTINGS
from icl.tasks.prompts import Case, Change, Prompts, counted, mask_points, with_deviant
from icl.tasks.sweeps import (
    DEVIANT,
    POINTS,
    SIGMA,
    Axis,
    Setting,
    commas_or_range,
    positive,
    read_deviant,
)

CURRICULA = ("point_curriculum", "dimension_curriculum", "degree_curriculum")
SKIP = 2  # first positions that do not count, as in arXiv 2411.11465


def _inputs(task: Task, text: str) -> str:
    """Read a distribution, or a number that scales the task's distribution."""
    try:
        factor = float(text)
    except ValueError:
        return str(distribution(text))
    if not factor > 0:
        raise InputError(f"inputs are scaled by a positive number, not {text}")
    return str(task.inputs.scaled(factor))


def _distributions_or_range(text: str) -> list[str]:
    """Split distributions at semicolons, because they have commas, and numbers at commas."""
    words = any(letter.isalpha() for letter in text)
    return text.split(";") if words else commas_or_range(text)


def _prompting(task: Task, text: str) -> str:
    PROMPTINGS.pick(text)
    return text


@dataclasses.dataclass(frozen=True)
class FunctionTask(Task):
    """Predict values of functions: every prompt draws a function and its inputs.

    Attributes:
        functions: the class that functions are drawn from.
        inputs: distribution of each coordinate of x.
        coefficients: distribution of each coefficient.
        points: number of points of a prompt; a curriculum makes fewer of them count.
        inverse: show pairs (f(x), x), so that x is predicted from f(x).
        point_curriculum: number of points that count.
        dimension_curriculum: number of coordinates of x that are not zero.
        degree_curriculum: degree of a series.

    Raises:
        InputError: the fields contradict one another.
    """

    functions: FunctionClass = Affine()
    inputs: Distribution = Normal(0.0, 1.0)
    coefficients: Distribution = Normal(0.0, 1.0)
    points: int = 41
    inverse: bool = False
    point_curriculum: Curriculum | None = None
    dimension_curriculum: Curriculum | None = None
    degree_curriculum: Curriculum | None = None

    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "functions": function_class,
        "coefficients": distribution,
        "inputs": distribution,
        "points": int,
        "inverse": bool,
        **dict.fromkeys(CURRICULA, curriculum),
    }
    axes: ClassVar[Mapping[str, Axis]] = {
        "inputs": Axis(_inputs, _distributions_or_range),
        "sigma": SIGMA,
        "degree": Axis(lambda task, text: int(text)),
        "points": POINTS,
        "scale": Axis(positive(float)),
        "prompt": Axis(_prompting, words=True),
        "deviant": DEVIANT,
    }
    baselines = ESTIMATORS
    skip: ClassVar[int] = SKIP

    def __post_init__(self) -> None:
        for what, plan, most in (
            ("points", self.point_curriculum, self.points),
            ("dimensions", self.dimension_curriculum, self.functions.d),
            ("degree", self.degree_curriculum, getattr(self.functions, "largest", 0)),
        ):
            if plan is not None and plan.end > most:
                raise InputError(f"the curriculum of {what} ends at {plan.end}, beyond {most}")
        if self.points < 1:
            raise InputError(f"a prompt has at least 1 point, not {self.points}")
        if self.inverse and self.functions.d != 1:
            raise InputError("the inverse problem is that of functions of one number")
        if isinstance(self.functions, Series) and self.functions.degrees and self.degree_curriculum:
            raise InputError("give degrees drawn per prompt, or a curriculum of degrees, not both")

    @property
    def loss(self) -> Loss:
        """The loss of the class of functions."""
        return self.functions.loss

    @property
    def input_size(self) -> int:
        """How many numbers an input consists of."""
        return self.functions.d

    def __str__(self) -> str:
        return f"{'the inverse of ' if self.inverse else ''}{self.functions}"

    def sample(
        self,
        key: Key[Array, ""],
        step: Int[Array, ""] | int = 0,
        batch: int = 64,
        change: Change | None = None,
    ) -> Prompts:
        inputs, coefficients, noise = jax.random.split(key, 3)
        x_BTD = self.inputs.sample(inputs, (batch, self.points, self.functions.d))
        if self.dimension_curriculum is not None:
            used = jnp.arange(self.functions.d) < self.dimension_curriculum.at(step)
            x_BTD = x_BTD * used[None, None]
        x_BTD = x_BTD if change is None else change(x_BTD)
        degree = None if self.degree_curriculum is None else self.degree_curriculum.at(step)
        drawn = jax.vmap(lambda k: self.functions.draw(k, self.coefficients, degree))(
            jax.random.split(coefficients, batch)
        )
        y_BT = jax.vmap(self.functions.observe)(jax.random.split(noise, batch), drawn, x_BTD)
        used = self.points if self.point_curriculum is None else self.point_curriculum.at(step)
        where_BT = mask_points(self.points, used)
        if self.inverse:
            return Prompts(y_BT[:, :, None], x_BTD[:, :, 0], where_BT)
        return Prompts(x_BTD, y_BT, where_BT)

    def changed(self, **options: Any) -> FunctionTask:
        """The task with some of its options changed; curricula that are not given are dropped.

        Args:
            options: as `TaskOptions` and `PromptOptions` have them.  ``functions`` is a class of
                functions, a distribution of coefficients, or ``CLASS@DISTRIBUTION``.

        Raises:
            InputError: the task has no such option, or the option has no such value.
        """
        if "functions" in options:
            name, _, law = options.pop("functions").rpartition("@")
            if not name and law.partition(":")[0] not in DISTRIBUTIONS:
                name, law = law, ""
            given = {"functions": name, "coefficients": law}
            options = {**{key: text for key, text in given.items() if text}, **options}
        return super().changed(**{**dict.fromkeys(CURRICULA), **options})

    def accepts(self, other: Task) -> bool:
        """Whether the other task is to predict values of functions, not inputs."""
        return isinstance(other, FunctionTask) and not other.inverse

    @property
    def setting(self) -> Setting:
        """The setting of a test without a sweep."""
        drawn = {"degree": None, "scale": 1.0, "prompt": "drawn", "deviant": ""}
        return {"inputs": str(self.inputs), "sigma": 1.0, "points": self.points, **drawn}

    def functions_of(self, setting: Setting) -> FunctionClass:
        """The class of functions with the degree of a setting, if it has one.

        Raises:
            InputError: the functions have no degree, or not this one.
        """
        if setting["degree"] is None:
            return self.functions
        if not isinstance(self.functions, Series):
            raise InputError(f"{self.functions} has no degree to sweep")
        if setting["degree"] < 0:
            raise InputError(f"a degree is 0 or more, not {setting['degree']}")
        return dataclasses.replace(self.functions, degree=setting["degree"], degrees=())

    def draw(self, setting: Setting, sampling: Sampling) -> Case:
        """Draw ``sampling.count`` functions, all at the same ``sampling.prompts`` rows of inputs.

        Args:
            setting: ``sigma`` multiplies the coefficients, ``scale`` the values.  ``degree`` is
                the degree of a series; None leaves it as the class has it.  With a ``deviant`` only
                the positions after it count, because its own value would outweigh all others.
                ``prompt`` is a row of ``PROMPTINGS``.
            sampling: how many are drawn.

        Raises:
            InputError: the setting is not possible.
        """
        points, functions, skip = setting["points"], self.functions_of(setting), self.skip
        keys = jax.random.split(jax.random.key(sampling.seed), 3)
        shape = (sampling.prompts or self.prompts, points, functions.d)
        x_BTD = distribution(setting["inputs"]).sample(keys[0], shape)
        prompting = PROMPTINGS.pick(setting["prompt"])
        x_BTD = prompting.change(jax.random.fold_in(keys[0], 1), x_BTD)
        skip = points - 1 if prompting.query else skip
        if setting["deviant"]:
            if setting["prompt"] != "drawn":
                raise InputError("a deviant needs prompt=drawn: other strategies move it")
            where, number = read_deviant(setting["deviant"])
            x_BTD, skip = with_deviant(x_BTD, where, number), max(skip, where + 1)
        of = self.coefficients.scaled(setting["sigma"])
        drawn_F = jax.vmap(lambda k: functions.draw(k, of))(
            jax.random.split(keys[1], sampling.count)
        )
        observe = jax.vmap(jax.vmap(functions.observe, (0, None, 0)), (0, 0, None))
        noise_FB = jax.random.split(keys[2], (sampling.count, shape[0]))
        y_FBT = setting["scale"] * observe(noise_FB, drawn_F, x_BTD)
        x_BTD, y_FBT = prompting.arrange(x_BTD, y_FBT)
        where_1T = counted(points, skip)
        return Case(setting, np.asarray(x_BTD), np.asarray(y_FBT, np.float64), where_1T)

    def questions(self, setting: Setting, count: int, seed: int) -> Case:
        """Draw ``count`` prompts, each of a function of its own and asked about its last value."""
        case = self.draw(setting, Sampling(count, count, seed))
        y_BT = np.diagonal(case.y_FBT).T  # function i at the inputs of prompt i
        last_1T = (np.arange(y_BT.shape[1]) == y_BT.shape[1] - 1)[None]
        return Case(setting, case.x_BTD, y_BT[None], last_1T)

    def worked(self, rng: np.random.Generator, count: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Draw worked examples from the class of functions that is asked."""
        plain = dataclasses.replace(self, **dict.fromkeys(CURRICULA))
        return super(FunctionTask, plain).worked(rng, count)


def require_functions(task: Task) -> FunctionTask:
    """The task, if it is to predict values of functions.

    Raises:
        InputError: it is another kind of task.
    """
    if not isinstance(task, FunctionTask):
        raise InputError(f"this needs a run that learned functions, not {task}")
    return task
