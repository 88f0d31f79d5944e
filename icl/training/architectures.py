"""The papers' models as configs of the one transformer: ``1l1ah``, ``12l8ah``, ``3al4ah``."""

from __future__ import annotations

import re
from typing import Literal

from attention.errors import InputError
from attention.transformer import TransformerConfig

DEEP = 12  # from this depth on the papers use size 256, below it 64


def model(
    architecture: str,
    *,
    input_size: int = 1,
    points: int = 41,
    hidden_size: int | None = None,
    normalizer: str = "softmax",
    layer_norm: bool = True,
    residual: bool = True,
    positions: Literal["learned", "rope", "none"] = "learned",
    precision: str | None = None,
) -> TransformerConfig:
    """GPT-2 reading vectors and writing a number, as trained by Garg et al. and after them.

    Args:
        architecture: ``LlNah``: L layers of N heads; ``LalNah``: attention only; ``Lmlp``: MLPs
            only.
        input_size: numbers in a token.
        points: of a prompt; the table of positions has 512 rows, or two a point if that is more.
        hidden_size: None: 64, or 256 from twelve layers or 32 heads on.
        normalizer: of attention scores.
        layer_norm: false takes it out everywhere.
        residual: false takes the additions out.
        positions: kind of positions.
        precision: of matrix products; None is "highest".

    Raises:
        InputError: an architecture that is not understood, or heads that do not divide the size.
    """
    found = re.fullmatch(r"(\d+)(?:(a?)l(\d+)ah|mlp)", architecture.lower())
    if found is None or not int(found[1]) or found[3] == "0":
        raise InputError(
            f"unknown architecture {architecture!r}; write 12l8ah (12 layers, 8 heads), "
            "3al4ah (attention only) or 12mlp (MLPs only)"
        )
    layers, heads = int(found[1]), int(found[3] or 1)
    size = hidden_size or (256 if layers >= DEEP or heads >= 32 else 64)
    if size % heads:
        raise InputError(
            f"{architecture}: {heads} heads do not divide the hidden size {size}; "
            "give another --hidden-size"
        )
    norm = "layernorm" if layer_norm else "none"
    try:
        return TransformerConfig(
            family="gpt2",
            hidden_size=size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * size,
            input_size=input_size,
            position_embedding=positions,
            max_position_embeddings=max(512, 2 * points),
            attention_bias=True,
            attention_out_bias=True,
            attention=found[3] is not None,
            mlp=found[2] != "a",
            residual=residual,
            norm=norm,
            norm_eps=1e-5,
            final_norm=layer_norm,
            hidden_act="gelu_new",
            gated_mlp=False,
            mlp_bias=True,
            head="regression",
            initializer="gpt2",
            normalizer=normalizer,
            matmul_precision=precision,
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from None
