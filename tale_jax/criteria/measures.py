"""The functions of the criteria; each takes a `Basis`, and is a row of `table.CRITERIA`.

A function returns losses of models, or an order of layers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from attention.likelihood import Row, RowBatches, token_log_probs
from attention.transformer import TransformerConfig
from tale_jax.criteria.calibration import answer_rows
from tale_jax.criteria.proposals import Basis
from tale_jax.criteria.table import Losses
from tale_jax.models import LoadedModel
from tale_jax.scoring import layer_states
from tale_jax.units import Dropped, Unit, kept_halves


def accuracy(basis: Basis) -> Losses:
    """Minus the number of search examples that are answered correctly."""
    return lambda models: (-float(count) for count in basis.scorer.count(models))


def loglikelihood(basis: Basis) -> Losses:
    """``−log p(right answer)`` in nats, the mean over the search examples."""
    rows = answer_rows(basis.model, basis.scorer.examples["search"])
    return row_losses(basis.model, rows, len(rows), basis.scorer.batch_tokens)


def perplexity(basis: Basis) -> Losses:
    """The logarithm of the perplexity of the text: the mean of ``−log p(token)``, in nats.

    Source: SLEB, arXiv 2402.09025.
    """
    tokens = sum(len(row.targets) for row in basis.text)
    return row_losses(basis.model, basis.text, tokens, basis.scorer.batch_tokens)


def cosine(basis: Basis) -> Sequence[Unit]:
    """The layers in the order of their block influence, the smallest first."""
    model = basis.model
    text = RowBatches(basis.text, basis.scorer.batch_tokens, model.batch_sharding)
    return np.argsort(block_influence(model, text), kind="stable").tolist()


def attention(basis: Basis) -> Sequence[Unit]:
    """The layers in the order of what their attention is worth, the least first."""
    costs_L = attention_costs(
        basis.model,
        answer_rows(basis.model, basis.scorer.examples["search"]),
        basis.scorer.batch_tokens,
    )
    return np.argsort(costs_L, kind="stable").tolist()


def shuffled(basis: Basis) -> Sequence[Unit]:
    """An order that is drawn from the seed."""
    every = basis.units.every
    return [every[i] for i in np.random.default_rng(basis.seed).permutation(len(every))]


def last(basis: Basis) -> Sequence[Unit]:
    """From the last layer to the first; the MLP of a layer comes before its attention."""
    return basis.units.every[::-1]


def row_losses(model: LoadedModel, rows: Sequence[Row], count: int, batch_tokens: int) -> Losses:
    """Prepare ``−Σ log p(targets) / count`` over all rows, in nats.

    Args:
        model: without whose layers the rows are read.
        rows: what is read, and the targets.
        count: what the sum is divided by.
        batch_tokens: tokens in a batch.
    """
    batches = RowBatches(rows, batch_tokens, model.batch_sharding)

    def losses(models: Sequence[Dropped]) -> Iterator[float]:
        for dropped in models:
            keep = np.array(kept_halves(dropped, model.config.num_hidden_layers))
            scores = token_log_probs(model.config, model.params, batches, keep)
            yield -math.fsum(s.log_probs.sum(dtype=np.float64) for s in scores) / count

    return losses


def attention_costs(
    model: LoadedModel, rows: Sequence[Row], batch_tokens: int
) -> Float[np.ndarray, " L"]:
    """What the attention of each layer is worth, in nats a row.

        Σ (log p(targets) − log p(targets | the layer sees all its keys alike)) / rows

    A layer without attention is worth 0.

    Args:
        model: whose layers are measured.
        rows: what is read, and the targets.
        batch_tokens: tokens in a batch.
    """
    batches = RowBatches(rows, batch_tokens, model.batch_sharding)
    layers = model.config.num_hidden_layers

    def loss(uniform_L: Bool[np.ndarray, " L"]) -> float:
        scores = token_log_probs(model.config, model.params, batches, uniform=uniform_L)
        return -math.fsum(s.log_probs.sum(dtype=np.float64) for s in scores) / len(rows)

    whole = loss(np.zeros(layers, bool))
    return np.array([loss(only) - whole for only in np.eye(layers, dtype=bool)])


def block_influence(model: LoadedModel, text: RowBatches) -> Float[np.ndarray, " L"]:
    """The block influence of each layer with input x and output y, a mean over tokens t.

        1 − E_t[x_t · y_t / (|x_t| |y_t|)]

    Args:
        model: whose layers are measured.
        text: the tokens.

    Source: ShortGPT, arXiv 2403.03853.
    """

    @functools.partial(jax.jit, static_argnums=0)
    def similarities(config: TransformerConfig, params: Any, tokens_BT: Any, where_BT: Any) -> Any:
        states_LBTD = layer_states(config, params, tokens_BT, where_BT).astype(jnp.float32)
        norms_LBT = jnp.linalg.norm(states_LBTD, axis=-1)
        dots_LBT = jnp.sum(states_LBTD[:-1] * states_LBTD[1:], axis=-1)
        cosines_LBT = dots_LBT / jnp.maximum(norms_LBT[:-1] * norms_LBT[1:], 1e-30)
        sums_LB = jnp.sum(jnp.where(where_BT[None], cosines_LBT, 0), axis=-1)
        return sums_LB.T, jnp.sum(where_BT, axis=-1)

    sums_RL, counts_R = text.run(
        lambda arrays: similarities(model.config, model.params, arrays.tokens, arrays.where)
    )
    return 1 - np.sum(sums_RL, axis=0, dtype=np.float64) / np.sum(counts_R)
