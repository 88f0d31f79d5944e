"""GGUF ⇄ the configs and tensors of Hugging Face checkpoints.

A GGUF file says what ``config.json`` says in other words, names tensors otherwise, and a few of
them are stored changed: rows of queries and keys in another order, norms plus one, matrices
transposed.  Here the file is made to look like a checkpoint folder, so that one matching serves
both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import lazy_loader

from attention.errors import InputError
from attention.files import GgufHeader, GgufTensor
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families import FAMILIES, Layout, Table, tensor_table
from attention.transformer.huggingface.gguf_positions import DIVISORS, FACTORS, read_positions

if TYPE_CHECKING:
    import gguf
else:  # only files in this format need the library
    gguf = lazy_loader.load("gguf")

# Metadata of an architecture → fields of TransformerConfig.
FIELDS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "norm_eps",
    "attention.layer_norm_epsilon": "norm_eps",
    "attention.sliding_window": "sliding_window",
    "attention.scale": "attention_multiplier",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


# Fields that no metadata say → tensors of which one is there where they hold.
BIASES = {
    "attention_bias": ("blk.0.attn_q.bias", "blk.0.attn_qkv.bias"),
    "mlp_bias": ("blk.0.ffn_up.bias",),
}


def layout_of(architecture: str) -> tuple[str, Layout]:
    """The ``model_type`` that an architecture of GGUF is loaded as, and how its tensors lie.

    Raises:
        InputError: no family has this architecture.
    """
    known: dict[str, tuple[str, Layout]] = {}
    for name, family in FAMILIES.items():
        for each, layout in family.gguf.items():
            known.setdefault(each, (name, layout))  # several families are written as llama
    if architecture not in known:
        raise InputError(
            f"GGUF of the architecture {architecture!r} is not read, take its safetensors; "
            f"there are {', '.join(known)}"
        )
    return known[architecture]


def gguf_config(header: GgufHeader) -> dict[str, Any]:
    """The ``config.json`` that the file's metadata amount to.

    Raises:
        InputError: an architecture or a scaling of positions that is not known.
    """
    model_type, layout = layout_of(header.architecture)
    family = FAMILIES[model_type]
    names = {field: name for name, field in family.fields.items()}
    hf: dict[str, Any] = {
        "model_type": model_type,
        "architectures": [family.class_prefix + family.bare_lm],
        "torch_dtype": "float32",
        "tie_word_embeddings": "output.weight" not in header.tensors,
    }
    for key, field in FIELDS.items():
        value = header.about(key)
        if value is not None and field in names:
            hf[names[field]] = value or None  # a window of 0 is none
    embedding = header.tensors.get("token_embd.weight")
    if embedding is not None:
        hf["vocab_size"] = embedding.shape[0]
    for field, stored in BIASES.items():
        if field in names or field in family.reads:
            hf[names.get(field, field)] = not header.tensors.keys().isdisjoint(stored)
    if "rope_parameters" in family.reads:
        hf |= read_positions(header)
    hf |= layout.extra(header)
    hf |= _token_ids(header.metadata)
    return hf


def _token_ids(metadata: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "tokenizer.ggml."
    found = {f"{n}_token_id": metadata.get(f"{prefix}{n}_token_id") for n in ("bos", "eos")}
    ends = [metadata.get(f"{prefix}{n}_token_id") for n in ("eos", "eot", "eom")]
    listed = list(dict.fromkeys(end for end in ends if end is not None))
    if len(listed) > 1:
        found["eos_token_id"] = listed
    found["pad_token_id"] = metadata.get(f"{prefix}padding_token_id")
    return {name: value for name, value in found.items() if value is not None}


def gguf_tensors(header: GgufHeader, config: TransformerConfig) -> dict[str, GgufTensor]:
    """The file's tensors by their names in a checkpoint folder; unknown ones keep their own."""
    _, layout = layout_of(header.architecture)
    found: dict[str, GgufTensor] = {}
    used = {DIVISORS, *FACTORS.values()}  # read with the config
    for name, stored, expert in names_of(config, tensor_table(config), header.architecture):
        tensor = header.tensors.get(stored)
        if tensor is None or (expert is None and stored in used):
            continue
        used.add(stored)
        if expert is not None:
            if len(tensor.shape) != 3 or expert >= tensor.shape[0]:
                continue  # the matching says what is missing
            tensor = tensor.part(expert)
        shape = tensor.shape[::-1] if stored.endswith(layout.transposed or "\0") else tensor.shape
        change = layout.change(stored, config, load=True)
        found[name] = dataclasses.replace(tensor, change=change, shape=shape)
    return found | {name: each for name, each in header.tensors.items() if name not in used}


def names_of(
    config: TransformerConfig, names: Table, architecture: str
) -> Iterator[tuple[str, str, int | None]]:
    """Every tensor there may be: its name in a checkpoint folder and in the file, and the expert.

    The experts of a layer are one tensor of the file; elsewhere the last is None.
    """
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    known = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    for row in names.rows:
        experts = range(config.num_experts or 0) if "{h}" in row.name else (None,)
        for layer in range(config.num_hidden_layers if row.layered else 1):
            name = row.name.replace("{i}", str(layer))
            whole = name.replace(".{h}", "")
            found = (known.get_name(n, (".weight", ".bias")) for n in (whole, names.bare(whole)))
            stored = next((each for each in found if each is not None), None)
            if stored is not None:
                yield from ((name.replace("{h}", str(each)), stored, each) for each in experts)
