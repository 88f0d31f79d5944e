"""Encoders: BERT, RoBERTa, DistilBERT, ELECTRA."""

from __future__ import annotations

from typing import Any

from attention.transformer.huggingface.families.definition import (
    COMMON_FIELDS,
    LAYER_NORMED,
    Family,
    HfConfig,
)
from attention.transformer.huggingface.families.tensors import ATTENTION, Table, linear, norm, row

_FIELDS = {**COMMON_FIELDS, "type_vocab_size": "type_vocab_size", "layer_norm_eps": "norm_eps"}
_FIXED = {
    **LAYER_NORMED,
    "norm_placement": "post",
    "embedding_norm": True,
    "final_norm": False,
    "causal": False,
}
_LAYER = "encoder.layer.{i}"
_ROWS = (
    row("embeddings.word_embeddings.weight", "embed/embedding"),
    row("embeddings.position_embeddings.weight", "position_embedding/embedding"),
    row("embeddings.token_type_embeddings.weight", "token_type_embedding/embedding"),
    *norm("embeddings.LayerNorm", "embedding_norm"),
    *linear(f"{_LAYER}.attention.self.query", f"{ATTENTION}/query"),
    *linear(f"{_LAYER}.attention.self.key", f"{ATTENTION}/key"),
    *linear(f"{_LAYER}.attention.self.value", f"{ATTENTION}/value"),
    *linear(f"{_LAYER}.attention.output.dense", f"{ATTENTION}/out", "linear_out"),
    *norm(f"{_LAYER}.attention.output.LayerNorm", "layers/attention_norm"),
    *linear(f"{_LAYER}.intermediate.dense", "layers/mlp/up"),
    *linear(f"{_LAYER}.output.dense", "layers/mlp/down"),
    *norm(f"{_LAYER}.output.LayerNorm", "layers/mlp_norm"),
)


def _read_electra(hf: HfConfig) -> dict[str, Any]:
    size = hf["embedding_size"]
    return {"embedding_size": None if size == hf["hidden_size"] else size}


BERT = Family(
    "Bert",
    _FIELDS,
    _FIXED,
    Table(
        prefix="bert.",
        attention=f"{_LAYER}.attention.self",
        rows=_ROWS,
        heads={
            "masked_lm": (
                *linear("cls.predictions.transform.dense", "head/dense"),
                *norm("cls.predictions.transform.LayerNorm", "head/norm"),
                row("cls.predictions.bias", "head/bias"),
                row("cls.predictions.decoder.weight", "lm_head/kernel"),
            ),
            "sequence": (
                *linear("bert.pooler.dense", "head/dense"),
                *linear("classifier", "head/out"),
            ),
            "token": linear("classifier", "head/out"),
        },
        # The pooler and the next-sentence head of a checkpoint that is used for another head.
        ignored=(r"embeddings\.position_ids", r"pooler\..*", r"cls\.seq_relationship\..*"),
        tied=(
            ("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"),
            ("cls.predictions.decoder.bias", "cls.predictions.bias"),
        ),
    ),
    expected={"position_embedding_type": "absolute"},
    bare_lm="ForMaskedLM",
)
ROBERTA = Family(
    "Roberta",
    _FIELDS,
    _FIXED,
    Table(
        prefix="roberta.",
        attention=f"{_LAYER}.attention.self",
        rows=_ROWS,
        heads={
            "masked_lm": (
                *linear("lm_head.dense", "head/dense"),
                *norm("lm_head.layer_norm", "head/norm"),
                row("lm_head.bias", "head/bias"),
                row("lm_head.decoder.weight", "lm_head/kernel"),
            ),
            "sequence": (
                *linear("classifier.dense", "head/dense"),
                *linear("classifier.out_proj", "head/out"),
            ),
            "token": linear("classifier", "head/out"),
        },
        ignored=(r"embeddings\.position_ids", r"pooler\..*"),
        tied=(
            ("lm_head.decoder.weight", "embeddings.word_embeddings.weight"),
            ("lm_head.decoder.bias", "lm_head.bias"),
        ),
    ),
    reads=("pad_token_id",),
    read=lambda hf: {
        "position_offset": hf["pad_token_id"] + 1,
        "max_position_embeddings": hf["max_position_embeddings"] - hf["pad_token_id"] - 1,
    },
    write=lambda config: {
        "pad_token_id": config.position_offset - 1,
        "max_position_embeddings": config.max_position_embeddings + config.position_offset,
    },
    expected={"position_embedding_type": "absolute"},
    bare_lm="ForMaskedLM",
    fixed_for={"masked_lm": {"head_act": "gelu"}},  # whatever hidden_act says
)
ELECTRA = Family(
    "Electra",
    _FIELDS,
    _FIXED,
    Table(
        prefix="electra.",
        attention=f"{_LAYER}.attention.self",
        rows=(*_ROWS, *linear("embeddings_project", "embed_projection")),
        heads={
            "masked_lm": (
                *linear("generator_predictions.dense", "head/dense"),
                *norm("generator_predictions.LayerNorm", "head/norm"),
                row("generator_lm_head.bias", "head/bias"),
                row("generator_lm_head.weight", "lm_head/kernel"),
            ),
            "sequence": (
                *linear("classifier.dense", "head/dense"),
                *linear("classifier.out_proj", "head/out"),
            ),
            "token": linear("classifier", "head/out"),
        },
        ignored=(r"embeddings\.position_ids", r"discriminator_predictions\..*"),
        tied=(("generator_lm_head.weight", "embeddings.word_embeddings.weight"),),
    ),
    reads=("embedding_size",),
    read=_read_electra,
    write=lambda config: {"embedding_size": config.embedding_width},
    expected={"position_embedding_type": "absolute"},
    bare_lm="ForMaskedLM",
    fixed_for={"masked_lm": {"head_act": "gelu"}, "sequence": {"head_act": "gelu"}},
    # A discriminator is an encoder here: which tokens were replaced is asked by nobody.
    classes={"ForPreTraining": "none"},
)
DISTILBERT = Family(
    "DistilBert",
    {
        "vocab_size": "vocab_size",
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "max_position_embeddings": "max_position_embeddings",
        "activation": "hidden_act",
        "initializer_range": "initializer_range",
        "tie_word_embeddings": "tie_word_embeddings",
    },
    {**_FIXED, "norm_eps": 1e-12},
    Table(
        prefix="distilbert.",
        attention="transformer.layer.{i}.attention",
        rows=(
            row("embeddings.word_embeddings.weight", "embed/embedding"),
            row("embeddings.position_embeddings.weight", "position_embedding/embedding"),
            *norm("embeddings.LayerNorm", "embedding_norm"),
            *linear("transformer.layer.{i}.attention.q_lin", f"{ATTENTION}/query"),
            *linear("transformer.layer.{i}.attention.k_lin", f"{ATTENTION}/key"),
            *linear("transformer.layer.{i}.attention.v_lin", f"{ATTENTION}/value"),
            *linear("transformer.layer.{i}.attention.out_lin", f"{ATTENTION}/out", "linear_out"),
            *norm("transformer.layer.{i}.sa_layer_norm", "layers/attention_norm"),
            *linear("transformer.layer.{i}.ffn.lin1", "layers/mlp/up"),
            *linear("transformer.layer.{i}.ffn.lin2", "layers/mlp/down"),
            *norm("transformer.layer.{i}.output_layer_norm", "layers/mlp_norm"),
        ),
        heads={
            "masked_lm": (
                *linear("vocab_transform", "head/dense"),
                *norm("vocab_layer_norm", "head/norm"),
                row("vocab_projector.bias", "head/bias"),
                row("vocab_projector.weight", "lm_head/kernel"),
            ),
            "sequence": (
                *linear("pre_classifier", "head/dense"),
                *linear("classifier", "head/out"),
            ),
            "token": linear("classifier", "head/out"),
        },
        ignored=(r"embeddings\.position_ids",),
        tied=(("vocab_projector.weight", "embeddings.word_embeddings.weight"),),
    ),
    reads=("sinusoidal_pos_embds",),  # how the stored table was made
    bare_lm="ForMaskedLM",
    fixed_for={"sequence": {"head_act": "relu"}},
)
