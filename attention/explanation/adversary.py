"""An adversary that is trained: other attention, the same predictions, over a whole data set.

Wiegreffe & Pinter 2019 (arXiv:1908.04626) object to adversarial attention made for one example
(Jain & Wallace 2019): no model need produce it.  Theirs is a model whose attention is trained to
differ from that of a base model.  Here, queries and keys of the chosen heads are trained, all else
stays as it is, and the loss is

    TVD(softmax(logits), softmax(base logits)) − weight · JSD(A, A_base),

JSD averaged over layers, chosen heads and real rows.  Its attention is a function of the input, so
that it could have been learnt; whether predictions follow it is then evidence about the base model.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from attention.explanation.classifier import Inputs
from attention.training import fit
from attention.transformer import Transformer, TransformerConfig, unstack_layers

BATCH = 16
RATE = 0.03  # of an Adam step, in units of a parameter's root mean square
NOISE = 0.3  # of the start, in the same units: at the base model itself JSD has no gradient
TRAINED = ("query", "key")


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is trained.

    Attributes:
        weight: of the JSD of attention against the TVD of outputs.
        steps: of training.
        seed: of the start and of the order of the examples.
    """

    weight: float = 0.5
    steps: int = 150
    seed: int = 0


def train_adversary(
    config: TransformerConfig,
    params: Any,
    examples: list[Inputs],
    chosen_LN: Bool[np.ndarray, "L N"],
    goal: Goal,
    directory: str | Path | None = None,
    *,
    quiet: bool = False,
) -> Any:
    """Parameters like ``params``, with other queries and keys of the chosen heads.

    A key head that several query heads share is trained if all of them are chosen.

    Args:
        config: of a classifier.
        params: its parameters.
        examples: to train on, padded to one length; their labels are not used.
        chosen_LN: layers and heads whose attention is to differ.
        goal: the loss and how long it is followed.
        directory: of checkpoints, from which a killed training goes on.
        quiet: nothing on the terminal.
    """
    base = unstack_layers(jax.tree.map(jnp.asarray, params))
    masks = _masks(config, base, chosen_LN)
    key = jax.random.key(goal.seed)
    ask = jax.jit(lambda tokens, where, types: _run(config, base, tokens, where, types))
    read = np.array([0 if e.read is None else e.read for e in examples])
    arrays = {
        name: np.stack([getattr(e, name) for e in examples])
        for name in ("tokens", "where", "types")
    }
    heads = jnp.asarray(chosen_LN)

    def batch(t: int) -> dict[str, Any]:
        rows = np.random.default_rng([goal.seed, t]).integers(0, len(examples), BATCH)
        part = {name: array[rows] for name, array in arrays.items()}
        output, attention = ask(**part)
        return {**part, "read": read[rows], "output": output, "attention": attention}

    def loss(params: Any, batch: dict[str, Any], key: Array) -> tuple[Array, Array, dict]:
        # What is not trained gets no gradient, and its backward pass is not computed.
        params = jax.tree.map(
            lambda leaf, mask: leaf if mask is not None else jax.lax.stop_gradient(leaf),
            params, masks, is_leaf=lambda leaf: leaf is None,
        )  # fmt: skip
        output, attention = _run(config, params, batch["tokens"], batch["where"], batch["types"])
        tvd = 0.5 * jnp.abs(_at(output, batch["read"]) - _at(batch["output"], batch["read"])).sum(
            -1
        )
        real = batch["where"][:, None, None, :] & heads[None, :, :, None]
        apart = jnp.where(real, jsd(attention, batch["attention"]), 0)
        apart = apart.sum((1, 2, 3)) / jnp.maximum(real.sum((1, 2, 3)), 1)
        each = tvd - goal.weight * apart
        sums = {"output_tvd": tvd.sum(), "attention_jsd": apart.sum()}
        return each.sum(), jnp.float32(len(each)), sums

    start = _noisy(base, masks, key)
    state = fit(
        loss, start, _optimizer(masks), batch, steps=goal.steps, key=key, directory=directory,
        save_every=max(goal.steps, 1), log_every=50, quiet=quiet,
    )  # fmt: skip
    return state.params


def _noisy(base: Any, masks: Any, key: Array) -> Any:
    """Where training starts."""

    def moved(leaf: Array, mask: Array | None, number: int) -> Array:
        if mask is None:
            return leaf
        noise = jax.random.normal(jax.random.fold_in(key, number), leaf.shape, leaf.dtype)
        return leaf + NOISE * jnp.sqrt(jnp.mean(leaf**2)) * mask * noise

    return jax.tree.map(moved, base, masks, _numbered(base), is_leaf=lambda leaf: leaf is None)


def jsd(p: Float[Array, "... S"], q: Float[Array, "... S"]) -> Float[Array, ...]:
    """Jensen-Shannon divergence of rows made distributions, in nats; differentiable at zero."""
    p, q = (x / jnp.maximum(x.sum(-1, keepdims=True), 1e-12) for x in (p, q))
    middle = (p + q) / 2
    part = lambda x: (x * jnp.log((x + 1e-12) / (middle + 1e-12))).sum(-1)  # noqa: E731
    return (part(p) + part(q)) / 2


def _run(config: TransformerConfig, params: Any, tokens, where, types) -> tuple[Array, Array]:
    """Probabilities ``[B, (T,) C]`` and attention ``[B, L, N, T, S]``."""
    found: Any = Transformer(config).apply(
        {"params": params}, tokens, where=where,
        token_type_ids=types if config.type_vocab_size else None, capture=("attention_weights",),
    )  # fmt: skip
    logits, seen = found
    return jax.nn.softmax(logits, -1), jnp.moveaxis(seen["attention_weights"], 0, 1)


def _at(output: Array, read: Array) -> Array:
    """The output at the place that is read."""
    return output if output.ndim == 2 else output[jnp.arange(len(read)), read]


def _masks(config: TransformerConfig, params: Any, chosen_LN: np.ndarray) -> Any:
    """For each leaf: which entries are trained, or None."""
    heads, shared = config.num_attention_heads, config.key_value_heads

    def mask(path: tuple, leaf: Array) -> Array | None:
        names = [getattr(part, "key", getattr(part, "idx", None)) for part in path]
        if len(names) < 5 or names[0] != "layers" or names[2:3] != ["attention"]:
            return None
        if names[3] not in TRAINED:
            return None
        chosen = np.asarray(chosen_LN[names[1]])
        if names[3] == "key":
            chosen = chosen.reshape(shared, heads // shared).all(-1)
        if not chosen.any():
            return None
        return jnp.broadcast_to(jnp.asarray(chosen, leaf.dtype)[:, None], leaf.shape)  # … N, H

    return jax.tree_util.tree_map_with_path(mask, params)


def _numbered(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, range(len(leaves)))


def _optimizer(masks: Any) -> optax.GradientTransformation:
    """Adam in units of each parameter's size; entries that are not chosen never move."""
    kept = jax.tree.map(lambda mask: mask is not None, masks, is_leaf=lambda leaf: leaf is None)
    only = optax.stateless(
        lambda updates, _: jax.tree.map(
            lambda update, mask: jnp.zeros_like(update) if mask is None else update * mask,
            updates,
            masks,
            is_leaf=lambda leaf: leaf is None,
        )
    )
    adam = optax.chain(optax.scale_by_adam(), optax.scale_by_param_block_rms(), optax.scale(-RATE))
    return optax.chain(optax.masked(adam, kept), only)
