"""Which keys each query may see, as a function of their places, so that no mask need be stored."""

from __future__ import annotations

import dataclasses
import functools
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

CHUNK = 256  # queries whose keys are counted at once


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["mask", "query_segments", "key_segments", "first"],
    meta_fields=["causal", "window"],
)
@dataclasses.dataclass(frozen=True)
class Visibility:
    """Restrictions of what a query sees: a key is seen where all that are given allow it.

    Attributes:
        mask: true at the keys that may be seen; broadcastable to ``[B, T, S]``.
        query_segments: the segment of each query; keys of other segments are not seen.
        key_segments: the segment of each key.
        first: the place of the first query, for a part of a sequence; None: 0.
        causal: keys at later places than the query's are not seen.
        window: keys at ``window`` places from the query's, or more, are not seen.
    """

    mask: Bool[Array, "#B #T S"] | None = None
    query_segments: Int[Array, "B T"] | None = None
    key_segments: Int[Array, "B S"] | None = None
    first: Int[Array, ""] | None = None
    causal: bool = False
    window: int | None = None

    def where(
        self, queries: Int[Array, " t"], keys: Int[Array, " s"]
    ) -> Bool[Array, "#B t s"] | None:
        """Whether the queries at these places see the keys at those; None if they see all.

        Queries count from 0, also where ``first`` says that they are a part of a sequence.
        """
        parts = []
        if self.mask is not None:
            rows = self.mask if self.mask.shape[1] == 1 else jnp.take(self.mask, queries, axis=1)
            parts.append(jnp.take(rows, keys, axis=2))
        if self.query_segments is not None and self.key_segments is not None:
            of_queries = jnp.take(self.query_segments, queries, axis=1)
            of_keys = jnp.take(self.key_segments, keys, axis=1)
            parts.append(of_queries[:, :, None] == of_keys[:, None, :])
        places = queries if self.first is None else queries + self.first
        distance_1ts = (places[:, None] - keys[None, :])[None]
        if self.causal:
            parts.append(distance_1ts >= 0)
        if self.window is not None:
            parts.append(jnp.abs(distance_1ts) < self.window)
        return functools.reduce(operator.and_, parts) if parts else None

    def counts(self, length: int, keys: int) -> Int[Array, "#B T"]:
        """Count the keys that each query sees, at least 1; ``CHUNK`` queries at a time."""
        places = jnp.arange(keys)

        def count(queries: Int[Array, " t"]) -> Int[Array, "#B t"]:
            where = self.where(jnp.minimum(queries, length - 1), places)
            if where is None:
                return jnp.full((1, queries.size), keys, jnp.int32)
            seen = jnp.maximum(jnp.sum(where, axis=-1, dtype=jnp.int32), 1)
            return jnp.broadcast_to(seen, (seen.shape[0], queries.size))

        chunk = min(CHUNK, length)
        counts = jax.lax.map(count, jnp.arange(-(-length // chunk) * chunk).reshape(-1, chunk))
        return jnp.moveaxis(counts, 0, 1).reshape(counts.shape[1], -1)[:, :length]
