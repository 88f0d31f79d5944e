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


@dataclasses.dataclass(frozen=True)
class Layout:
    """How an architecture of GGUF stores what a family of Hugging Face has.

    Attributes:
        paired: rotary pairs of query and key rows stand side by side.
        shifted_norms: scales of norms are stored plus one.
        transposed: endings of names whose matrices Hugging Face stores as ``[in, out]``.
        extra: further attributes of ``config.json``, from the header.
    """

    paired: bool = False
    shifted_norms: bool = False
    transposed: tuple[str, ...] = ()
    extra: Callable[[GgufHeader], dict[str, Any]] = lambda header: {}

    def change(self, name: str, config: TransformerConfig, *, load: bool) -> Any:
        """What turns the stored tensor called ``name`` into Hugging Face's, or back; or None."""
        kind = name.rpartition(".")[0].rpartition(".")[2]
        if self.paired and kind in ("attn_q", "attn_k"):
            heads = config.num_attention_heads if kind == "attn_q" else config.key_value_heads
            move = _paired if load else _unpaired
            return lambda tensor: move(tensor, heads)
        if self.shifted_norms and kind.endswith("norm") and name.endswith(".weight"):
            return (lambda tensor: tensor - 1) if load else (lambda tensor: tensor + 1)
        if name.endswith(self.transposed) and self.transposed:
            return np.transpose
        return None
