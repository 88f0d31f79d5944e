"""Options of a task and of its test, each written once; nothing here imports JAX."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal

from attention.command_line import Repeated
from attention.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What the task asks.

    Attributes:
        inputs: distribution of x: normal:MEAN,DEVIATION, uniform:LOW,HIGH, or mix:A|B of two
        functions: class of functions, distribution of its coefficients, or CLASS@DISTRIBUTION
        points: points of a prompt
        inverse: predict x from f(x)
        design: how the numbers of every and some are drawn
        labels: show the labels of earlier points (every, some)
        point_curriculum: START:END:INCREMENT:EVERY; how many points count
        dimension_curriculum: the same; how many coordinates of x are not zero
        degree_curriculum: the same; degree of a polynomial
    """

    inputs: str = "normal:0,1"
    functions: str = "normal:0,1"
    points: int = 41
    inverse: bool = False
    design: Literal["plain", "balanced", "rare", "late"] = "plain"
    labels: bool = True
    point_curriculum: str | None = None
    dimension_curriculum: str | None = None
    degree_curriculum: str | None = None


@dataclasses.dataclass(frozen=True)
class PromptOptions:
    """What is asked.

    Attributes:
        task: name of a task, as in a preset; by default that of the run (icl evaluate), or linear
        functions: class of functions, or CLASS@DISTRIBUTION; by default the task's
        coefficients: their distribution; by default the task's
        inputs: their distribution; by default the task's
        labels: show the labels of earlier points (every, some)
        points: points of a prompt; by default the task's
        sweep: what is varied, a grid if it is given again: sigma=1:10, inputs=1:10,
            inputs=normal:0,1;uniform:-1,1, degree=1,2,3, points=10,41,80, order=drawn,sorted,
            deviant=3:1000 (POSITION:VALUE); of every and some: design, sigma, points, deviant
    """

    task: str | None = None
    functions: str | None = None
    coefficients: str | None = None
    inputs: str | None = None
    labels: bool | None = None
    points: int | None = None
    sweep: Annotated[tuple[str, ...], Repeated(metavar="NAME=VALUES")] = ()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How many prompts there are.

    Attributes:
        count: functions of a setting (classes of functions)
        prompts: prompts of a setting, or of each function; 256 of every and some, otherwise 64
        seed: draws functions and inputs
    """

    count: int = 100
    prompts: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(count=self.count, prompts=self.prompts)
        require_seed(self.seed)


@dataclasses.dataclass(frozen=True)
class Form:
    """How a language model is asked.

    Attributes:
        count: questions of a setting
        examples: worked examples before each question
        decimals: of every number
        temperature: 0 takes the most probable answer
        seed: draws functions and inputs

    Raises:
        InputError: a number is out of range.
    """

    count: int = 100
    examples: int = 5
    decimals: int = 2
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(count=self.count)
        require_seed(self.seed)
        if min(self.examples, self.decimals) < 0 or not 0 <= self.temperature < math.inf:
            raise InputError("--examples, --decimals and --temperature must not be negative")


OPTIONS = {field.name for cls in (TaskOptions, PromptOptions) for field in dataclasses.fields(cls)}


def given_options(group: TaskOptions | PromptOptions) -> dict[str, Any]:
    """The options of a task that are not the default."""
    own = TaskOptions if isinstance(group, TaskOptions) else PromptOptions
    pairs = [(getattr(group, field.name), field) for field in dataclasses.fields(own)]
    return {field.name: value for value, field in pairs if value != field.default}


def require_positive(**counts: int | None) -> None:
    """Check that counts are at least 1, or None.

    Raises:
        InputError: one of them is not; the message names its option.
    """
    for name, count in counts.items():
        if count is not None and count < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {count}")


def require_seed(seed: int, seeds: int = 1) -> None:
    """Check that a seed, or each of so many from it on, is one of JAX and NumPy.

    Raises:
        InputError: it is not.
    """
    if not 0 <= seed <= 2**32 - seeds:
        raise InputError(f"a seed is a whole number from 0 to 2^32 - 1, not {seed}")
