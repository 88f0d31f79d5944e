"""The papers' models as configs of the one transformer: ``1l1ah``, ``12l8ah``, ``3al4ah``."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from attention import transformer
from attention.errors import InputError
from attention.options import Count

DEEP = 12  # from this depth on the papers use size 256, below it 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What the model is made of.

    Attributes:
        normalizer: turns attention scores into weights
        hidden_size: by default 64, or 256 from twelve layers or 32 heads on
        layer_norm: with LayerNorm; without it everywhere
        residual: add each half-layer's output to its input
        positions: kind of positions
        precision: of matrix products; by default "highest"
    """

    normalizer: str = "softmax"
    hidden_size: Count | None = None
    layer_norm: bool = True
    residual: bool = True
    positions: Literal["learned", "rope", "none"] = "learned"
    precision: str | None = None


def model(
    architecture: str,
    options: ModelOptions | None = None,
    *,
    input_size: int = 1,
    points: int = 41,
) -> transformer.TransformerConfig:
    """GPT-2 that reads vectors and writes a number, as Garg et al. (2022) and others train it.

    Args:
        architecture: ``LlNah``: L layers of N heads; ``LalNah``: attention only; ``Lmlp``: MLPs
            only.
        options: what it is made of; None: the defaults.
        input_size: numbers in a token.
        points: points of a prompt; the table of positions has 512 rows, or two a point if that is
            more.

    Raises:
        InputError: the architecture is unknown, or its heads do not divide the size.
    """
    options = options or ModelOptions()
    found = re.fullmatch(r"(\d+)(?:(a?)l(\d+)ah|mlp)", architecture.lower())
    if found is None or not int(found[1]) or found[3] == "0":
        raise InputError(
            f"unknown architecture {architecture!r}; write 12l8ah (12 layers, 8 heads), "
            "3al4ah (attention only) or 12mlp (MLPs only)"
        )
    layers, heads = int(found[1]), int(found[3] or 1)
    size = options.hidden_size or (256 if layers >= DEEP or heads >= 32 else 64)
    if size % heads:
        raise InputError(
            f"{architecture}: {heads} heads do not divide the hidden size {size}; "
            "give another --hidden-size"
        )
    try:
        return transformer.TransformerConfig(
            family="gpt2",
            hidden_size=size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * size,
            input_size=input_size,
            position_embedding=options.positions,
            max_position_embeddings=max(512, 2 * points),
            attention_bias=True,
            attention_out_bias=True,
            attention=found[3] is not None,
            mlp=found[2] != "a",
            residual=options.residual,
            norm="layernorm" if options.layer_norm else "none",
            norm_eps=1e-5,
            final_norm=options.layer_norm,
            hidden_act="gelu_new",
            gated_mlp=False,
            mlp_bias=True,
            head="regression",
            initializer="gpt2",
            normalizer=options.normalizer,
            matmul_precision=options.precision,
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from None
