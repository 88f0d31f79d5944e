"""The table of classes of functions, and the reader of a class with its settings."""

from __future__ import annotations

import dataclasses
from typing import Any

from attention.choices import Choices
from attention.errors import InputError
from icl.tasks.functions.classes import FunctionClass, read_setting
from icl.tasks.functions.linear import (
    Affine,
    Classification,
    Linear,
    NoisyLinear,
    Quadratic,
    Sparse,
)
from icl.tasks.functions.nonlinear import DecisionTree, ReluNetwork
from icl.tasks.functions.series import Chebyshev, Polynomial
from icl.tasks.functions.unseen import (
    Absolute,
    Exponential,
    FixedPolynomial,
    Sine,
    Smooth,
    Step,
)

FUNCTIONS: Choices[type[FunctionClass]] = Choices(
    "class of functions",
    {
        kind.name: kind
        for kind in (
            *(Affine, Linear, Polynomial, Chebyshev),
            *(Sparse, NoisyLinear, Quadratic, ReluNetwork, DecisionTree, Classification),
            *(Sine, Exponential, Absolute, Step, Smooth, FixedPolynomial),
        )
    },
)


def function_class(text: str) -> FunctionClass:
    """Read ``affine``, ``linear:d=20``, ``polynomial:degrees=1+3+5``, ``tree:d=5,depth=3``.

    Raises:
        InputError: the class or a setting is unknown.
    """
    name, _, settings = text.strip().partition(":")
    kind = FUNCTIONS.pick(name)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        try:
            given[key] = read_setting(value, fields[key].default)
        except (KeyError, ValueError):
            raise InputError(
                f"functions {text!r}: {setting!r} is not understood; "
                f"{name} has {', '.join(f'{each}=' for each in fields)}"
            ) from None
    return kind(**given)
