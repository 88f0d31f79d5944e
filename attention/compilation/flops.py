"""Operations: those of a traced function, with the trips of its loops, and those a step needs."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax.extend import core
from jaxtyping import PyTree

from attention.transformer import TransformerConfig


def count_flops(jaxpr: core.ClosedJaxpr | core.Jaxpr) -> float:
    """Count ``2 · m · n · k`` of every product, over all devices.

    A loop counts as often as it runs, where that is known; a choice as its most expensive branch; a
    fused kernel as its grid times what it does in one place.

    Args:
        jaxpr: of the whole step, as ``jitted.trace(…).jaxpr`` gives it.
    """
    inner = jaxpr.jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else jaxpr
    return sum(map(_of_equation, inner.eqns))


def _of_equation(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product(equation)
    parts = [count_flops(each) for each in _inner(params)]
    if name == "scan":
        return params["length"] * sum(parts)
    if name == "cond":
        return max(parts, default=0)
    if name == "shard_map":
        return params["mesh"].size * sum(parts)
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid) * sum(parts)
    return sum(parts)


def _inner(params: dict[str, Any]) -> list[Any]:
    """The functions that an operation runs."""
    values = (v if isinstance(v, tuple | list) else [v] for v in params.values())
    kinds = core.ClosedJaxpr | core.Jaxpr
    return [each for value in values for each in value if isinstance(each, kinds)]


def _product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left, out = equation.invars[0].aval, equation.outvars[0].aval
    return 2.0 * math.prod(out.shape) * math.prod(left.shape[i] for i in contracted)


def model_flops(parameters: int, tokens: int, attention: float, *, backward: bool) -> float:
    """Operations that a step needs at least: ``6 · parameters · tokens``, and those of attention.

    Args:
        parameters: in matrices that every token meets.
        tokens: of the step.
        attention: operations of the scores and the weighted values, forward.
        backward: whether gradients are computed too.
    """
    return (3 if backward else 1) * (2.0 * parameters * tokens + attention)


def matrix_parameters(config: TransformerConfig, params: PyTree) -> int:
    """Parameters of layers and of the head; a table that is only looked up costs nothing.

    Args:
        config: of the model.
        params: of the model, stacked; their shapes are enough.
    """
    layers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params["layers"]))
    return layers + (config.vocab_size or 0) * config.hidden_size


def row_flops(
    config: TransformerConfig, params: PyTree, batch: int, length: int, *, backward: bool
) -> float:
    """Operations that a step on whole rows needs at least; a causal query sees half of the keys.

    Args:
        config: of the model.
        params: of the model, stacked; their shapes are enough.
        batch: rows.
        length: tokens of a row.
        backward: whether gradients are computed too.
    """
    heads = config.num_attention_heads * config.head_size
    share = 0.5 if config.causal else 1.0
    attention = 4.0 * share * config.num_hidden_layers * batch * length**2 * heads
    tokens = batch * length
    return model_flops(matrix_parameters(config, params), tokens, attention, backward=backward)
