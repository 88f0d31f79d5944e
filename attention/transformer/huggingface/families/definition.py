"""What a family of Hugging Face models is: a row of the table, and the names that many share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from attention.transformer.config import Head, TransformerConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.tensors import Table

HfConfig = Mapping[str, Any]
"""The decoded ``config.json``, with the defaults of transformers filled in."""


@dataclasses.dataclass(frozen=True)
class Family:
    """How one ``model_type`` of Hugging Face describes and stores its models.

    Attributes:
        class_prefix: starts the names of its classes: ``Llama`` of ``LlamaForCausalLM``.
        fields: attributes of ``config.json`` with the field of ``TransformerConfig`` that means
            the same.
        fixed: fields that every model of the family has.
        tensors: the names of its tensors.
        fixed_for: fields that every model of the family with a certain head has, by the head.
        classes: endings of names of classes whose head is another than elsewhere.
        reads: further attributes that ``read`` understands.
        read: further fields, from the config in the newest layout of transformers.
        write: the attributes that those fields came from.
        expected: attributes that are accepted at one value only.
        bare_lm: ends the name of its plain language model's class.
        gguf: how GGUF stores its models, by the name of the architecture there.
    """

    class_prefix: str
    fields: Mapping[str, str]
    fixed: Mapping[str, Any]
    tensors: Table
    reads: tuple[str, ...] = ()
    read: Callable[[HfConfig], dict[str, Any]] = lambda hf: {}
    write: Callable[[TransformerConfig], dict[str, Any]] = lambda config: {}
    expected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    bare_lm: str = "ForCausalLM"
    fixed_for: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, Head] = dataclasses.field(default_factory=dict)
    gguf: Mapping[str, Layout] = dataclasses.field(default_factory=dict)


COMMON_FIELDS = {
    name: name
    for name in (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "hidden_act",
        "initializer_range",
        "tie_word_embeddings",
    )
}
"""Attributes that most families call as this library does."""

LAYER_NORMED = {
    "position_embedding": "learned",
    "norm": "layernorm",
    "gated_mlp": False,
    "attention_bias": True,
    "attention_out_bias": True,
    "mlp_bias": True,
}
"""What models of the time of GPT-2 and BERT have in common."""
