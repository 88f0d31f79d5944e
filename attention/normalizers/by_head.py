"""A list of normalizers, one for each head: ``softmax*2/ssa:n=2*2`` is a row like any other.

Specifications stand between slashes, in the order of the query heads; ``*2`` gives one to so many
heads.  Every formula is computed for all heads, and ``where`` takes each head's own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

import jax.numpy as jnp
from jaxtyping import Array

from attention.errors import InputError
from attention.normalizers.definition import Domain, Normalizer, Parameter
from attention.normalizers.formulas import Values, Where, masked_softmax

CHOICE = "formula"
"""The parameter, never learned, that numbers the formula of each head, from 1 on."""
_TIMES = re.compile(r"(.*)\*([1-9][0-9]{0,3})")


def listed(name: str) -> list[str]:
    """The specification of each head that a list names; one alone if it is no list."""
    parts = []
    for part in name.split("/"):
        times = _TIMES.fullmatch(part)
        parts += [times[1]] * int(times[2]) if times else [part]
    return parts


def by_head(rows: Sequence[Normalizer]) -> Normalizer:
    """Give each head its own normalizer: ``w[h] = rows[h](s[h])``.

    Args:
        rows: one for each query head, all of form ``scores``.

    Returns:
        A row with ``per=head``.  Parameters of one name are one array, ``[N]``; a head whose
        normalizer does not have it holds a value that nothing reads.

    Raises:
        InputError: a normalizer works on queries and keys, or heads store a parameter differently.
    """
    if odd := [row for row in rows if row.form == "features"]:
        raise InputError(f"a list of normalizers has scores; {odd[0].description} has none")
    formulas: list[Normalizer] = []
    for row in rows:
        formulas += [row] if row not in formulas else []
    choice = tuple(formulas.index(row) + 1.0 for row in rows)
    transforms = all(row.logit_transform is not None and not row.sink for row in rows)
    return Normalizer(
        " / ".join(row.description for row in rows),
        logit_transform=_transform(formulas) if transforms else None,
        weigh=None if transforms else _weigh(formulas),
        parameters=_parameters(rows) | {CHOICE: Parameter(1.0, learned=False, by_head=choice)},
        per="head",
        heads=len(rows),
        uses_count=any(row.uses_count for row in rows),
        identity=all(row.identity and not row.sink for row in rows),
        sums_to_one=all(row.sums_to_one for row in rows),
        non_negative=all(row.non_negative for row in rows),
        shift_invariant=all(row.shift_invariant for row in rows),
    )


def _parameters(rows: Sequence[Normalizer]) -> dict[str, Parameter]:
    """The parameters of all heads, each with a value for every head."""
    found: dict[str, Parameter] = {}
    for name in dict.fromkeys(name for row in rows for name in row.parameters):
        own = [row.parameters[name] for row in rows if name in row.parameters]
        kinds = {(each.domain if each.learned else "", each.learned) for each in own}
        if len(kinds) > 1:
            raise InputError(
                f"the heads of a list must all learn {name} or none, and store it alike "
                f"(as={'|'.join(get_args(Domain))})"
            )
        values = tuple(row.parameters.get(name, own[0]).value for row in rows)
        found[name] = dataclasses.replace(own[0], by_head=values)
    return found


def _chosen(formulas: Sequence[Callable[[], Array]], choice: Array) -> Array:
    """The result of each head's own formula."""
    result = formulas[0]()
    for number, formula in enumerate(formulas[1:], start=2):
        result = jnp.where(choice == number, formula(), result)
    return result


def _own(row: Normalizer, values: Values) -> dict[str, Any]:
    return {name: values[name] for name in row.parameters}


def _transform(rows: Sequence[Normalizer]) -> Callable[[Array, Values, Array], Array]:
    def transform(scores: Array, values: Values, count: Array) -> Array:
        def of(row: Normalizer) -> Callable[[], Array]:
            assert row.logit_transform is not None  # the caller looked
            formula = row.logit_transform
            return lambda: formula(scores, _own(row, values), count)

        return _chosen([of(row) for row in rows], values[CHOICE])

    return transform


def _weigh(rows: Sequence[Normalizer]) -> Callable[[Array, Where, Values, Array], Array]:
    def weigh(scores: Array, where: Where, values: Values, count: Array) -> Array:
        def of(row: Normalizer) -> Array:
            own = _own(row, values)
            if row.logit_transform is not None:
                return masked_softmax(row.logit_transform(scores, own, count), where, row.sink)
            assert row.weigh is not None  # a row of scores has one of the two
            return row.weigh(scores, where, own, count)

        return _chosen([lambda row=row: of(row) for row in rows], values[CHOICE])

    return weigh
