"""The table of normalizers: a new one is a formula and a row.

A row is picked by its name, or by a specification such as ``ssa:n=2,learn=n+b,per=head``:
``NORMALIZERS.pick(spec)``.  ``NORMALIZERS["cubed"] = Normalizer(…)`` adds a row from outside, and
``module:function`` or ``module:ROW`` of one's own is one too.  ``softmax*2/ssa*2`` is a list with a
normalizer for each of four heads (``by_head``).
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Array

from attention.choices import Choices
from attention.normalizers import base2, formulas
from attention.normalizers.by_head import by_head, listed
from attention.normalizers.definition import Normalizer, Parameter
from attention.normalizers.formulas import Values
from attention.normalizers.specification import specified

_ROWS = {
    "softmax": Normalizer("softmax(s)", formulas.softmax, identity=True, shift_invariant=True),
    "temperature": Normalizer(
        "softmax(s / temperature)",
        formulas.temperature,
        parameters={"temperature": Parameter(1.0)},
        shift_invariant=True,
    ),
    "softcap": Normalizer(
        "softmax(c tanh(s/c))", formulas.soft_cap, parameters={"c": Parameter(50.0, learned=False)}
    ),
    "ssa": Normalizer(
        "softmax(n sgn(s) log(1 + b|s|))",
        formulas.ssa,
        base2=base2.ssa,
        parameters={"n": Parameter(1.5), "b": Parameter(0.8, learned=False)},
    ),
    "ssmax": Normalizer(
        "softmax(scale log(N) s), N keys",
        formulas.ssmax,
        parameters={"scale": Parameter(0.43)},
        uses_count=True,
        shift_invariant=True,
    ),
    "softmax1": Normalizer(
        "e^s / (1 + sum e^s)", formulas.softmax, identity=True, sink=True, sums_to_one=False
    ),
    "sigmoid": Normalizer(
        "sigmoid(s - log N), N keys", weigh=formulas.sigmoid, uses_count=True, sums_to_one=False
    ),
    "softpick": Normalizer(
        "relu(e^s - 1) / sum |e^s - 1|", weigh=formulas.softpick, sums_to_one=False
    ),
    "relu": Normalizer(
        "relu(s) / N, N keys", weigh=formulas.relu, uses_count=True, sums_to_one=False
    ),
    "sparsemax": Normalizer(
        "projection onto the simplex", weigh=formulas.sparsemax, shift_invariant=True
    ),
    "entmax15": Normalizer("1.5-entmax", weigh=formulas.entmax15, shift_invariant=True),
    "entmax": Normalizer(
        "alpha-entmax",
        weigh=formulas.entmax,
        parameters={"alpha": Parameter(1.5, "1+sigmoid")},
        shift_invariant=True,
    ),
    "sasoftmax": Normalizer(
        "softmax(s) times s scaled to [0, 1]", weigh=formulas.self_adjust, sums_to_one=False
    ),
    "linear": Normalizer("phi(q) phi(k), phi = elu + 1", feature_map=formulas.linear),
    "cosformer": Normalizer(
        "relu(q) relu(k) cos(pi/2 (t - s)/length)",
        feature_map=formulas.cosformer,
        position_weight=formulas.cosine_decay,
        parameters={"length": Parameter(2048.0, learned=False)},
    ),
}


def _own(function: Callable[[Array, Values, Array], Array]) -> Normalizer:
    """The row of a user's logit transform, which may read the number of keys."""
    described = (function.__doc__ or "").partition("\n")[0] or "softmax(t(s))"
    return Normalizer(described, function, uses_count=True)


class Normalizers(Choices[Normalizer]):
    """The table, which also reads a list with a normalizer for each head."""

    def pick(self, name: str) -> Normalizer:
        """Find a row by its name or specification, or make the row of a list of them.

        Raises:
            InputError: there is no such row, or its settings or those of a list do not fit.
        """
        parts = listed(name)
        if parts == [name]:
            return super().pick(name)
        return by_head([super(Normalizers, self).pick(part) for part in parts])


NORMALIZERS = Normalizers("normalizer", _ROWS, own=_own, parameters=specified)
