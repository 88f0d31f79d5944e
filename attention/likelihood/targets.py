"""The log-probability of given tokens under any language model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from attention.likelihood.batches import Arrays
from attention.likelihood.memory import RowBatches
from attention.transformer import Branches, Transformer, TransformerConfig

MOST_LOGITS = 2**26
"""Most numbers in the logits of a batch; more places than that are read in blocks."""
PACKED_LOGITS, PACKED_BLOCKS = 2**22, 8
"""Where there would be more than so many, places of padding are left out, in so many blocks."""


class TargetScores(NamedTuple):
    """What a model thinks of given tokens.

    Attributes:
        log_probs: ``log p(target)`` in nats.
        likeliest: whether no other token is more probable.
    """

    log_probs: Float[Array, "*B P"]
    likeliest: Bool[Array, "*B P"]


def token_log_probs(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    batches: RowBatches,
    keep: Bool[Array | np.ndarray, "L 2"] | None = None,
    uniform: Bool[Array | np.ndarray, " L"] | None = None,
) -> list[TargetScores]:
    """Compute ``log p(target | what its place sees)`` of all targets of each row.

    Args:
        config: of a causal or masked language model.
        params: stacked or unstacked; ``keep`` needs stacked ones.
        batches: the rows.
        keep: which halves ``[layer, (attention, mlp)]`` run.  It is data: another choice runs the
            same program.
        uniform: layers ``[layer]`` in which every key that is seen gets the same weight; data too,
            in place of ``keep``.

    Returns:
        For each row, NumPy arrays ``[targets]`` in the order of its targets.

    Raises:
        ValueError: the model has no language-model head.
    """
    if config.head not in ("causal_lm", "masked_lm"):
        raise ValueError(f"the head {config.head} gives no probabilities of tokens")
    branched = batches.branched
    found = batches.run(
        lambda arrays: _read(config, params, arrays, keep, uniform, branched=branched)
    )
    counts = [len(row.targets) for row in batches.rows]
    return [
        TargetScores(log_probs[:count], likeliest[:count])
        for log_probs, likeliest, count in zip(*found, counts, strict=True)
    ]


@functools.partial(jax.jit, static_argnames=("config", "branched"))
def _read(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    arrays: Arrays,
    keep: Bool[Array, "L 2"] | None,
    uniform: Bool[Array, " L"] | None,
    *,
    branched: bool,
) -> TargetScores:
    """Score the targets of one batch; the scores of padding have no meaning."""
    who: dict[str, Any] = {"where": arrays.where}
    if branched:
        who = {"branches": Branches(arrays.branches, arrays.positions)}
    how = who | {"keep": keep, "read_at": arrays.places, "logits": False}
    how |= {} if uniform is None else {"tap": functools.partial(_made_uniform, uniform)}
    states_BUD: Any = Transformer(config).apply({"params": params}, arrays.tokens, **how)
    return score_targets(config, params, states_BUD, arrays.targets, arrays.reads)


def _made_uniform(
    uniform_L: Bool[Array, " L"],
    layer: int,
    weights_BNTS: Float[Array, "B N T S"],
    values_BKSH: Float[Array, "B K S H"],
    mask_BTS: Bool[Array, "#B T S"],
) -> Float[Array, "B N T S"]:
    """The weights of a layer, or the same one on every key that is seen."""
    del values_BKSH
    seen = mask_BTS[:, None].astype(weights_BNTS.dtype)
    even = seen / jnp.maximum(seen.sum(-1, keepdims=True), 1)
    return jnp.where(uniform_L[layer], even, weights_BNTS)


def score_targets(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    states_BUD: Float[Array, "B U D"],
    targets_BP: Int[Array, "B P"],
    reads_BP: Int[Array, "B P"],
) -> TargetScores:
    """Compute ``log p(target)`` from the states of the places that predict the targets.

    The logits of a place are computed once, in blocks of places if there are many.  Call it inside
    a jitted function.

    Args:
        config: of the model.
        params: of the model; the final norm and the head are used.
        states_BUD: after the last layer (``Transformer`` with ``logits=False``).
        targets_BP: tokens.
        reads_BP: which of the places U predicts each target.
    """
    batch, places, _ = states_BUD.shape
    model = Transformer(config)

    def read(states_BuD: Array, reads_BP: Array) -> tuple[Array, Array, Array]:
        """Logits of the targets, and the log-sum-exp and maximum of what predicts them."""
        logits_BuV: Any = model.apply({"params": params}, states_BuD, method="read_out")
        rows = jnp.arange(len(reads_BP))[:, None]
        return (
            logits_BuV[rows, reads_BP, targets_BP],
            jax.nn.logsumexp(logits_BuV, axis=-1)[rows, reads_BP],
            jnp.max(logits_BuV, axis=-1)[rows, reads_BP],
        )

    vocab = config.vocab_size or 1
    size = max(1, MOST_LOGITS // (batch * vocab))
    count = -(-places // size)
    packed = places > 1 and batch * places * vocab > PACKED_LOGITS and jax.device_count() == 1
    if packed:  # several devices share rows, and would have to exchange their states
        states_BUD, reads_BP, used = _packed(states_BUD, reads_BP)
        size = max(1, min(MOST_LOGITS // vocab, -(-batch * places // PACKED_BLOCKS)))
        count, targets_BP = -(-used // size), targets_BP.reshape(1, -1)
    if not packed and places <= size:
        chosen_BP, total_BP, most_BP = read(states_BUD, reads_BP)
    else:
        padding = -states_BUD.shape[1] % size
        padded = jnp.pad(states_BUD, ((0, 0), (0, padding), (0, 0)))

        def block(i: Array, found: Any) -> Any:
            local_BP = reads_BP - i * size
            own_BP = (local_BP >= 0) & (local_BP < size)
            states_BuD = jax.lax.dynamic_slice_in_dim(padded, i * size, size, axis=1)
            new = read(states_BuD, jnp.clip(local_BP, 0, size - 1))
            return tuple(jnp.where(own_BP, n, o) for n, o in zip(new, found, strict=True))

        start = (jnp.zeros(targets_BP.shape, jnp.promote_types(states_BUD.dtype, "float32")),) * 3
        chosen_BP, total_BP, most_BP = jax.lax.fori_loop(0, count, block, start)
    scores = TargetScores(chosen_BP - total_BP, chosen_BP >= most_BP)
    return TargetScores(*(each.reshape(batch, -1) for each in scores))


def _packed(
    states_BUD: Float[Array, "B U D"], reads_BP: Int[Array, "B P"]
) -> tuple[Float[Array, "1 B*U D"], Int[Array, "1 B*P"], Int[Array, ""]]:
    """The states of all rows one behind another, those that are read first; and how many those are.

    Rows have different numbers of places, so that half of a batch's places may be padding.
    """
    batch, places, _ = states_BUD.shape
    used_BU = jnp.any(reads_BP[:, :, None] == jnp.arange(places)[None, None], axis=1)
    order = jnp.argsort(~used_BU.reshape(-1), stable=True)
    rank = jnp.argsort(order)
    flat_BP = reads_BP + places * jnp.arange(batch)[:, None]
    states = states_BUD.reshape(1, batch * places, -1)[:, order]
    return states, rank[flat_BP].reshape(1, -1), jnp.sum(used_BU)
