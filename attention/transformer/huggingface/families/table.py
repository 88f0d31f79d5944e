"""The table of families, by the ``model_type`` of ``config.json``."""

from __future__ import annotations

from attention.choices import Choices
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families.cohere import COHERE
from attention.transformer.huggingface.families.definition import Family
from attention.transformer.huggingface.families.encoders import (
    BERT,
    DISTILBERT,
    ELECTRA,
    ROBERTA,
)
from attention.transformer.huggingface.families.gemma import GEMMA, GEMMA2, GEMMA3
from attention.transformer.huggingface.families.gpt2 import GPT2
from attention.transformer.huggingface.families.llama_like import (
    GRANITE,
    LLAMA,
    MINISTRAL3,
    MISTRAL,
    OLMO2,
    QWEN2,
    QWEN3,
    SMOLLM3,
    STARCODER2,
)
from attention.transformer.huggingface.families.modernbert import MODERNBERT
from attention.transformer.huggingface.families.partly_rotary import (
    GPT_NEOX,
    NEMOTRON,
    PHI3,
    STABLELM,
)
from attention.transformer.huggingface.families.qwen_moe import QWEN3_MOE
from attention.transformer.huggingface.families.tensors import Table

FAMILIES: Choices[Family] = Choices(
    "model_type",
    {
        "llama": LLAMA,
        "qwen2": QWEN2,
        "qwen3": QWEN3,
        "mistral": MISTRAL,
        "granite": GRANITE,
        "olmo2": OLMO2,
        "starcoder2": STARCODER2,
        "qwen3_moe": QWEN3_MOE,
        "gemma": GEMMA,
        "gemma2": GEMMA2,
        "gemma3_text": GEMMA3,
        "cohere": COHERE,
        "ministral3": MINISTRAL3,
        "smollm3": SMOLLM3,
        "phi3": PHI3,
        "stablelm": STABLELM,
        "gpt_neox": GPT_NEOX,
        "nemotron": NEMOTRON,
        "gpt2": GPT2,
        "bert": BERT,
        "roberta": ROBERTA,
        "distilbert": DISTILBERT,
        "electra": ELECTRA,
        "modernbert": MODERNBERT,
    },
)


def tensor_table(config: TransformerConfig) -> Table:
    """The tensors that a model of this family, with this head and normalizer, may have."""
    return FAMILIES.pick(config.family).tensors.of(config)
