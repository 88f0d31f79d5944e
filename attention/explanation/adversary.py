"""Two adversaries: other attention with the same predictions, for one decision or for all.

Jain & Wallace 2019 (arXiv:1902.10186) search for other attention for one decision:
:func:`adversarial_attention`.  Wiegreffe & Pinter 2019 (arXiv:1908.04626) object that perhaps no
model produces it.  Their adversary is a model that is trained to attend elsewhere:
:func:`train_adversary`.  Here only queries and keys of the chosen heads are trained, by the loss

    TVD(softmax(logits), softmax(base logits)) − weight · JSD(A, A_base),

with JSD averaged over layers, chosen heads and real rows.  The adversary's attention is a function
of the input, so a model can learn it.  Whether predictions follow it is then evidence about the
base model.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PyTree

from attention.explanation.classifier import Classifier, Inputs, replaced
from attention.explanation.options import Adversary
from attention.training import fit
from attention.transformer import Transformer, TransformerConfig, unstack_layers

BATCH = 16
RATE = 0.03  # of an Adam step, in units of a parameter's root mean square
NOISE = 0.3  # at the start, in the same units: at the base model itself JSD has no gradient
TRAINED = ("query", "key")
Params = Mapping[str, PyTree]
Trained = tuple[dict[str, PyTree], ...]  # what is trained of each layer, by name


def adversarial_attention(
    classifier: Classifier, inputs: Inputs, chosen_LN: Bool[np.ndarray, "L N"], steps: int = 100
) -> Float[np.ndarray, "L N T S"]:
    """Find attention that is far from the model's but keeps the output of one decision.

    Adam works on scores, which start at the logarithms of the attention plus noise.  It minimises

        − mean over rows of JSD(adversary, attention) + 50 max(0, TVD(output) − 0.01).

    Args:
        classifier: the classifier.
        inputs: the text.
        chosen_LN: layers with attention, and heads, whose attention is replaced.
        steps: number of steps.

    Returns:
        Weights in float64, with the sums of the original rows.

    Raises:
        InputError: the model's attention is not finite, or its weights are no distributions.
    """
    logits, layers = classifier.attention(inputs)
    with classifier.precision():
        dtype = jnp.dtype(classifier.config.dtype)
        given = np.stack([layer.weights for layer in layers])
        where = np.stack([layer.seen for layer in layers])
        text = (inputs.tokens[None], inputs.where[None], inputs.types[None], inputs.read or 0)
        found = _search(
            classifier.config, classifier.params, text, chosen_LN, jnp.asarray(given, dtype),
            where, jnp.asarray(logits, dtype), steps,
        )  # fmt: skip
        return np.asarray(found, np.float64)


@functools.partial(jax.jit, static_argnames="config")
def _search(
    config: TransformerConfig,
    params: Params,
    text: tuple[ArrayLike, ...],
    chosen_LN: Array,
    given: Array,
    where: Array,
    logits: Array,
    steps: int,
) -> Array:
    """The search of ``adversarial_attention``: one program for all texts of a length."""
    optimizer = optax.adam(0.1)
    sums = jnp.sum(given, -1, keepdims=True)
    target = given / jnp.where(sums > 0, sums, 1)
    before = jax.nn.softmax(logits)

    def rows(scores: Array) -> Array:
        return jax.nn.softmax(jnp.where(where, scores, -1e9), -1) * where

    def loss(scores: Array) -> Array:
        new = (sums * rows(scores))[:, None]
        tokens, real, types, read = text
        after, _ = replaced(config, params, tokens, real, types, read, chosen_LN, new)
        tvd = 0.5 * jnp.sum(jnp.abs(jax.nn.softmax(after[0]) - before))
        return -jnp.mean(jsd(rows(scores), target)) + 50 * jax.nn.relu(tvd - 0.01)

    def step(_: int, state: tuple[Array, optax.OptState]) -> tuple[Array, optax.OptState]:
        scores, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(scores), moments)
        moved: Any = optax.apply_updates(scores, updates)
        return moved, moments

    noise = jax.random.normal(jax.random.key(0), given.shape, given.dtype)
    scores = jnp.log(target + 1e-6) + noise
    start = scores, optimizer.init(scores)
    return sums * rows(jax.lax.fori_loop(0, steps, step, start)[0])


def train_adversary(
    config: TransformerConfig,
    params: Params,
    texts: list[Inputs],
    chosen_LN: Bool[np.ndarray, "L N"],
    goal: Adversary,
    seed: int = 0,
    directory: str | Path | None = None,
    *,
    quiet: bool = False,
) -> dict[str, PyTree]:
    """Train queries and keys of the chosen heads to attend elsewhere.

    If several query heads share a key head, it is trained if all of them are chosen.

    Args:
        config: of the classifier.
        params: of the classifier.
        texts: texts to train on, padded to one length; labels are not needed.
        chosen_LN: layers with attention, and heads, whose attention must differ.
        goal: weight of the loss and number of steps.
        seed: of the start and of the order of the texts.
        directory: for checkpoints, from which a killed training goes on.
        quiet: show nothing on the terminal.

    Returns:
        The adversary's parameters, unstacked.
    """
    base = unstack_layers(jax.tree.map(jnp.asarray, params))
    start, numbers = _trained(config, base), _trained(config, _numbered(base))
    masks = _masks(start, chosen_LN)
    key = jax.random.key(seed)
    ask = jax.jit(lambda tokens, where, types: _run(config, base, tokens, where, types))
    read = np.array([0 if text.read is None else text.read for text in texts])
    arrays = {
        name: np.stack([getattr(text, name) for text in texts])
        for name in ("tokens", "where", "types")
    }

    def batch(t: int) -> dict[str, ArrayLike]:
        rows = np.random.default_rng([seed, t]).integers(0, len(texts), BATCH)
        part = {name: array[rows] for name, array in arrays.items()}
        output, attention = ask(**part)
        return {**part, "read": read[rows], "output": output, "attention": attention}

    def loss(trained: Trained, batch: dict[str, Array], key: Array) -> tuple[Array, Array, dict]:
        changed = _merged(config, base, trained)
        output, attention = _run(config, changed, batch["tokens"], batch["where"], batch["types"])
        moved = _at(output, batch["read"]) - _at(batch["output"], batch["read"])
        tvd = 0.5 * jnp.abs(moved).sum(-1)
        real = batch["where"][:, None, None, :] & jnp.asarray(chosen_LN)[None, :, :, None]
        apart = jnp.where(real, jsd(attention, batch["attention"]), 0)
        apart = apart.sum((1, 2, 3)) / jnp.maximum(real.sum((1, 2, 3)), 1)
        each = tvd - goal.adversary_weight * apart
        sums = {"output_tvd": tvd.sum(), "attention_jsd": apart.sum()}
        return each.sum(), jnp.float32(len(each)), sums

    def noisy(leaf: Array, mask: Array, number: int) -> Array:
        noise = jax.random.normal(jax.random.fold_in(key, number), leaf.shape, leaf.dtype)
        return leaf + NOISE * jnp.sqrt(jnp.mean(leaf**2)) * mask * noise

    state = fit(
        loss, jax.tree.map(noisy, start, masks, numbers), _optimizer(masks), batch,
        steps=goal.adversary_steps, key=key, directory=directory,
        save_every=max(goal.adversary_steps, 1), log_every=50, quiet=quiet,
    )  # fmt: skip
    return _merged(config, base, state.params)


def jsd(p: Float[Array, "... S"], q: Float[Array, "... S"]) -> Float[Array, ...]:
    """Compute the Jensen-Shannon divergence of rows in nats; its gradient is finite at zero.

    The rows are made distributions first.
    """
    p, q = (x / jnp.maximum(x.sum(-1, keepdims=True), 1e-12) for x in (p, q))
    middle = (p + q) / 2
    part = lambda x: (x * jnp.log((x + 1e-12) / (middle + 1e-12))).sum(-1)  # noqa: E731
    return (part(p) + part(q)) / 2


def _run(
    config: TransformerConfig,
    params: Params,
    tokens: Array,
    where: Array,
    types: Array,
) -> tuple[Float[Array, "B ... C"], Float[Array, "B L N T S"]]:
    """Compute probabilities and attention."""
    found: Any = Transformer(config).apply(
        {"params": params}, tokens, where=where,
        token_type_ids=types if config.type_vocab_size else None, capture=("attention_weights",),
    )  # fmt: skip
    logits, seen = found
    return jax.nn.softmax(logits, -1), jnp.moveaxis(seen["attention_weights"], 0, 1)


def _at(output: Array, read: Array) -> Float[Array, "B C"]:
    """Take the output at the place that is read."""
    return output if output.ndim == 2 else output[jnp.arange(len(read)), read]


def _trained(config: TransformerConfig, params: Params) -> Trained:
    """Take what is trained out of each layer with attention."""
    layers = [params["layers"][i]["attention"] for i in config.attending]
    return tuple({name: attention[name] for name in TRAINED} for attention in layers)


def _merged(config: TransformerConfig, base: Params, trained: Trained) -> dict[str, PyTree]:
    """Put what was trained into the base model."""
    layers = list(base["layers"])
    for i, own in zip(config.attending, trained, strict=True):
        layers[i] = {**layers[i], "attention": {**layers[i]["attention"], **own}}
    return {**base, "layers": tuple(layers)}


def _masks(trained: Trained, chosen_LN: Bool[np.ndarray, "L N"]) -> Trained:
    """Make masks: 1 at the entries of the chosen heads, and 0 at others."""

    def mask(leaf: Array, chosen: Bool[np.ndarray, " N"]) -> Array:
        count = leaf.shape[-2]  # [..., N, H], or [..., K, H]
        entries = jnp.asarray(chosen.reshape(count, -1).all(-1), leaf.dtype)
        return jnp.broadcast_to(entries[:, None], leaf.shape)

    return tuple(
        jax.tree.map(lambda leaf, chosen=chosen: mask(leaf, chosen), layer)
        for layer, chosen in zip(trained, chosen_LN, strict=True)
    )


def _numbered(tree: PyTree) -> PyTree:
    """Replace each leaf of a tree by its number."""
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, range(len(leaves)))


def _optimizer(masks: Trained) -> optax.GradientTransformation:
    """Adam in units of each parameter's size, which leaves entries of other heads as they are."""

    def chosen(updates: PyTree, _: PyTree) -> PyTree:
        return jax.tree.map(jnp.multiply, updates, masks)

    return optax.chain(
        optax.scale_by_adam(),
        optax.scale_by_param_block_rms(),
        optax.scale(-RATE),
        optax.stateless(chosen),
    )
