"""How GGUF stores the tensors of a family, where that is not as Hugging Face stores them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig


def _paired(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a head as the file has them (pairs side by side) → first halves, second halves."""
    size = tensor.shape[0] // heads
    pairs = tensor.reshape(heads, size // 2, 2, *tensor.shape[1:])
    return pairs.swapaxes(1, 2).reshape(tensor.shape)


def _unpaired(tensor: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of ``_paired``."""
    size = tensor.shape[0] // heads
    halves = tensor.reshape(heads, 2, size // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def _heads_first(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Rows of all queries, then all keys, then all values → these three of each head."""
    size = tensor.shape[0] // (3 * heads)
    return tensor.reshape(3, heads, size, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape)


def _parts_first(tensor: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of ``_heads_first``."""
    size = tensor.shape[0] // (3 * heads)
    return tensor.reshape(heads, 3, size, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How an architecture of GGUF stores what a family of Hugging Face has.

    Attributes:
        paired: rotary pairs of query and key rows stand side by side.
        shifted_norms: scales of norms are stored plus one.
        parts_first: rows of the fused projection are all queries, all keys, all values, where
            Hugging Face has the three of each head together.
        transposed: endings of names whose matrices Hugging Face stores as ``[in, out]``.
        extra: further attributes of ``config.json``, from the header.
        metadata: what ``extra`` reads, from the config of a model that is written; keys are without
            the architecture.
    """

    paired: bool = False
    shifted_norms: bool = False
    parts_first: bool = False
    transposed: tuple[str, ...] = ()
    extra: Callable[[GgufHeader], dict[str, Any]] = lambda header: {}
    metadata: Callable[[TransformerConfig], dict[str, Any]] = lambda config: {}

    def change(self, name: str, config: TransformerConfig, *, load: bool) -> Any:
        """What turns the stored tensor called ``name`` into Hugging Face's, or back; or None."""
        kind = name.rpartition(".")[0].rpartition(".")[2]
        if self.paired and kind in ("attn_q", "attn_k"):
            heads = config.num_attention_heads if kind == "attn_q" else config.key_value_heads
            move = _paired if load else _unpaired
            return lambda tensor: move(tensor, heads)
        if self.parts_first and kind == "attn_qkv":
            move = _heads_first if load else _parts_first
            return lambda tensor: move(tensor, config.num_attention_heads)
        if self.shifted_norms and kind.endswith("norm") and name.endswith(".weight"):
            return (lambda tensor: tensor - 1) if load else (lambda tensor: tensor + 1)
        if name.endswith(self.transposed) and self.transposed:
            return np.transpose
        return None
