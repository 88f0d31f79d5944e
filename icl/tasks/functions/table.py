"""Classes of functions to be learnt in context: drawn by a key, evaluated at points.

Each member draws one function (``draw``) and evaluates it (``value``); batches come from ``vmap``.
The number of dimensions and the degree in use may be data (a curriculum): what lies beyond is
multiplied by zero, so that shapes, and the compiled program, stay the same.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from attention.errors import InputError
from icl.tasks.functions.classes import FunctionClass
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

KINDS = (
    *(Affine, Linear, Polynomial, Chebyshev),
    *(Sparse, NoisyLinear, Quadratic, ReluNetwork, DecisionTree, Classification),
)
FUNCTIONS: dict[str, type[FunctionClass]] = {kind.name: kind for kind in KINDS}


def function_class(text: str) -> FunctionClass:
    """Read ``affine``, ``linear:d=20``, ``polynomial:degrees=1+3+5``, ``tree:d=5,depth=3``.

    Raises:
        InputError: one line that says what is not understood and what there is.
    """
    name, _, settings = text.strip().partition(":")
    if name not in FUNCTIONS:
        raise InputError(f"unknown functions {name!r}; there are {', '.join(FUNCTIONS)}")
    kind = FUNCTIONS[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        try:
            given[key] = _READ[str(fields[key].type)](value)
        except (KeyError, ValueError):
            raise InputError(
                f"functions {text!r}: {setting!r} is not understood; "
                f"{name} has {', '.join(f'{each}=' for each in fields)}"
            ) from None
    return kind(**given)


_READ: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
    "tuple[int, ...]": lambda text: tuple(int(number) for number in text.split("+")),
}
