"""Which parameters weight decay may shrink."""

from __future__ import annotations

from typing import Any

import jax


def decayed(params: Any) -> Any:
    """True for kernels and embeddings; false for biases, norms and normalizers' parameters.

    For ``optax.adamw(…, mask=decayed)``: shrinking the logarithm of SSA's n, say, would pull n
    towards 1 whatever the task wants.
    """

    def matrix(path: Any, leaf: Any) -> bool:
        del leaf
        return path[-1].key in ("kernel", "embedding")

    return jax.tree.map_with_path(matrix, params)
