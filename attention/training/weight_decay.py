"""Which parameters weight decay may shrink."""

from __future__ import annotations

from typing import Any

import jax

MATRICES = ("kernel", "embedding", "a", "b")  # a and b: of LoRA


def decayed(params: Any) -> Any:
    """True for kernels, embeddings and LoRA's matrices; false for biases, norms and normalizers.

    For ``optax.adamw(…, mask=decayed)``: shrinking the logarithm of SSA's n, say, would pull n
    towards 1 whatever the task wants.

    Args:
        params: a tree of dicts and tuples.

    Returns:
        A tree of the same structure, of bools.
    """

    def matrix(path: Any, leaf: Any) -> bool:
        del leaf
        names = [getattr(entry, "key", None) for entry in path]
        return names[-1] in MATRICES and "normalizer" not in names

    return jax.tree.map_with_path(matrix, params)
