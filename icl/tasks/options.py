"""Options of a task and of its test, each written once; nothing here imports JAX."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from attention.command_line import Between, Repeated
from attention.options import Count, Seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What the prompts consist of.

    Attributes:
        inputs: distribution of x: normal:MEAN,DEVIATION, uniform:LOW,HIGH, or mix:A|B of two
        functions: class of functions, distribution of its coefficients, or CLASS@DISTRIBUTION
        points: points of a prompt
        inverse: predict x from f(x)
        design: how the numbers of the tasks every and some are drawn
        labels: show the labels of earlier points (every, some)
        point_curriculum: number of points that count, as START:END:INCREMENT:EVERY
        dimension_curriculum: number of coordinates of x that are not zero, in the same form
        degree_curriculum: degree of a polynomial, in the same form
    """

    inputs: str = "normal:0,1"
    functions: str = "normal:0,1"
    points: Count = 41
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
        functions: class of functions, or CLASS@DISTRIBUTION; by default that of the task
        coefficients: distribution of the coefficients; by default that of the task
        inputs: distribution of the inputs; by default that of the task
        labels: show the labels of earlier points (tasks every, some)
        points: points of a prompt; by default as many as the task has
        sweep: what varies; given again, all combinations are tested: sigma=1:10, inputs=1:10,
            inputs=normal:0,1;uniform:-1,1, degree=1,2,3, points=10,41,80, scale=0.5,2 (of the
            values), prompt=sorted,skewed,orthogonal, deviant=3:1000 (POSITION:VALUE); tasks every
            and some have design, sigma, points and deviant
    """

    task: str | None = None
    functions: str | None = None
    coefficients: str | None = None
    inputs: str | None = None
    labels: bool | None = None
    points: Count | None = None
    sweep: Annotated[tuple[str, ...], Repeated(metavar="NAME=VALUES")] = ()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How many prompts there are.

    Attributes:
        count: functions of a setting; every and some have none
        prompts: prompts of a setting, or of each function; by default 64, for every and some 256
        seed: draws functions and inputs
    """

    count: Count = 100
    prompts: Count | None = None
    seed: Seed = 0


@dataclasses.dataclass(frozen=True)
class Form:
    """How a language model is asked.

    Attributes:
        count: questions of a setting
        examples: worked examples before each question
        decimals: of every number
        temperature: 0 takes the most probable answer
        seed: draws functions and inputs
    """

    count: Count = 100
    examples: Annotated[int, Between(ge=0)] = 5
    decimals: Annotated[int, Between(ge=0)] = 2
    temperature: Annotated[float, Between(ge=0)] = 0.0
    seed: Seed = 0


OPTIONS = {field.name for cls in (TaskOptions, PromptOptions) for field in dataclasses.fields(cls)}


def given_options(group: TaskOptions | PromptOptions) -> dict[str, Any]:
    """The options of a group that differ from their defaults, by name."""
    own = TaskOptions if isinstance(group, TaskOptions) else PromptOptions
    pairs = [(getattr(group, field.name), field) for field in dataclasses.fields(own)]
    return {field.name: value for value, field in pairs if value != field.default}
