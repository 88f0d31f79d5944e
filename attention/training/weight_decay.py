"""Which parameters weight decay may shrink."""

from __future__ import annotations

import jax
from jax.tree_util import KeyEntry
from jaxtyping import PyTree

MATRICES = ("kernel", "embedding", "a", "b")  # LoRA has a and b


def decayed(params: PyTree) -> PyTree:
    """Say which parameters decay, for ``optax.adamw(…, mask=decayed)``.

    Kernels, embeddings and LoRA's matrices decay.  Biases, norms and normalizers do not: to shrink
    the logarithm of SSA's n, for instance, would pull n towards 1, whatever the task needs.

    Args:
        params: a tree of dicts and tuples.

    Returns:
        A tree of bools of the same structure.
    """

    def matrix(path: tuple[KeyEntry, ...], _: object) -> bool:
        names = [getattr(entry, "key", None) for entry in path]
        return names[-1] in MATRICES and "normalizer" not in names

    return jax.tree.map_with_path(matrix, params)
