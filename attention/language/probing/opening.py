"""A language model with its tokenizer, in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from attention.files import load_tokenizer
from attention.meshes import SHARDINGS, make_mesh
from attention.options import Devices
from attention.training import batch_sharding, param_shardings, transformer_axes
from attention.transformer import TransformerConfig, checkpoint_folder, load_pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclasses.dataclass(frozen=True)
class OpenedModel:
    """A language model, on one device or shared by several.

    Attributes:
        name: what the user calls it.
        config: of the transformer.
        params: its parameters, stacked by layer.
        tokenizer: that comes with it.
        batch_sharding: of batches over several devices; None on one.
    """

    name: str
    config: TransformerConfig
    params: dict[str, Any]
    tokenizer: PreTrainedTokenizerBase
    batch_sharding: jax.sharding.NamedSharding | None = None


def open_model(name: str, devices: Devices = Devices(), revision: str | None = None) -> OpenedModel:
    """Load a model and its tokenizer.

    Args:
        name: what ``load_pretrained`` opens: a folder, a run, a GGUF file, package:NAME or hub id.
        devices: the devices that hold it, and the type of its parameters.
        revision: of a model on the hub.

    Raises:
        InputError: no such model, no tokenizer that can be read, or too few devices.
    """
    folder: Path = checkpoint_folder(name, revision)
    tokenizer = load_tokenizer(folder)
    mesh, rules = make_mesh(devices=None, **devices.axes), SHARDINGS.pick(devices.sharding).rules
    if mesh.size == 1:
        return OpenedModel(name, *load_pretrained(folder, devices.dtype), tokenizer)

    def shardings(abstract: Any) -> Any:
        return param_shardings(abstract, transformer_axes(abstract), mesh, rules)

    loaded = load_pretrained(folder, devices.dtype, shardings=shardings)
    return OpenedModel(name, *loaded, tokenizer, batch_sharding(mesh, rules))
