"""Attention arranged by value heads, in float64."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import threadpoolctl
from jaxtyping import Array, Bool, Float, Int

from attention.errors import InputError

Matrix = Float[np.ndarray | Array, "..."]
Where = Bool[np.ndarray | Array, "..."]


class Heads(NamedTuple):
    """``M`` value heads, each with the ``R`` rows that read it: the queries of its query heads.

    Attributes:
        weights_MRS: distributions: every row sums to one, or is zero.
        values_MSH: values; zero at tokens that no row sees.
        where_MRS: what a row may see; ``[M, 1, S]`` if all rows of a head see the same.
        sums_MR: the sums of the rows before they were made distributions.
        shape: the shape of the given weights, ``[..., N, T, S]``.
    """

    weights_MRS: Float[np.ndarray, "M R S"]
    values_MSH: Float[np.ndarray, "M S H"]
    where_MRS: Bool[np.ndarray, "M _ S"]
    sums_MR: Float[np.ndarray, "M R"]
    shape: tuple[int, ...]

    def restored(self, weights_MRS: Float[np.ndarray, "M R S"]) -> Float[np.ndarray, ...]:
        """Bring weights back to the shape of the given ones."""
        return np.asarray(weights_MRS, np.float64).reshape(self.shape)


def heads(weights: Matrix, values: Matrix, where: Where | None = None) -> Heads:
    """Check attention, and arrange it by value heads.

    Query head ``n`` reads value head ``n // (N / K)``.

    Args:
        weights: ``[..., N, T, S]`` or ``[T, S]``.
        values: ``[..., K, S, H]`` or ``[S, H]``; ``N`` is a multiple of ``K``.
        where: true at the keys that a query may see, broadcastable to ``weights``; None: all.

    Raises:
        InputError: shapes do not fit, numbers are not finite, or weights are below zero.
    """
    weights, values = (np.asarray(array, np.float64) for array in (weights, values))
    if weights.ndim < 2 or values.ndim != weights.ndim or weights.shape[-1] != values.shape[-2]:
        raise InputError(
            f"weights {weights.shape} and values {values.shape} are not [..., T, S] and [..., S, H]"
        )
    shape, (tokens, size) = weights.shape, values.shape[-2:]
    num_heads, num_kv = (array.shape[-3] if array.ndim > 2 else 1 for array in (weights, values))
    if weights.shape[:-3] != values.shape[:-3] or num_kv < 1 or num_heads % num_kv:
        raise InputError(f"{weights.shape} query heads do not share {values.shape} value heads")
    for name, array in (("weights", weights), ("values", values)):
        if not np.isfinite(array).all():
            raise InputError(f"the attention {name} are not finite (NaN or infinite)")
    if weights.size and weights.min() < 0:
        raise InputError("attention weights are below zero: only distributions can be decomposed")
    if where is None:
        seen = np.ones((1,) * weights.ndim, bool)
    else:
        seen = np.asarray(where, bool)
        if seen.ndim < weights.ndim:
            seen = seen.reshape((1,) * (weights.ndim - seen.ndim) + seen.shape)
        weights = np.where(seen, weights, 0)
    lead = math.prod(shape[:-3]) * num_kv
    rows = (num_heads // num_kv) * shape[-2]
    full = np.array(np.broadcast_to(seen, shape)).reshape(lead, rows, tokens)
    if rows and (full == full[:, :1]).all():
        full = full[:, :1]
    weights_MRS = weights.reshape(lead, rows, tokens)
    sums = weights_MRS.sum(-1)
    weights_MRS = weights_MRS / np.where(sums > 0, sums, 1)[..., None]
    values_MSH = np.where(np.any(full, axis=1)[..., None], values.reshape(lead, tokens, size), 0)
    return Heads(weights_MRS, values_MSH, np.ascontiguousarray(full), sums, shape)


def column_space(
    matrix_MSC: Float[np.ndarray, "M S C"],
) -> tuple[Float[np.ndarray, "M S r"], Int[np.ndarray, " M"]]:
    """Compute orthonormal bases ``[M, S, r]`` of the column spaces, and their ranks ``[M]``.

    The rank counts singular values above ``s_max · max(S, C) · eps``.  Zero columns fill up a basis
    of a lower rank.
    """
    with _blas().limit(limits=1):  # several threads take 10 to 500 times as long
        left, singular, _ = np.linalg.svd(matrix_MSC, full_matrices=False)
    threshold = singular[:, :1] * max(matrix_MSC.shape[1:]) * np.finfo(np.float64).eps
    kept = singular > threshold
    return left * kept[:, None, :], kept.sum(-1)


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def with_ones(heads: Heads) -> Float[np.ndarray, "M S C"]:
    """Add a column of ones to the values of each head: ``[V / max |V|, 1]``, ``C = H + 1``.

    Rows of tokens that no query sees are zero.
    """
    seen_MS = np.any(heads.where_MRS, axis=1)
    largest = np.abs(heads.values_MSH).max((1, 2), initial=0, keepdims=True)
    scaled = heads.values_MSH / np.where(largest > 0, largest, 1)
    return np.concatenate([scaled, seen_MS[..., None].astype(np.float64)], -1)
