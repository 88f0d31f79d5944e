"""BERT and RoBERTa."""

from __future__ import annotations

from attention.transformer.huggingface.families.definition import (
    COMMON_FIELDS,
    LAYER_NORMED,
    Family,
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
)
