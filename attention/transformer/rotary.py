"""Rotary positions: pairs of a head's numbers turn by angles that grow with the position.

The pair ``i`` of a token at position ``p`` turns by ``p · f_i``; ``frequencies`` has the ``f_i``.
The layers of a model may be of several kinds, each with its own frequencies or with no positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attention.transformer.frequencies import Rope, short_frequencies


class Rotation(NamedTuple):
    """How the tokens of a batch turn, in float32; with a leading axis ``[kind, …]`` of all kinds.

    Attributes:
        cos: ``cos(p · f)`` times the attention factor of the rope's type.
        sin: ``sin(p · f)`` times the same.
        query_scale: what queries are multiplied by; None: nothing.
    """

    cos: Float[Array, "*kind B T 1 h"]
    sin: Float[Array, "*kind B T 1 h"]
    query_scale: Float[Array, "*kind B T 1 1"] | None = None

    def of(self, kind: int | Int[Array, ""]) -> Rotation:
        """The rotation of one kind of layer."""
        return jax.tree.map(lambda each: each[kind], self)


def rotations(
    kinds: Sequence[Rope | None],
    head_dim: int,
    positions_BT: Int[Array, "B T"],
    lengths_B: Int[Array, " B"],
) -> Rotation | None:
    """The rotation of each kind of layer, stacked.

    Args:
        kinds: ropes of which as many numbers turn; None: the layers have no positions, which is
            a rotation by nothing.
        head_dim: numbers of a head, H.
        positions_BT: position of each token in its text.
        lengths_B: tokens of the text of each row, by which some ropes choose frequencies.

    Returns:
        The rotations ``[kind, B, T, 1, h]``, or None if no kind has positions.
    """
    turning = [rope for rope in kinds if rope is not None]
    if not turning:
        return None
    shape = (*positions_BT.shape, 1, turning[0].size(head_dim) // 2)
    scaled = any(_beta(rope) for rope in turning)
    found = []
    for rope in kinds:
        if rope is None:
            cos, sin = jnp.ones(shape, jnp.float32), jnp.zeros(shape, jnp.float32)
        else:
            pairs_Bh, factor = frequencies(rope, head_dim, lengths_B)
            angles_BT1h = (
                positions_BT[..., None, None].astype(jnp.float32) * pairs_Bh[:, None, None]
            )
            cos, sin = jnp.cos(angles_BT1h), jnp.sin(angles_BT1h)
            if factor != 1:
                cos, sin = cos * factor, sin * factor
        found.append(Rotation(cos, sin, _query_scale(rope, positions_BT) if scaled else None))
    return jax.tree.map(lambda *each: jnp.stack(each), *found)


def frequencies(
    rope: Rope, head_dim: int, lengths_B: Int[Array, " B"]
) -> tuple[Float[Array, "#B h"], float]:
    """Angular frequencies of the pairs that turn, and the factor of cosines and sines.

    Args:
        rope: of the layer.
        head_dim: numbers of a head, H.
        lengths_B: tokens of each text; only rules with ``longer`` look at them.
    """
    size, scaling, rule = rope.size(head_dim), rope.rope_scaling, rope.rule
    found_Bh = jnp.asarray(short_frequencies(rope, size), jnp.float32)[None]
    if scaling is None or rule is None:
        return found_Bh, 1.0
    if rule.longer is not None:
        lengths_B1 = lengths_B[:, None]
        longer_Bh = rule.longer(rope, scaling, size, lengths_B1)
        found_Bh = jnp.where(
            lengths_B1 > scaling.original_max_position_embeddings, longer_Bh, found_Bh
        )
    return found_Bh, rule.attention_factor(scaling)


def _beta(rope: Rope | None) -> float | None:
    scaling = None if rope is None else rope.rope_scaling
    return None if scaling is None else scaling.llama_4_scaling_beta


def _query_scale(rope: Rope | None, positions_BT: Array) -> Float[Array, "B T 1 1"]:
    """``1 + beta · log(1 + floor(p / original))``, as Llama 4 and Ministral 3 have it."""
    positions_BT11 = positions_BT[..., None, None].astype(jnp.float32)
    beta = _beta(rope)
    if rope is None or rope.rope_scaling is None or beta is None:
        return jnp.ones_like(positions_BT11)
    original = rope.rope_scaling.original_max_position_embeddings
    return 1 + beta * jnp.log(1 + jnp.floor(positions_BT11 / original))


def rotate(x: Float[Array, "B T N H"], rotation: Rotation) -> Float[Array, "B T N H"]:
    """Turn the pairs ``(i, i + h)`` of the first ``2h`` numbers of each head, in float32.

    Args:
        x: queries or keys.
        rotation: of one kind of layer; the numbers of a head beyond ``2h`` pass.
    """
    cos, sin, _ = rotation
    half = cos.shape[-1]
    wide = x[..., : 2 * half].astype(cos.dtype)
    first, second = wide[..., :half], wide[..., half:]
    turned = [first * cos - second * sin, second * cos + first * sin]
    if 2 * half == x.shape[-1]:
        return jnp.concatenate(turned, axis=-1).astype(x.dtype)
    return jnp.concatenate([*(t.astype(x.dtype) for t in turned), x[..., 2 * half :]], axis=-1)
