"""The formulas of the normalizers, each a pure function; ``table`` puts them into rows.

There are three forms: a logit transform ``t(scores, params, count)``, which a softmax follows;
weights ``w(scores, where, params, count)``; a feature map ``phi(x, params)`` of queries and keys.

    scores  [..., S], zero where a key is not allowed
    where   [..., S], true at allowed keys; None: all are
    count   [..., 1], the number of allowed keys of each row
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.normalizers.entmax import entmax as tsallis

Values = Mapping[str, Array]  # effective values of the parameters, each fit for the scores
Where = Bool[Array, "*rows S"] | None


def masked_softmax(logits: Float[Array, "... S"], where: Where, sink: bool = False) -> Array:
    """``exp(t_s) / sum_s' exp(t_s')`` over the keys where ``where`` holds, in float32 at least.

    The largest allowed logit is subtracted first; a row without any allowed key is zero.  ``sink``
    adds ``exp(0)`` to the sum.
    """
    if where is None and not sink:
        return jax.nn.softmax(logits, axis=-1)
    return _softmax(sink, logits, jnp.bool_(True) if where is None else where)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _softmax(sink: bool, logits: Array, where: Array) -> Array:
    least = jnp.finfo(logits.dtype).min
    seen = jnp.where(where, logits, least)
    # Half of the least: what a row without any key subtracts, so that its exponentials are zero.
    largest = jnp.max(seen, axis=-1, keepdims=True, initial=0 if sink else least / 2)
    weights = jnp.exp(seen - largest)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    total = total + jnp.exp(-largest) if sink else jnp.where(total > 0, total, 1)
    return weights / total


@_softmax.defjvp
def _softmax_jvp(sink, primals, tangents):
    # d w_s = w_s (d t_s - sum_s' w_s' d t_s'): one product of rows, where differentiating the
    # quotient takes three.  The mask keeps what a masked key is multiplied by out of it.
    weights = _softmax(sink, *primals)
    changed = weights * jnp.where(primals[1], tangents[0], 0)
    return weights, changed - weights * jnp.sum(changed, axis=-1, keepdims=True)


def softmax(scores: Array, params: Values, count: Array) -> Array:
    """``t(s) = s``."""
    del params, count
    return scores


def temperature(scores: Array, params: Values, count: Array) -> Array:
    """``t(s) = s / temperature``; all weight to the largest towards 0, even towards ∞."""
    del count
    return scores / params["temperature"]


def soft_cap(scores: Array, params: Values, count: Array) -> Array:
    """``t(s) = c · tanh(s / c)``: no two logits differ by more than 2c; softmax as c → ∞.

    Source: Gemma 2, arXiv 2408.00118.
    """
    del count
    return params["c"] * jnp.tanh(scores / params["c"])


@jax.custom_jvp
def signed_log(scores: Array, n: Array, b: Array) -> Array:
    """SSA's logit transform ``t(s) = n · sgn(s) · log(1 + b|s|)``.

    Its derivative ``n·b / (1 + b|s|)`` is continuous, ``n·b`` at zero, where automatic
    differentiation of ``sgn`` and ``|·|`` would give zero.
    """
    return n * jnp.sign(scores) * jnp.log1p(b * jnp.abs(scores))


@signed_log.defjvp
def _signed_log_jvp(primals, tangents):
    scores, n, b = primals
    d_scores, d_n, d_b = tangents
    logs = jnp.sign(scores) * jnp.log1p(b * jnp.abs(scores))
    rate = n / (1 + b * jnp.abs(scores))
    return n * logs, rate * b * d_scores + logs * d_n + rate * scores * d_b


def ssa(scores: Array, params: Values, count: Array) -> Array:
    """``t(s) = n · sgn(s) · log(1 + b|s|)``: weights in proportion to ``(1 + b|s|)^(n·sgn s)``.

    Softmax for b = 1/m, n = m, m → ∞.  A score's lead counts as a power, not an exponential: a
    large difference of scores does not become a hard choice.  Source: arXiv 2508.14685; n starts at
    1.5 and b stays at 0.8, as in the paper's decoder.
    """
    del count
    return signed_log(scores, params["n"], params["b"])


def ssmax(scores: Array, params: Values, count: Array) -> Array:
    """``t(s) = scale · log(N) · s`` for N allowed keys: weights do not flatten as N grows.

    Source: scalable softmax, arXiv 2501.19399; 0.43 is about what its authors' models learn.
    """
    return params["scale"] * jnp.log(count) * scores


def sigmoid(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = 1 / (1 + exp(−(s − log N)))`` for N allowed keys; at s = 0 about 1/N each.

    Source: sigmoid attention, arXiv 2409.04431, with its bias −log N.
    """
    del where, params
    return jax.nn.sigmoid(scores - jnp.log(count))


def softpick(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = [e^s − 1]₊ / (Σ |e^s' − 1| + 1e-6)``: negative scores get no weight but count.

    Source: softpick, arXiv 2504.20966.
    """
    del params, count
    allowed = jnp.ones_like(scores, bool) if where is None else where
    largest = jnp.max(jnp.where(allowed, scores, 0), axis=-1, keepdims=True, initial=0)
    largest = jax.lax.stop_gradient(largest)  # a common factor e^-largest of both sides
    shifted = jnp.where(allowed, jnp.exp(scores - largest) - jnp.exp(-largest), 0)
    total = jnp.sum(jnp.abs(shifted), axis=-1, keepdims=True)
    return jax.nn.relu(shifted) / (total + 1e-6 * jnp.exp(-largest))


def relu(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = [s]₊ / N`` for N allowed keys.

    Source: Wortsman et al. 2023, arXiv 2309.08586.
    """
    del where, params
    return jax.nn.relu(scores) / count


def sparsemax(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = [s − τ]₊``: the Euclidean projection of the scores onto distributions.

    Source: Martins and Astudillo 2016, arXiv 1602.02068.
    """
    del params, count
    return tsallis(scores, where, jnp.asarray(2, scores.dtype))


def entmax15(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = [s/2 − τ]₊²``, half-way between softmax and sparsemax.

    Source: Peters, Niculae and Martins 2019, arXiv 1905.05702.
    """
    del params, count
    return tsallis(scores, where, jnp.asarray(1.5, scores.dtype))


def entmax(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = [(α−1)s − τ]₊^(1/(α−1))``, α in (1, 2]; softmax as α → 1, sparsemax at 2.

    Source: adaptively sparse transformers, Correia, Niculae and Martins 2019, arXiv 1909.00015.
    """
    del count
    return tsallis(scores, where, params["alpha"])


def self_adjust(scores: Array, where: Where, params: Values, count: Array) -> Array:
    """``w(s) = (s − min(s, 0)) / (max(s, 0) − min(s, 0)) · softmax(s)``, min and max of the row.

    The variant with a normalised factor; zero where all scores are zero.  Source: self-adjust
    softmax, arXiv 2502.18277.
    """
    del params, count
    seen = scores if where is None else jnp.where(where, scores, 0)
    low = jnp.minimum(jnp.min(seen, axis=-1, keepdims=True), 0)
    span = jnp.maximum(jnp.max(seen, axis=-1, keepdims=True), 0) - low
    return (seen - low) / jnp.where(span > 0, span, 1) * masked_softmax(scores, where)


def linear(x: Array, params: Values) -> Array:
    """``phi(x) = elu(x) + 1``.

    Source: linear transformers, Katharopoulos et al. 2020, arXiv 2006.16236.
    """
    del params
    return jax.nn.elu(x) + 1


def cosformer(x: Array, params: Values) -> Array:
    """``phi(x) = [x]₊``; products are weighted by ``cosine_decay``.

    Source: cosFormer, Qin et al. 2022, arXiv 2202.08791.
    """
    del params
    return jax.nn.relu(x)


def cosine_decay(distance: Array, params: Values) -> Array:
    """``cos(π/2 · (t − s) / length)``, zero from ``length`` on."""
    return jnp.cos(jnp.pi / 2 * jnp.clip(distance / params["length"], -1, 1))
