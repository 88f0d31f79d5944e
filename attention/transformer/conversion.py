"""A pretrained softmax model gets another normalizer, started as close to softmax as it can be.

SSA is softmax only in the limit ``n = 1/b → ∞``; over the scores that a model really has, a finite
n comes close.  The parameters of each layer (or head) minimise the mean divergence
``KL(softmax(s) ‖ softmax(t(s)))`` over the rows of scores ``s`` of a sample of text.  None may be
above ``largest``: a large n is close to softmax, a small one bends more easily in fine-tuning.
``save_pretrained`` writes the result, and ``load_pretrained`` reads it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from attention.dot_product import attention_scores
from attention.errors import InputError
from attention.normalizers import CONSTRAINTS, NORMALIZERS, Normalizer, normalize
from attention.transformer.config import TransformerConfig
from attention.transformer.model import Transformer
from attention.transformer.stacking import with_normalizer_params

ROWS = 1024  # rows of scores that a fit looks at


@dataclasses.dataclass(frozen=True)
class Drift:
    """What a conversion changed, over the tokens it was fitted on.

    Attributes:
        learned: effective value of each learned parameter by layer, the mean of its heads.
        divergence: mean KL divergence of the weights of each layer, in nats.
        score_range: largest absolute score of each layer.
        logit_mean: mean absolute change of a logit.
        logit_max: largest absolute change of a logit.
        logit_std: standard deviation of the logits themselves, for scale.
        agreement: share of positions whose most likely token is the same, 0 to 1.
    """

    learned: dict[str, list[float]]
    divergence: list[float]
    score_range: list[float]
    logit_mean: float
    logit_max: float
    logit_std: float
    agreement: float


def convert(
    config: TransformerConfig,
    params: Mapping[str, Any],
    spec: str,
    tokens_BT: Int[Array | np.ndarray, "B T"],
    where_BT: Bool[Array | np.ndarray, "B T"] | None = None,
    *,
    largest: float = 64.0,
) -> tuple[TransformerConfig, dict[str, Any], Drift]:
    """The same model with the normalizer ``spec``, its learned parameters fitted to softmax.

    Args:
        config: of a softmax model.
        params: stacked.
        spec: e.g. ``ssa:learn=n+b,per=head``; what it does not learn stays at its value.
        tokens_BT: text that the model is made for, ``[B, T]``.
        where_BT: true at real tokens; None: all are.
        largest: upper bound of every parameter.

    Returns:
        The new config, the new (stacked) parameters, and what changed.

    Raises:
        InputError: the model has another normalizer than softmax, or the new one learns nothing or
            is no softmax of a transform, or ``largest`` is too small.
    """
    row = NORMALIZERS.pick(spec)
    if config.normalizer != "softmax":
        raise InputError(f"only softmax models can be converted; this one has {config.normalizer}")
    if row.logit_transform is None or not row.learns or row.heads is not None:
        usable = [name for name, r in NORMALIZERS.items() if r.logit_transform and r.parameters]
        raise InputError(
            f"{spec!r} has no learned parameters that could approach softmax; "
            f"{', '.join(usable)} have"
        )
    lowest = max(1.0 if p.domain.startswith("1+") else 0.0 for p in row.parameters.values())
    if not largest > lowest:
        raise InputError(f"the largest parameter must be above {lowest:g}, not {largest:g}")
    apply = functools.partial(_apply, tokens=tokens_BT, where=where_BT)
    logits, seen = apply(config, params, capture=("queries", "keys", "mask"))
    how: Any = {"scale": config.attention_multiplier, "precision": "highest"}
    scores_LBNTS = jax.vmap(lambda q, k: attention_scores(q, k, **how))(
        seen["queries"], seen["keys"]
    )
    if (cap := config.attn_logit_softcapping) is not None:
        scores_LBNTS = cap * jnp.tanh(scores_LBNTS / cap)
    mask_LBTS = seen["mask"]
    if where_BT is not None:  # rows of padding count for nothing
        mask_LBTS &= jnp.asarray(where_BT)[None, :, :, None]
    fitted = [
        _fit(spec, row, scores, mask, largest)
        for scores, mask in _groups(row, scores_LBNTS, mask_LBTS)
    ]
    converted = dataclasses.replace(config, normalizer=spec)
    stored = _stored(row, fitted, config)
    new = with_normalizer_params(params, stored)
    found, _ = apply(converted, new, capture=("mask",))
    real = slice(None) if where_BT is None else np.asarray(where_BT)
    before, after = np.asarray(logits)[real], np.asarray(found)[real]
    depth = len(scores_LBNTS)
    divergence = np.reshape([each[1] for each in fitted], (1 if row.per == "model" else depth, -1))
    largest_scores = jnp.max(
        jnp.where(mask_LBTS[:, :, None], jnp.abs(scores_LBNTS), 0), axis=(1, 2, 3, 4)
    )
    drift = Drift(
        learned={name: _mean_of_heads(config, row.constrain(stored)[name]) for name in stored},
        divergence=_by_layer(config, np.broadcast_to(divergence.mean(axis=1), depth)).tolist(),
        score_range=_by_layer(config, largest_scores).tolist(),
        logit_mean=float(np.abs(after - before).mean()),
        logit_max=float(np.abs(after - before).max()),
        logit_std=float(before.std()),
        agreement=float((after.argmax(-1) == before.argmax(-1)).mean()),
    )
    return converted, new, drift


@functools.partial(jax.jit, static_argnames=("config", "capture"))
def _apply(
    config: TransformerConfig,
    params: Mapping[str, Any],
    *,
    tokens: Int[Array, "B T"],
    where: Bool[Array, "B T"] | None,
    capture: tuple[str, ...],
) -> Any:
    return Transformer(config).apply({"params": params}, tokens, where=where, capture=capture)


def _groups(row: Normalizer, scores_LBNTS: Array, mask_LBTS: Array) -> list[tuple[Array, Array]]:
    """Rows of scores that share parameters, ``[row, S]`` with their masks, at most ``ROWS``."""
    layers, batch, heads, length, keys = scores_LBNTS.shape
    masks = jnp.broadcast_to(mask_LBTS[:, :, None], scores_LBNTS.shape)
    if row.per == "model":
        shape = (1, layers * batch * heads * length, keys)
    elif row.per == "layer":
        shape = (layers, batch * heads * length, keys)
    else:
        scores_LBNTS, masks = scores_LBNTS.swapaxes(1, 2), masks.swapaxes(1, 2)
        shape = (layers * heads, batch * length, keys)
    picked = np.linspace(0, shape[1] - 1, min(ROWS, shape[1])).astype(int)
    scores, masks = scores_LBNTS.reshape(shape)[:, picked], masks.reshape(shape)[:, picked]
    return list(zip(scores, masks, strict=True))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _divergence(
    spec: str, names: tuple[str, ...], logs: Array, scores: Array, mask: Array
) -> tuple[Array, Array]:
    """Mean ``KL(softmax ‖ new)`` in nats and its gradient by the parameters' logarithms."""

    def mean(logs: Array) -> Float[Array, ""]:
        params = dict(zip(names, jnp.exp(logs), strict=True))
        wanted = normalize("softmax", scores, mask)
        found = normalize(spec, scores, mask, params)
        each = wanted * (_safe_log(wanted) - _safe_log(found))
        return jnp.sum(jnp.where(mask, each, 0)) / jnp.maximum(jnp.sum(mask.any(-1)), 1)

    return jax.value_and_grad(mean)(logs)


def _safe_log(x: Array) -> Array:
    return jnp.log(jnp.maximum(x, 1e-30))


def _fit(
    spec: str, row: Normalizer, scores: Array, mask: Array, largest: float
) -> tuple[dict[str, float], float]:
    """Effective values of the learned parameters, and the divergence they leave."""
    learned = {name: p for name, p in row.parameters.items() if p.learned}
    bounds = [
        (np.log(1.001 if p.domain.startswith("1+") else 1 / (8 * largest)), np.log(largest))
        for p in learned.values()
    ]
    if {"n", "b"} <= learned.keys():  # near the limit, b = 1/n
        start = np.log([largest, 1 / largest])
    else:
        start = np.log([min(p.value, largest) for p in learned.values()])
    start = np.clip(start, *np.transpose(bounds))
    with jax.enable_x64(True):
        wide = np.asarray(scores, np.float64), np.asarray(mask)

        def objective(logs: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = _divergence(spec, tuple(learned), jnp.asarray(logs), *wide)
            return float(value), np.asarray(slope)

        found = scipy.optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds
        )
    return dict(zip(learned, np.exp(found.x), strict=True)), float(found.fun)


def _stored(
    row: Normalizer, fitted: list[tuple[dict[str, float], float]], config: TransformerConfig
) -> dict[str, Array]:
    """As parameters of the model: ``[]``, ``[layer]`` or ``[layer, head]``."""
    heads = config.num_attention_heads
    shape = {"model": (), "layer": (-1,), "head": (-1, heads)}[row.per]
    stored = {}
    for name, usual in row.init(heads).items():
        values = np.reshape([values[name] for values, _ in fitted], shape)
        raw = CONSTRAINTS[row.parameters[name].domain][1](jnp.asarray(values, jnp.float32))
        stored[name] = raw if row.per == "model" else jnp.asarray(_by_layer(config, raw, usual))
    return stored


def _by_layer(config: TransformerConfig, values: ArrayLike, missing: ArrayLike = 0) -> np.ndarray:
    """``[layer, …]`` of all layers, from the values of those that have attention."""
    values = np.asarray(values)
    every = np.full((config.num_hidden_layers, *values.shape[1:]), missing, values.dtype)
    every[[attention for attention, _ in config.halves]] = values
    return every


def _mean_of_heads(config: TransformerConfig, values: ArrayLike) -> list[float]:
    """``[]``, ``[layer]`` or ``[layer, head]`` → a number for each layer."""
    values = np.asarray(values)
    means = values.reshape(len(values) if values.ndim else 1, -1).mean(axis=1)
    return np.broadcast_to(means, config.num_hidden_layers).tolist()
