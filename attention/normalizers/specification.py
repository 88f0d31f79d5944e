"""Specifications: ``ssa:n=2,learn=n+b,per=head`` is a row of the table with other settings.

Settings follow the name, with commas between them:

    n=2                              effective value of a parameter; at the start, if learned
    learn=n+b                        which parameters are learned, or ``none``
    per=layer|head|model             what has its own learned values
    as=raw|exp|1+softplus|1+sigmoid  how learned values are stored
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from attention.errors import InputError
from attention.normalizers.definition import CONSTRAINTS, Normalizer, Parameter


def specified(row: Normalizer, text: str) -> Normalizer:
    """Change a row by the settings of a specification, the text behind ``name:``.

    Raises:
        InputError: a setting is not understood; the message lists those that exist.
    """
    parameters, per = dict(row.parameters), row.per
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
                f"{', '.join([*parameters, 'learn', 'per=layer|head|model'])}, "
                f"as={'|'.join(CONSTRAINTS)}"
            )
    _check_values(parameters)
    return dataclasses.replace(row, parameters=parameters, per=per)


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
