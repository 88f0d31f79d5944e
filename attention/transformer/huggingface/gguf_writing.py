"""A model in the words of a GGUF file: what is written, the inverse of ``gguf_models``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader
import numpy as np

from attention.errors import InputError
from attention.files import read_header
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.config import (
    differing_fields,
    from_hf,
    named_fields,
    own_attributes,
)
from attention.transformer.huggingface.families import FAMILIES, tensor_table
from attention.transformer.huggingface.gguf_models import (
    FIELDS,
    gguf_config,
    layout_of,
    names_of,
)
from attention.transformer.huggingface.gguf_positions import position_tensors, positions_metadata

if TYPE_CHECKING:
    import gguf
else:  # only files in this format need the library
    gguf = lazy_loader.load("gguf")


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
    own = set(FAMILIES.pick(config.family).fields.values())
    for key, field in FIELDS.items():
        rms = key.endswith("rms_epsilon")
        if field not in own or (field == "norm_eps" and rms != (config.norm == "rmsnorm")):
            continue
        value = config.head_size if field == "head_dim" else getattr(config, field)
        value = config.key_value_heads if field == "num_key_value_heads" else value
        if value is not None:
            found[prefix + key] = value
    found[f"{prefix}vocab_size"] = config.vocab_size
    if config.position_embedding == "rope":
        found |= {prefix + key: value for key, value in positions_metadata(config).items()}
    _, layout = layout_of(architecture)
    return found | {prefix + key: value for key, value in layout.metadata(config).items()}


def check_written(file: Path, config: TransformerConfig) -> None:
    """Check that a file says what the model is.

    Raises:
        InputError: GGUF has no words for some of it; the message names the fields.
    """
    again = from_hf(gguf_config(read_header(file)), config.dtype)
    again = dataclasses.replace(
        again, family=config.family, initializer_range=config.initializer_range
    )
    if again.rope.size(again.head_size) == config.rope.size(config.head_size):
        # the file says how many numbers turn, not which share they are
        share = config.partial_rotary_factor
        again = dataclasses.replace(again, partial_rotary_factor=share)
    if differing := differing_fields(config, again):
        raise InputError(f"GGUF has no words for {named_fields(config, differing)} of a model")


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
        tensors: as ``save_pretrained`` would write them, ``[out]`` or ``[out, in]``.
        dtype: ``f32``, or ``f16`` for matrices; vectors are always f32.

    Raises:
        InputError: a tensor has no name in GGUF.
    """
    _, layout = layout_of(architecture)
    every = names_of(config, tensor_table(config), architecture)
    names = {name: (stored, expert) for name, stored, expert in every}
    experts: dict[str, list[np.ndarray]] = {}
    for name, tensor in tensors:
        if name not in names:
            raise InputError(f"GGUF has no name for {name}")
        stored, expert = names[name]
        array = np.asarray(tensor.astype(np.float32))
        change = layout.change(stored, config, load=False)
        array = array if change is None else change(array)
        if expert is not None:  # they come one by one, and are stored as one
            experts.setdefault(stored, []).append(array)
            if len(experts[stored]) < (config.num_experts or 0):
                continue
            array = np.stack(experts.pop(stored))
        wide = dtype == "f32" or array.ndim == 1
        yield stored, array if wide else array.astype(np.float16)
    yield from position_tensors(config)
