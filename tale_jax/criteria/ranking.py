"""Which layer goes next: by the task's accuracy, or by one of the criteria of other methods.

=============  =====================================================  ==========================
criterion      the layer dropped next is the one whose absence …      ties
=============  =====================================================  ==========================
accuracy       leaves most search examples right (TALE)               the lowest layer
loglikelihood  leaves the right answers most probable                 the lowest layer
perplexity     leaves the text least surprising (SLEB)                the lowest layer
cosine         changes its input least (ShortGPT's block influence)   the lowest layer
random         comes first in a permutation drawn from the seed       none
last           comes last in the model                                none
=============  =====================================================  ==========================

The first three look again after each drop; the last three rank the layers once.  A loss that is
not a number counts as infinite.  All but cosine, whose influence is that of a whole layer, rank
halves of layers too.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.likelihood import Row, RowBatches, token_log_probs
from attention.transformer import TransformerConfig
from tale_jax.models import Model
from tale_jax.scoring import Scorer, choice_rows, layer_states
from tale_jax.tasks import Example
from tale_jax.units import Dropped, Granularity, Unit, Units, add, kept_halves

CriterionName = Literal["accuracy", "loglikelihood", "perplexity", "cosine", "random", "last"]
CRITERIA: tuple[str, ...] = get_args(CriterionName)
Losses = Callable[[Sequence[Dropped]], Iterator[float]]


@dataclasses.dataclass
class Greedy:
    """Drops the layer whose absence gives the smallest loss; the lowest one of equals.

    Attributes:
        name: of the criterion.
        units: of the model.
        losses: of models, smaller being better.
        known: losses from a journal, which are not computed again.
        on_loss: called with what has been computed.
    """

    name: str
    units: Units
    losses: Losses
    known: Mapping[Dropped, float] = dataclasses.field(default_factory=dict)
    on_loss: Callable[[Dropped, float], None] = lambda dropped, loss: None

    def next_layer(self, dropped: Dropped) -> Unit:
        """The layer to drop after ``dropped``."""
        left = self.units.left(dropped)
        models = [add(dropped, layer) for layer in left]
        computed = iter(self.losses([m for m in models if m not in self.known]))
        found = []
        for model in models:
            loss = self.known[model] if model in self.known else next(computed)
            found.append(math.inf if math.isnan(loss) else loss)
            self.on_loss(model, found[-1])
        return left[found.index(min(found))]


@dataclasses.dataclass
class Ranked:
    """Drops layers in an order known from the start."""

    name: str
    order: Sequence[Unit]

    def next_layer(self, dropped: Dropped) -> Unit:
        """The first layer of the order that is still there."""
        return next(layer for layer in self.order if layer not in dropped)


Criterion = Greedy | Ranked


def make_criterion(
    name: str,
    model: Model,
    scorer: Scorer,
    text: Sequence[Row],
    *,
    seed: int = 0,
    granularity: Granularity = "layer",
) -> Criterion:
    """The criterion called ``name``.

    Args:
        name: one of :data:`CRITERIA`.
        model: whose layers are dropped.
        scorer: of the task; accuracy and loglikelihood look at its search split.
        text: what perplexity and cosine read (``calibration``).
        seed: of the random order.
        granularity: what is dropped at a time.

    Raises:
        InputError: no such criterion, or not of halves.
    """
    units = Units(model.config.num_hidden_layers, granularity, model.missing)
    every = units.every
    if name == "accuracy":
        return Greedy(name, units, lambda models: (-float(n) for n in scorer.count(models)))
    if name == "loglikelihood":
        rows = answer_rows(model, scorer.examples["search"])
        return Greedy(name, units, _row_losses(model, rows, scorer.batch_tokens, per_token=False))
    if name == "perplexity":
        return Greedy(name, units, _row_losses(model, text, scorer.batch_tokens, per_token=True))
    if name == "cosine":
        if granularity != "layer":
            raise InputError("the criterion cosine measures whole layers: leave it out for halves")
        influence = block_influence(
            model, RowBatches(text, scorer.batch_tokens, model.batch_sharding)
        )
        return Ranked(name, np.argsort(influence, kind="stable").tolist())
    if name == "random":
        return Ranked(name, [every[i] for i in np.random.default_rng(seed).permutation(len(every))])
    if name == "last":
        return Ranked(name, list(every[::-1]))
    raise InputError(f"unknown criterion {name!r}; there are {', '.join(CRITERIA)}")


def answer_rows(model: Model, examples: Sequence[Example]) -> list[Row]:
    """One row an example: its prompt and, as targets, the tokens of its right answer."""
    answered = [
        dataclasses.replace(
            e, choices=(e.choices[int(e.answer)] if e.choices else str(e.answer),), answer=0
        )
        for e in examples
    ]
    return choice_rows(model.tokenizer, answered)


def _row_losses(model: Model, rows: Sequence[Row], batch_tokens: int, *, per_token: bool) -> Losses:
    """``−Σ log p(targets)``, a token (log perplexity) or a row (the mean answer)."""
    loaded = RowBatches(rows, batch_tokens, model.batch_sharding)
    count = sum(len(row.targets) for row in rows) if per_token else len(rows)

    def losses(models: Sequence[Dropped]) -> Iterator[float]:
        for dropped in models:
            keep = np.array(kept_halves(dropped, model.config.num_hidden_layers))
            scores = token_log_probs(model.config, model.params, loaded, keep)
            yield -math.fsum(s.log_probs.sum(dtype=np.float64) for s in scores) / count

    return losses


def block_influence(model: Model, text: RowBatches) -> Float[np.ndarray, " L"]:
    """``1 − E_t[x_t · y_t / (|x_t| |y_t|)]`` of each layer's input x and output y, over all tokens.

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
