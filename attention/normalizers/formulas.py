"""The formulas of the normalizers, each a pure function; ``table`` puts them into rows.

There are three forms: a logit transform ``t(scores, params, count)``, which a softmax follows;
weights ``w(scores, where, params, count)``; a feature map ``phi(x, params)`` of queries and keys.

    scores  [..., S], zero where a key is not allowed
    where   [..., S], true at allowed keys; None: all are
    count   [..., 1], the number of allowed keys of each row
    params  effective values by name, each broadcastable to the scores
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.normalizers.entmax import entmax as tsallis

Values = Mapping[str, Array]  # effective values of the parameters, each fit for the scores
Where = Bool[Array, "*rows S"] | None
Scores = Float[Array, "*rows S"]
Count = Float[Array, "*rows 1"]


def masked_softmax(
    logits: Float[Array, "*rows S"], where: Where, sink: bool = False
) -> Float[Array, "*rows S"]:
    """Compute ``exp(t_s) / Σ_s' exp(t_s')`` over the allowed keys.

    The largest allowed logit is subtracted first.  A row without any allowed key is zero.

    Args:
        logits: ``t``.
        where: true at allowed keys; None: all are.
        sink: add ``exp(0)`` to the sum, as if there were one more key of logit 0.
    """
    if where is None and not sink:
        return jax.nn.softmax(logits, axis=-1)
    return _softmax(sink, logits, jnp.bool_(True) if where is None else where)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _softmax(sink: bool, logits: Array, where: Array) -> Array:
    least = jnp.finfo(logits.dtype).min
    seen = jnp.where(where, logits, least)
    # A row without any allowed key subtracts half of the least number: its exponentials are zero.
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


def softmax(scores: Scores, params: Values, count: Count) -> Scores:
    """Compute ``t(s) = s``."""
    del params, count
    return scores


def temperature(scores: Scores, params: Values, count: Count) -> Scores:
    """Compute ``t(s) = s / temperature``: one key gets all weight at 0, all get the same at ∞."""
    del count
    return scores / params["temperature"]


def soft_cap(scores: Scores, params: Values, count: Count) -> Scores:
    """Compute ``t(s) = c · tanh(s / c)``: no two logits differ by more than 2c; softmax as c → ∞.

    Source: Gemma 2, arXiv 2408.00118.
    """
    del count
    return params["c"] * jnp.tanh(scores / params["c"])


def capped(formula: Callable[..., Array], cap: float) -> Callable[..., Array]:
    """Change a formula so that it gets ``c · tanh(s / c)`` in place of the scores ``s``.

    Args:
        formula: its first argument is the scores ``[..., S]``.
        cap: ``c``.

    Source: Gemma 2, arXiv 2408.00118.
    """
    return lambda scores, *rest: formula(cap * jnp.tanh(scores / cap), *rest)


@jax.custom_jvp
def signed_log(scores: Scores, n: Float[Array, ...], b: Float[Array, ...]) -> Scores:
    """Compute SSA's logit transform ``t(s) = n · sgn(s) · log(1 + b|s|)``.

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


def ssa(scores: Scores, params: Values, count: Count) -> Scores:
    """Compute ``t(s) = n · sgn(s) · log(1 + b|s|)``; weights go with ``(1 + b|s|)^(n·sgn s)``.

    It is softmax for b = 1/m, n = m and m → ∞.  A weight grows as a power of the score, not as an
    exponential, so a large difference of scores does not become a hard choice.

    Source: arXiv 2508.14685; n starts at 1.5 and b stays at 0.8, as in the paper's decoder.
    """
    del count
    return signed_log(scores, params["n"], params["b"])


def ssmax(scores: Scores, params: Values, count: Count) -> Scores:
    """Compute ``t(s) = scale · log(N) · s`` for N allowed keys: weights do not flatten as N grows.

    Source: scalable softmax, arXiv 2501.19399; its authors' models learn a scale of about 0.43.
    """
    return params["scale"] * jnp.log(count) * scores


def sigmoid(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = 1 / (1 + exp(−(s − log N)))`` for N allowed keys: about 1/N at s = 0.

    Source: sigmoid attention, arXiv 2409.04431, with its bias −log N.
    """
    del where, params
    return jax.nn.sigmoid(scores - jnp.log(count))


def softpick(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = [e^s − 1]₊ / (Σ |e^s' − 1| + 1e-6)``: scores below 0 only enter the sum.

    Source: softpick, arXiv 2504.20966.
    """
    del params, count
    allowed = jnp.ones_like(scores, bool) if where is None else where
    largest = jnp.max(jnp.where(allowed, scores, 0), axis=-1, keepdims=True, initial=0)
    largest = jax.lax.stop_gradient(largest)  # a common factor e^-largest of both sides
    shifted = jnp.where(allowed, jnp.exp(scores - largest) - jnp.exp(-largest), 0)
    total = jnp.sum(jnp.abs(shifted), axis=-1, keepdims=True)
    return jax.nn.relu(shifted) / (total + 1e-6 * jnp.exp(-largest))


def relu(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = [s]₊ / N`` for N allowed keys.

    Source: Wortsman et al. 2023, arXiv 2309.08586.
    """
    del where, params
    return jax.nn.relu(scores) / count


def sparsemax(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = [s − τ]₊``: the Euclidean projection of the scores onto distributions.

    Source: Martins and Astudillo 2016, arXiv 1602.02068.
    """
    del params, count
    return tsallis(scores, where, jnp.asarray(2, scores.dtype))


def entmax15(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = [s/2 − τ]₊²``, half-way between softmax and sparsemax.

    Source: Peters, Niculae and Martins 2019, arXiv 1905.05702.
    """
    del params, count
    return tsallis(scores, where, jnp.asarray(1.5, scores.dtype))


def entmax(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``w(s) = [(α−1)s − τ]₊^(1/(α−1))``, α in (1, 2]; softmax as α → 1, sparsemax at 2.

    Source: adaptively sparse transformers, Correia, Niculae and Martins 2019, arXiv 1909.00015.
    """
    del count
    return tsallis(scores, where, params["alpha"])


def self_adjust(scores: Scores, where: Where, params: Values, count: Count) -> Scores:
    """Compute ``(s − min(s, 0)) / (max(s, 0) − min(s, 0)) · softmax(s)``, min and max of the row.

    This is the variant with a normalised factor.  A row whose scores are all zero gets zeros.

    Source: self-adjust softmax, arXiv 2502.18277.
    """
    del params, count
    seen = scores if where is None else jnp.where(where, scores, 0)
    low = jnp.minimum(jnp.min(seen, axis=-1, keepdims=True), 0)
    span = jnp.maximum(jnp.max(seen, axis=-1, keepdims=True), 0) - low
    return (seen - low) / jnp.where(span > 0, span, 1) * masked_softmax(scores, where)


def linear(x: Float[Array, "... H"], params: Values) -> Float[Array, "... H"]:
    """Compute the feature map ``phi(x) = elu(x) + 1``.

    Source: linear transformers, Katharopoulos et al. 2020, arXiv 2006.16236.
    """
    del params
    return jax.nn.elu(x) + 1


def cosformer(x: Float[Array, "... H"], params: Values) -> Float[Array, "... H"]:
    """Compute the feature map ``phi(x) = [x]₊``; ``cosine_decay`` weights the products.

    Source: cosFormer, Qin et al. 2022, arXiv 2202.08791.
    """
    del params
    return jax.nn.relu(x)


def cosine_decay(distance: Float[Array, "#B T S"], params: Values) -> Float[Array, "#B T S"]:
    """Compute ``cos(π/2 · (t − s) / length)`` of the distance; it is zero from ``length`` on."""
    return jnp.cos(jnp.pi / 2 * jnp.clip(distance / params["length"], -1, 1))
