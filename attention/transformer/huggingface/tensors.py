"""Which tensor of a checkpoint is which parameter: a table for each family, with named transforms.

A row's name is a template: ``{i}`` stands for the layer.  A transform has two directions and is
written for arrays of NumPy and JAX alike; loading never copies.

The learned parameters of a normalizer, which Hugging Face's models have not, stand where the
attention of their layer stands, as float32 numbers before they are constrained (``Normalizer``):

    model.layers.3.self_attn.normalizer.n                 Llama, Qwen, Mistral
    transformer.h.3.attn.normalizer.n                     GPT-2
    bert.encoder.layer.3.attention.self.normalizer.n      BERT and, with ``roberta.``, RoBERTa
    model.normalizer.n                                    of ``per=model``, with the family's prefix

Each is ``[]``, or ``[head]`` with ``per=head``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from attention.normalizers import NORMALIZERS
from attention.transformer.config import TransformerConfig

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Transform:
    """``load(tensor, shapes)`` gives the parameters, ``save(parameters)`` the tensor again."""

    load: Callable[[Any, Sequence[Shape]], list[Any]]
    save: Callable[[Sequence[Any]], Any]


def _flat(parameter: Any) -> Any:
    return parameter.reshape(-1)


def _in_first(parameter: Any) -> Any:
    return parameter.reshape(parameter.shape[0], -1)


def _out_last(parameter: Any) -> Any:
    return parameter.reshape(-1, parameter.shape[-1])


def _reshape(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    return [tensor.reshape(shapes[0])]


def _transpose(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    return [tensor.T.reshape(shapes[0])]


def _split(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    size = tensor.shape[-1] // len(shapes)
    return [tensor[..., i * size : (i + 1) * size].reshape(shape) for i, shape in enumerate(shapes)]


TRANSFORMS: dict[str, Transform] = {
    "copy": Transform(_reshape, lambda parameters: parameters[0]),
    "flat": Transform(_reshape, lambda parameters: _flat(parameters[0])),
    # torch's nn.Linear stores [out, in]; heads are split off one of the two
    "linear": Transform(_transpose, lambda parameters: _in_first(parameters[0]).T),
    "linear_out": Transform(_transpose, lambda parameters: _out_last(parameters[0]).T),
    # GPT-2's Conv1D stores [in, out]; query, key and value in one
    "conv1d": Transform(_reshape, lambda parameters: _out_last(parameters[0])),
    "conv1d_qkv": Transform(_split, lambda ps: jnp.concatenate([_in_first(p) for p in ps], 1)),
    "flat_qkv": Transform(_split, lambda ps: jnp.concatenate([_flat(p) for p in ps])),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor's name template, the parameters it holds and how."""

    name: str
    paths: tuple[str, ...]
    transform: str = "copy"

    @property
    def layered(self) -> bool:
        """Whether there is such a tensor for every layer."""
        return "{i}" in self.name


@dataclasses.dataclass(frozen=True)
class Table:
    """A family's tensors.

    Attributes:
        prefix: precedes the names of the base model's tensors in a checkpoint with a head.
        attention: template of the name of a layer's attention.
        rows: one for each tensor, or for each tensor of a layer.
        head_names: starts of names that do not take the prefix.
        ignored: regular expressions of buffers, which are not read.
        tied: tensors that repeat the embedding or the head's bias, with the tensor they repeat.
    """

    prefix: str
    attention: str
    rows: tuple[Row, ...]
    head_names: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    tied: tuple[tuple[str, str], ...] = ()


def _row(name: str, path: str | tuple[str, ...], transform: str = "copy") -> Row:
    return Row(name, (path,) if isinstance(path, str) else path, transform)


def _linear(name: str, path: str, transform: str = "linear") -> tuple[Row, Row]:
    bias = "copy" if transform == "linear_out" else "flat"
    return _row(f"{name}.weight", f"{path}/kernel", transform), _row(
        f"{name}.bias", f"{path}/bias", bias
    )


def _norm(name: str, path: str) -> tuple[Row, Row]:
    return _row(f"{name}.weight", f"{path}/scale"), _row(f"{name}.bias", f"{path}/bias")


_ATTENTION = "layers/attention"
_LAYER = "layers.{i}"
_LLAMA = Table(
    prefix="model.",
    attention=f"{_LAYER}.self_attn",
    head_names=("lm_head.", "score."),
    rows=(
        _row("embed_tokens.weight", "embed/embedding"),
        _row(f"{_LAYER}.input_layernorm.weight", "layers/attention_norm/scale"),
        *_linear(f"{_LAYER}.self_attn.q_proj", f"{_ATTENTION}/query"),
        *_linear(f"{_LAYER}.self_attn.k_proj", f"{_ATTENTION}/key"),
        *_linear(f"{_LAYER}.self_attn.v_proj", f"{_ATTENTION}/value"),
        *_linear(f"{_LAYER}.self_attn.o_proj", f"{_ATTENTION}/out", "linear_out"),
        _row(f"{_LAYER}.self_attn.q_norm.weight", f"{_ATTENTION}/query_norm/scale"),
        _row(f"{_LAYER}.self_attn.k_norm.weight", f"{_ATTENTION}/key_norm/scale"),
        _row(f"{_LAYER}.post_attention_layernorm.weight", "layers/mlp_norm/scale"),
        *_linear(f"{_LAYER}.mlp.gate_proj", "layers/mlp/gate"),
        *_linear(f"{_LAYER}.mlp.up_proj", "layers/mlp/up"),
        *_linear(f"{_LAYER}.mlp.down_proj", "layers/mlp/down"),
        _row("norm.weight", "final_norm/scale"),
        _row("lm_head.weight", "lm_head/kernel"),
        *_linear("score", "head/out"),
    ),
    ignored=(r"layers\.[0-9]+\.self_attn\.rotary_emb\.inv_freq", r"rotary_emb\.inv_freq"),
    tied=(("lm_head.weight", "embed_tokens.weight"),),
)
_QKV = tuple(f"{_ATTENTION}/{name}" for name in ("query", "key", "value"))
_GPT2 = Table(
    prefix="transformer.",
    attention="h.{i}.attn",
    head_names=("lm_head.", "score.", "classifier."),
    rows=(
        _row("wte.weight", "embed/embedding"),
        _row("wpe.weight", "position_embedding/embedding"),
        *_norm("h.{i}.ln_1", "layers/attention_norm"),
        _row("h.{i}.attn.c_attn.weight", tuple(f"{p}/kernel" for p in _QKV), "conv1d_qkv"),
        _row("h.{i}.attn.c_attn.bias", tuple(f"{p}/bias" for p in _QKV), "flat_qkv"),
        _row("h.{i}.attn.c_proj.weight", f"{_ATTENTION}/out/kernel", "conv1d"),
        _row("h.{i}.attn.c_proj.bias", f"{_ATTENTION}/out/bias"),
        *_norm("h.{i}.ln_2", "layers/mlp_norm"),
        _row("h.{i}.mlp.c_fc.weight", "layers/mlp/up/kernel", "conv1d"),
        _row("h.{i}.mlp.c_fc.bias", "layers/mlp/up/bias"),
        _row("h.{i}.mlp.c_proj.weight", "layers/mlp/down/kernel", "conv1d"),
        _row("h.{i}.mlp.c_proj.bias", "layers/mlp/down/bias"),
        *_norm("ln_f", "final_norm"),
        _row("lm_head.weight", "lm_head/kernel"),
        _row("score.weight", "head/out/kernel", "linear"),
    ),
    ignored=(r"h\.[0-9]+\.attn\.(masked_)?bias",),
    tied=(("lm_head.weight", "wte.weight"),),
)
_BERT_LAYER = "encoder.layer.{i}"
_BERT_BODY = (
    _row("embeddings.word_embeddings.weight", "embed/embedding"),
    _row("embeddings.position_embeddings.weight", "position_embedding/embedding"),
    _row("embeddings.token_type_embeddings.weight", "token_type_embedding/embedding"),
    *_norm("embeddings.LayerNorm", "embedding_norm"),
    *_linear(f"{_BERT_LAYER}.attention.self.query", f"{_ATTENTION}/query"),
    *_linear(f"{_BERT_LAYER}.attention.self.key", f"{_ATTENTION}/key"),
    *_linear(f"{_BERT_LAYER}.attention.self.value", f"{_ATTENTION}/value"),
    *_linear(f"{_BERT_LAYER}.attention.output.dense", f"{_ATTENTION}/out", "linear_out"),
    *_norm(f"{_BERT_LAYER}.attention.output.LayerNorm", "layers/attention_norm"),
    *_linear(f"{_BERT_LAYER}.intermediate.dense", "layers/mlp/up"),
    *_linear(f"{_BERT_LAYER}.output.dense", "layers/mlp/down"),
    *_norm(f"{_BERT_LAYER}.output.LayerNorm", "layers/mlp_norm"),
)
_BERT = Table(
    prefix="bert.",
    attention=f"{_BERT_LAYER}.attention.self",
    head_names=("cls.", "classifier."),
    rows=(
        *_BERT_BODY,
        *_linear("cls.predictions.transform.dense", "head/dense"),
        *_norm("cls.predictions.transform.LayerNorm", "head/norm"),
        _row("cls.predictions.bias", "head/bias"),
        _row("cls.predictions.decoder.weight", "lm_head/kernel"),
        *_linear("pooler.dense", "head/dense"),
        *_linear("classifier", "head/out"),
    ),
    # The pooler and the next-sentence head of a checkpoint that is used for another head.
    ignored=(r"embeddings\.position_ids", r"pooler\..*", r"cls\.seq_relationship\..*"),
    tied=(
        ("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"),
        ("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ),
)
_ROBERTA = Table(
    prefix="roberta.",
    attention=f"{_BERT_LAYER}.attention.self",
    head_names=("lm_head.", "classifier."),
    rows=(
        *_BERT_BODY,
        *_linear("lm_head.dense", "head/dense"),
        *_norm("lm_head.layer_norm", "head/norm"),
        _row("lm_head.bias", "head/bias"),
        _row("lm_head.decoder.weight", "lm_head/kernel"),
        *_linear("classifier.dense", "head/dense"),
        *_linear("classifier.out_proj", "head/out"),
    ),
    ignored=(r"embeddings\.position_ids", r"pooler\..*"),
    tied=(
        ("lm_head.decoder.weight", "embeddings.word_embeddings.weight"),
        ("lm_head.decoder.bias", "lm_head.bias"),
    ),
)

_FAMILY_TABLES = {
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "mistral": _LLAMA,
    "gpt2": _GPT2,
    "bert": _BERT,
    "roberta": _ROBERTA,
}
# Rows that exist for one head only, where two rows name one parameter.
_HEAD_ROWS = {
    ("bert", "masked_lm"): ("cls.",),
    ("bert", "sequence"): ("pooler.", "classifier."),
    ("bert", "token"): ("classifier.",),
    ("roberta", "masked_lm"): ("lm_head.",),
    ("roberta", "sequence"): ("classifier.dense", "classifier.out_proj"),
}


def table(config: TransformerConfig) -> Table:
    """The rows that a model of this family, with this head and normalizer, may have."""
    found = _FAMILY_TABLES[config.family]
    heads = (*found.head_names, "pooler.")
    wanted = _HEAD_ROWS.get((config.family, config.head), found.head_names)
    rows = [row for row in found.rows if not row.name.startswith(heads)]
    if config.family in ("roberta", "gpt2") and config.head == "token":
        rows += _linear("classifier", "head/out")
    else:
        rows += [row for row in found.rows if row.name.startswith(wanted)]
    scoring = NORMALIZERS.pick(config.normalizer)
    name, path = (
        ("normalizer", "normalizer")
        if scoring.per == "model"
        else (f"{found.attention}.normalizer", f"{_ATTENTION}/normalizer")
    )
    rows += [_row(f"{name}.{each}", f"{path}/{each}") for each in scoring.parameters]
    return dataclasses.replace(found, rows=tuple(rows))
