"""A pretrained softmax model with another normalizer, started as close to softmax as it gets.

SSA is softmax only in the limit ``n = 1/b → ∞``; over the scores that a model really has, a finite
n comes close.  Each layer's (or head's) parameters minimise the mean divergence
``KL(softmax(s) ‖ softmax(t(s)))`` over the rows of scores ``s`` of a sample of text, none of them
above ``largest``: a large n is close to softmax, a small one bends more easily in fine-tuning.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Bool, Float, Int

from attention.dot_product import attention_scores
from attention.errors import InputError
from attention.normalizers import CONSTRAINTS, NORMALIZERS, Normalizer, normalize, normalizer
from attention.transformer import Transformer, TransformerConfig, load_pretrained, save_pretrained

ROWS = 1024  # of scores, that a fit looks at


@dataclasses.dataclass(frozen=True)
class Drift:
    """What a conversion changed, over the tokens it was fitted on.

    Attributes:
        divergence: mean KL of the weights, nats, ``[layer]``.
        score_range: largest absolute score of each layer.
        logit_mean: mean absolute change of a logit.
        logit_max: the largest.
        logit_std: standard deviation of the logits themselves, for scale.
        agreement: share of positions whose most likely token is the same.
    """

    divergence: list[float]
    score_range: list[float]
    logit_mean: float
    logit_max: float
    logit_std: float
    agreement: float


def convert(
    config: TransformerConfig,
    params: dict[str, Any],
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
        tokens_BT: text that the model is made for.
        where_BT: real tokens.
        largest: bound of every parameter.

    Raises:
        InputError: the model is no softmax model, or the normalizer learns nothing or is no
            softmax of a transform.
    """
    row = normalizer(spec)
    if config.normalizer != "softmax":
        raise InputError(f"only softmax models can be converted; this one has {config.normalizer}")
    if row.logit_transform is None or not row.learns:
        usable = [name for name, r in NORMALIZERS.items() if r.logit_transform and r.parameters]
        raise InputError(
            f"{spec!r} has no learned parameters that could approach softmax; "
            f"{', '.join(usable)} have"
        )
    lowest = max(1.0 if p.domain.startswith("1+") else 0.0 for p in row.parameters.values())
    if not largest > lowest:
        raise InputError(f"the largest parameter must be above {lowest:g}, not {largest:g}")
    apply = functools.partial(_apply, tokens=tokens_BT, where=where_BT)
    logits, seen = apply(config, params, capture=("queries", "keys"))
    scores_LBNTS = jax.vmap(lambda q, k: attention_scores(q, k, precision="highest"))(
        seen["queries"], seen["keys"]
    )
    mask_LBTS = _masks(config, tokens_BT, where_BT)
    heads = config.num_attention_heads
    fitted = [
        _fit(spec, row, scores, mask, largest)
        for scores, mask in _groups(row, scores_LBNTS, mask_LBTS)
    ]
    raw = _stored(row, fitted, config.num_hidden_layers, heads)
    converted = dataclasses.replace(config, normalizer=spec)
    new = _with_normalizer(row, params, raw)
    found, _ = apply(converted, new, capture=("queries",))
    real = slice(None) if where_BT is None else np.asarray(where_BT)
    before, after = np.asarray(logits)[real], np.asarray(found)[real]
    divergence = np.reshape([each[1] for each in fitted], (-1, len(fitted) // _fits(row, config)))
    by_layer = np.broadcast_to(divergence.mean(axis=1), (config.num_hidden_layers,))
    largest_scores = jnp.max(
        jnp.where(mask_LBTS[:, :, None], jnp.abs(scores_LBNTS), 0), axis=(1, 2, 3, 4)
    )
    return (
        converted,
        new,
        Drift(
            divergence=[float(x) for x in by_layer],
            score_range=[float(x) for x in largest_scores],
            logit_mean=float(np.abs(after - before).mean()),
            logit_max=float(np.abs(after - before).max()),
            logit_std=float(before.std()),
            agreement=float((after.argmax(-1) == before.argmax(-1)).mean()),
        ),
    )


@functools.partial(jax.jit, static_argnames=("config", "capture"))
def _apply(config: TransformerConfig, params: Any, *, tokens: Any, where: Any, capture: Any) -> Any:
    return Transformer(config).apply({"params": params}, tokens, where=where, capture=capture)


def _masks(config: TransformerConfig, tokens_BT: Any, where_BT: Any) -> Bool[Array, "L B T S"]:
    """What each layer's queries see; of real queries alone."""
    batch, length = tokens_BT.shape
    real_BT = jnp.ones((batch, length), bool) if where_BT is None else jnp.asarray(where_BT)
    places = jnp.cumsum(real_BT, axis=1)
    distance_BTS = places[:, :, None] - places[:, None, :]
    mask_BTS = real_BT[:, :, None] & real_BT[:, None, :]
    if config.causal:
        mask_BTS &= jnp.tril(jnp.ones((length, length), bool))[None]
    return jnp.stack(
        [mask_BTS if w is None else mask_BTS & (jnp.abs(distance_BTS) < w) for w in config.windows]
    )


def _fits(row: Normalizer, config: TransformerConfig) -> int:
    """In how many groups the divergences are reported: one a layer, or one in all."""
    return 1 if row.per == "model" else config.num_hidden_layers


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
    row: Normalizer, fitted: list[tuple[dict[str, float], float]], layers: int, heads: int
) -> dict[str, Array]:
    """As parameters of the model: ``[]``, ``[layer]`` or ``[layer, head]``."""
    shape = {"model": (), "layer": (layers,), "head": (layers, heads)}[row.per]
    return {
        name: CONSTRAINTS[p.domain][1](
            jnp.asarray(np.reshape([values[name] for values, _ in fitted], shape), jnp.float32)
        )
        for name, p in row.parameters.items()
        if p.learned
    }


def _with_normalizer(row: Normalizer, params: dict[str, Any], raw: dict[str, Array]) -> Any:
    if row.per == "model":
        return {**params, "normalizer": raw}
    layers = params["layers"]
    return {**params, "layers": {**layers, "attention": {**layers["attention"], "normalizer": raw}}}


def save(
    folder: str | Path, config: TransformerConfig, params: dict[str, Any], source: str | Path
) -> None:
    """Write a (stacked) model with another normalizer: ``normalizer.json`` and ``softmax/``.

    ``softmax/`` is the checkpoint without it, one that ``transformers`` loads.  The folder itself
    is none, so that nothing can run it as the softmax model that it no longer is.

    Raises:
        InputError: the folder holds something.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not an empty folder")
    row = normalizer(config.normalizer)
    attention = params["layers"]["attention"]
    raw = params["normalizer"] if row.per == "model" else attention["normalizer"]
    plain = {name: tree for name, tree in params.items() if name != "normalizer"}
    attention = {name: tree for name, tree in attention.items() if name != "normalizer"}
    plain["layers"] = {**params["layers"], "attention": attention}
    softmax = dataclasses.replace(config, normalizer="softmax")
    note = {
        "normalizer": config.normalizer,
        "stored": {name: np.asarray(value, float).tolist() for name, value in raw.items()},
    }
    try:
        save_pretrained(target / "softmax", softmax, plain, source=source)
        part = target / "normalizer.part"
        part.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
        part.replace(target / "normalizer.json")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def load(
    folder: str | Path, dtype: str | None = "float32"
) -> tuple[TransformerConfig, dict[str, Any]]:
    """Config and stacked parameters of what ``save`` wrote.

    Raises:
        InputError: it is not whole.
    """
    path = Path(folder) / "normalizer.json"
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        spec, stored = note["normalizer"], note["stored"]
        raw = {name: jnp.asarray(value, jnp.float32) for name, value in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not what `attn convert` wrote ({error})") from None
    config, params = load_pretrained(path.parent / "softmax", dtype)
    row = normalizer(spec)
    shape = {
        "model": (),
        "layer": (config.num_hidden_layers,),
        "head": (config.num_hidden_layers, config.num_attention_heads),
    }[row.per]
    wanted = {name: shape for name, p in row.parameters.items() if p.learned}
    if (given := {name: value.shape for name, value in raw.items()}) != wanted:
        raise InputError(f"{path}: holds {given}, but {spec} needs {wanted}")
    return dataclasses.replace(config, normalizer=spec), _with_normalizer(row, params, raw)
