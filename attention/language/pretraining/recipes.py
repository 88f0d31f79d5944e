"""Recipes: everything that decides a pretraining but its text, normalizer and seed, one row each.

Nothing here imports JAX.  ``dataclasses.asdict(RECIPES["babyberta"])`` shows a recipe in full.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from attention.choices import Choices
from attention.language.corpora import Layout


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A complete recipe.

    Attributes:
        description: in one line.
        source: where its numbers come from, and where it departs from there.
        model: fields of ``TransformerConfig``; the vocabulary is that of the tokenizer.
        vocabulary: tokens of the tokenizer that is trained, if none is given.
        objective: a key of ``OBJECTIVES``.
        layout: how rows are cut.
        length: tokens of a row.
        batch: rows of an update.
        steps: updates; the horizon of the schedule.
        optimizer: see ``make_optimizer``.
        schedule: see ``attention.training.make_schedule``.
        learning_rate: the largest.
        weight_decay: of what ``decay`` names.
        decay: ``matrices``, or ``scales`` of norms too.
        clip: largest norm of a gradient; None: no limit.
        z_loss: factor of ``(log sum exp l)²`` in the loss, which keeps logits small.
        dropout: share of the numbers that become 0 in training: of the input states and of what
            attention and MLPs add, not of attention weights.
        mask_rate: share of the tokens that are masked.
        mask_rate_end: that share at the last update, which it approaches in a straight line; None:
            it stays.
        mask_keep: share of those that stay as they are.
        mask_swap: share of those that become another token.
        causal_share: share of the rows that are causal, for ``hybrid``.
    """

    description: str
    source: str
    model: Mapping[str, Any]
    vocabulary: int
    objective: str
    layout: Layout
    length: int
    batch: int
    steps: int
    optimizer: str
    schedule: str
    learning_rate: float
    weight_decay: float = 0.0
    decay: Literal["matrices", "scales"] = "matrices"
    clip: float | None = 1.0
    z_loss: float = 0.0
    dropout: float = 0.0
    mask_rate: float = 0.15
    mask_rate_end: float | None = None
    mask_keep: float = 0.1
    mask_swap: float = 0.1
    causal_share: float = 0.5


GPT2_MODEL = {
    "family": "gpt2",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "position_embedding": "learned",
    "max_position_embeddings": 1024,
    "attention_bias": True,
    "attention_out_bias": True,
    "norm": "layernorm",
    "norm_eps": 1e-5,
    "hidden_act": "gelu_new",
    "gated_mlp": False,
    "mlp_bias": True,
    "tie_word_embeddings": True,
    "initializer": "gpt2",
}
NEMOTRON_MODEL = {
    "family": "nemotron",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "intermediate_size": 3072,
    "partial_rotary_factor": 0.5,
    "max_position_embeddings": 1024,
    "norm": "layernorm",
    "norm_less_one": True,
    "norm_eps": 1e-5,
    "hidden_act": "relu2",
    "gated_mlp": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.0134,
}
ROBERTA_MODEL = {
    "family": "roberta",
    "position_embedding": "learned",
    "position_offset": 2,
    "max_position_embeddings": 128,
    "type_vocab_size": 1,
    "causal": False,
    "attention_bias": True,
    "attention_out_bias": True,
    "norm": "layernorm",
    "norm_eps": 1e-5,
    "norm_placement": "post",
    "embedding_norm": True,
    "final_norm": False,
    "hidden_act": "gelu",
    "gated_mlp": False,
    "mlp_bias": True,
    "tie_word_embeddings": True,
}
BABYBERTA = Recipe(
    description="RoBERTa of 8 layers for child-directed speech, as its paper describes it",
    source="Huebner et al. 2021, BabyBERTa (CoNLL 2021): 90 % of the masked tokens become the mask "
    "and 10 % another token",
    model={
        **ROBERTA_MODEL,
        "hidden_size": 256,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "intermediate_size": 1024,
    },
    vocabulary=8192,
    objective="masked",
    layout="sentence",
    length=128,
    batch=16,
    steps=160_000,
    optimizer="adamw",
    schedule="warmup_linear_decay_schedule:warmup_steps=24000",
    learning_rate=1e-4,
    dropout=0.1,
    mask_keep=0.0,
    mask_swap=0.1,
)
MINI = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4}
MINI_DECODER = Recipe(
    description="Llama of 4 layers, for two cores",
    source="of this project: rotary positions, RMSNorm and a gated MLP as in Llama (Touvron et al. "
    "2023, arXiv 2302.13971)",
    model={
        **MINI,
        "family": "llama",
        "intermediate_size": 352,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    },
    vocabulary=4096,
    objective="causal",
    layout="packed",
    length=128,
    batch=32,
    steps=3000,
    optimizer="adamw:b2=0.98",
    schedule="warmup_cosine_decay_schedule",
    learning_rate=3e-3,
    weight_decay=0.1,
)
RECIPES: Choices[Recipe] = Choices(
    "recipe",
    {
        "gpt2-small": Recipe(
            description="GPT-2 of 124M parameters",
            source="Radford et al. 2019; the updates of nanoGPT: AdamW 0.9 and 0.95, 6e-4 to 6e-5, "
            "480 rows of 1,024 tokens",
            model=GPT2_MODEL,
            vocabulary=50_257,
            objective="causal",
            layout="stream",
            length=1024,
            batch=480,
            steps=600_000,
            optimizer="adamw:b1=0.9,b2=0.95",
            schedule="warmup_cosine_decay_schedule:warmup_steps=2000,end_value=6e-5",
            learning_rate=6e-4,
            weight_decay=0.1,
        ),
        "ssa-114m": Recipe(
            description="the decoder of the SSA paper, 114.13M parameters",
            source="arXiv 2508.14685 and its code: Nemotron in small, FineWeb-Edu, 786,432 tokens "
            "a step; train it with --normalizer ssa:as=raw and --dtype bfloat16",
            model=NEMOTRON_MODEL,
            vocabulary=50_256,
            objective="causal",
            layout="stream",
            length=1024,
            batch=768,
            steps=22_000,
            optimizer="adamw:b1=0.9,b2=0.95,eps=1e-5",
            schedule="warmup_cosine_decay_schedule:warmup_steps=500,end_value=3e-5",
            learning_rate=3e-4,
            weight_decay=0.1,
            decay="scales",
        ),
        "babyberta": BABYBERTA,
        "babyberta-hf": dataclasses.replace(
            BABYBERTA,
            description="the same as the SSA paper's authors ran it",
            source="the reference script of BabyBERTa with the collator of transformers: 80 % of "
            "the masked tokens become the mask, 10 % another token, 10 % stay",
            mask_keep=0.1,
        ),
        "mini-decoder": MINI_DECODER,
        "mini-encoder": Recipe(
            description="RoBERTa of 4 layers, for two cores",
            source="of this project: the blocks of RoBERTa (Liu et al. 2019, arXiv 1907.11692)",
            model={**ROBERTA_MODEL, **MINI, "intermediate_size": 512},
            vocabulary=4096,
            objective="masked",
            layout="packed",
            length=128,
            batch=32,
            steps=3000,
            optimizer="adamw:b2=0.98",
            schedule="warmup_linear_decay_schedule",
            learning_rate=1e-3,
            weight_decay=0.01,
        ),
        "small-budget": Recipe(
            description="a hybrid of decoder and encoder for 10 million words",
            source="after GPT-BERT (Charpentier and Samuel 2024, arXiv 2410.24159) and LTG-BERT "
            "(Samuel et al. 2023, arXiv 2303.09859): LAMB, gated GELU, norms before and behind "
            "each half, z-loss, a masked share that falls from 0.3 to 0.15; with the blocks of "
            "Gemma 3, so rotary positions in place of relative ones",
            model={
                "family": "gemma3_text",
                "hidden_size": 384,
                "num_hidden_layers": 12,
                "num_attention_heads": 6,
                "num_key_value_heads": 6,
                "head_dim": 64,
                "intermediate_size": 1280,
                "embedding_multiplier": 384**0.5,
                "attention_multiplier": 64**-0.5,
                "max_position_embeddings": 512,
                "norm_eps": 1e-6,
                "norm_less_one": True,
                "norm_placement": "sandwich",
                "qk_norm": "head",
                "hidden_act": "gelu_pytorch_tanh",
                "tie_word_embeddings": True,
            },
            vocabulary=8192,
            objective="hybrid",
            layout="packed",
            length=128,
            batch=256,
            steps=15_625,
            optimizer="lamb:b1=0.9,b2=0.98,eps=1e-8",
            schedule="warmup_cosine_decay_schedule:warmup_steps=250,end_value=7e-4",
            learning_rate=7e-3,
            weight_decay=0.1,
            clip=2.0,
            z_loss=1e-4,
            dropout=0.1,
            mask_rate=0.3,
            mask_rate_end=0.15,
            mask_keep=0.1,
            mask_swap=0.1,
            causal_share=0.125,
        ),
    },
)
