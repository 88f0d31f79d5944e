"""Specifications: ``ssa:n=2,learn=n+b,per=head`` is a row of the table with other settings.

Settings follow the name, with commas between them:

    n=2                              effective value of a parameter; at the start, if learned
    learn=n+b                        which parameters are learned, or ``none``
    per=layer|head|model             what has its own learned values
    as=raw|exp|1+softplus|1+sigmoid  how learned values are stored
    cap=50                           scores s become 50 tanh(s / 50) first
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from attention.errors import InputError
from attention.normalizers.by_head import listed
from attention.normalizers.definition import CONSTRAINTS, Normalizer, Parameter
from attention.normalizers.formulas import capped


def specified(row: Normalizer, text: str) -> Normalizer:
    """Change a row by the settings of a specification, the text behind ``name:``.

    Raises:
        InputError: a setting is not understood; the message lists those that exist.
    """
    parameters, per, cap = dict(row.parameters), row.per, None
    for setting in filter(None, text.split(",")):
        key, _, value = setting.partition("=")
        if key in parameters:
            number = _number(key, value)
            parameters[key] = dataclasses.replace(parameters[key], value=number)
        elif key == "learn":
            learned = set(value.split("+")) - {"none"}
            check_names(row, learned)
            parameters = {
                each: dataclasses.replace(parameter, learned=each in learned)
                for each, parameter in parameters.items()
            }
        elif key == "cap":
            cap = _number(key, value)
        elif key == "per" and value in ("layer", "head", "model"):
            per = value
        elif key == "as" and value in CONSTRAINTS:
            parameters = {
                each: dataclasses.replace(parameter, domain=value)
                for each, parameter in parameters.items()
            }
        else:
            raise InputError(
                f"the normalizer {row.description}: {setting!r} is not understood; there are "
                f"{', '.join([*parameters, 'learn', 'per=layer|head|model', 'cap'])}, "
                f"as={'|'.join(CONSTRAINTS)}"
            )
    _check_values(parameters)
    row = dataclasses.replace(row, parameters=parameters, per=per)
    return row if cap is None else _with_cap(row, cap)


def with_cap(name: str, cap: float) -> str:
    """The specification ``name`` with the setting ``cap``: ``ssa:n=2`` → ``ssa:n=2,cap=50.0``."""
    return "/".join(f"{part}{',' if ':' in part else ':'}cap={cap!r}" for part in listed(name))


def _with_cap(row: Normalizer, cap: float) -> Normalizer:
    """The row on capped scores: every formula of scores sees ``cap · tanh(s / cap)``."""
    if row.form == "features":
        raise InputError(f"the normalizer {row.description} has no scores that cap={cap:g} caps")
    if not 0 < cap < float("inf"):
        raise InputError(f"the cap of scores must be a positive number, not {cap:g}")
    formulas = {
        name: capped(formula, cap)
        for name in ("logit_transform", "weigh", "base2")
        if (formula := getattr(row, name)) is not None
    }
    return dataclasses.replace(row, **formulas, identity=False, shift_invariant=False)


def check_names(row: Normalizer, names: set[str]) -> None:
    """Raise InputError if the row lacks a parameter of one of these names."""
    if unknown := names - set(row.parameters):
        raise InputError(
            f"the normalizer {row.description} has no parameter {', '.join(sorted(unknown))}; "
            f"it has {', '.join(row.parameters) or 'none'}"
        )


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"normalizer parameter {name} must be a number, not {text!r}") from None


def _check_values(parameters: Mapping[str, Parameter]) -> None:
    for name, parameter in parameters.items():
        low, high = parameter.bounds
        if not low < parameter.value < high:
            raise InputError(
                f"normalizer parameter {name} must be between {low:g} and {high:g}, "
                f"not {parameter.value:g}"
            )
