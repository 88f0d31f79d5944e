"""A model in the words of a GGUF file: what is written, the inverse of ``gguf_models``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gguf
import numpy as np

from attention.errors import InputError
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.config import own_attributes
from attention.transformer.huggingface.families import FAMILIES, tensor_table
from attention.transformer.huggingface.gguf_models import FIELDS, layout_of, names_of


def architecture_of(config: TransformerConfig) -> str:
    """The architecture that a model is written as.

    Raises:
        InputError: its family has none, or it is none of its family's models.
    """
    found = list(FAMILIES.pick(config.family).gguf)
    if not found or config.head != "causal_lm":
        families = ", ".join(name for name, family in FAMILIES.items() if family.gguf)
        raise InputError(
            f"a {config.family} model with the head {config.head} is not written as GGUF; "
            f"causal language models of {families} are"
        )
    if own := own_attributes(config):
        raise InputError(f"GGUF has no words for {' and '.join(own)} of a model")
    scaling = config.rope_scaling
    if scaling is not None and scaling.rope_type != "linear":
        raise InputError(f"positions scaled by {scaling.rope_type} are not written as GGUF yet")
    return found[0]


def gguf_metadata(
    config: TransformerConfig, architecture: str, name: str, file_type: str
) -> dict[str, Any]:
    """The architecture's metadata of a model that is written; the inverse of ``gguf_config``.

    Raises:
        InputError: the scaling of positions has no words in GGUF here.
    """
    prefix = f"{architecture}."
    kinds = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16}
    found: dict[str, Any] = {"general.name": name, "general.file_type": int(kinds[file_type])}
    for key, field in FIELDS.items():
        rms = key.endswith("rms_epsilon")
        if field == "norm_eps" and rms != (config.norm == "rmsnorm"):
            continue
        value = config.head_size if field == "head_dim" else getattr(config, field)
        value = config.key_value_heads if field == "num_key_value_heads" else value
        if value is not None:
            found[prefix + key] = value
    found[f"{prefix}vocab_size"] = config.vocab_size
    if config.position_embedding == "rope":
        found[f"{prefix}rope.freq_base"] = float(config.rope_theta)
        found[f"{prefix}rope.dimension_count"] = config.head_size
        scaling = config.rope_scaling
        if scaling is not None and scaling.rope_type == "linear":
            found[f"{prefix}rope.scaling.type"] = "linear"
            found[f"{prefix}rope.scaling.factor"] = float(scaling.factor)
    return found


def stored_form(
    config: TransformerConfig,
    architecture: str,
    tensors: Iterator[tuple[str, np.ndarray]],
    dtype: str,
) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors of a checkpoint folder as a GGUF file has them.

    Args:
        config: of the model.
        architecture: of GGUF, which a family has.
        tensors: as ``save_pretrained`` would write them.
        dtype: ``f32``, or ``f16`` for matrices; vectors are always f32.

    Raises:
        InputError: a tensor has no name in GGUF.
    """
    _, layout = layout_of(architecture)
    names = dict(names_of(config, tensor_table(config), architecture))
    for name, tensor in tensors:
        if name not in names:
            raise InputError(f"GGUF has no name for {name}")
        array = np.asarray(tensor.astype(np.float32))
        change = layout.change(names[name], config, load=False)
        array = array if change is None else change(array)
        wide = dtype == "f32" or array.ndim == 1
        yield names[name], array if wide else array.astype(np.float16)
