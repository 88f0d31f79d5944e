"""What the implementations without a whole matrix of weights are given: arrays, and what is static.

All of them compute ``softmax(t(scale · q kᵀ)) v``, with the logit transform ``t`` of a normalizer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from attention.dot_product.masks import Visibility

Values = dict[str, Array]  # effective values of a normalizer's parameters


class Form(NamedTuple):
    """What is static in a call.

    Attributes:
        normalizer: its name or specification.
        scale: factor of the scores.
        precision: of the products.
        chunk: queries and keys in one step of ``chunked``.
    """

    normalizer: str
    scale: float
    precision: str | None
    chunk: int


class Operands(NamedTuple):
    """The arrays of a call; the kernels in ``flash`` have the heads before the places.

    Attributes:
        query: queries, grouped by the key head that they read.
        key: keys.
        value: values.
        values: effective parameters of the normalizer; each fits scores ``[B, K, G, T, S]``, or has
            the shape ``[K, G]`` for the kernels in ``flash``.
        visible: which keys a query may see.
    """

    query: Float[Array, "B T K G H"]
    key: Float[Array, "B S K H"]
    value: Float[Array, "B S K H"]
    values: Values
    visible: Visibility


def split_learned(operands: Any) -> tuple[Any, Values, Values]:
    """Read what ``custom_vjp(…, symbolic_zeros=True)`` gives to a forward rule.

    Args:
        operands: an ``Operands`` whose leaves say whether they are differentiated.

    Returns:
        The operands as plain arrays; then the parameters ``values`` with a gradient, and those
        without one.
    """
    plain = jax.tree.map(lambda x: x.value, operands, is_leaf=lambda x: hasattr(x, "perturbed"))
    learned = {name: x.value for name, x in operands.values.items() if x.perturbed}
    fixed = {name: x.value for name, x in operands.values.items() if not x.perturbed}
    return plain, learned, fixed
