"""Where checkpoints come from: folders, the hub, installed packages; safetensors or GGUF."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files import (
    load_tokenizer,
    package_checkpoint,
    read_header,
    read_json,
    tokenizer_metadata,
    write_json,
)
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.adapters import base_of, is_adapter, merged_adapter
from attention.transformer.huggingface.gguf_models import gguf_config, gguf_tensors
from attention.transformer.huggingface.matching import Stored
from attention.transformer.huggingface.multimodal import text_tensors
from attention.transformer.huggingface.safetensor_files import CONFIG, stored_tensors

GGUF = ".gguf"
PACKAGE = "package:"
RUN_MODEL = "model"
"""Where a run of ``attn pretrain`` has its model."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
_NOT_FROM_HUB: list[str] = ["original/*", "consolidated*"]  # the same weights in another layout
_HUB_FILES: list[str] = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "LICENSE*"]


def checkpoint_folder(path_or_id: str | Path, revision: str | None = None) -> Path:
    """Find a model: the folder of its checkpoint, or its GGUF file.

    Args:
        path_or_id: local folder, GGUF file, ``package:NAME`` for what an installed package holds,
            or id on the Hugging Face hub.  A folder may hold a PEFT adapter: it is merged into its
            base model, once, in the cache.
        revision: branch, tag or commit on the hub.

    Raises:
        InputError: there is no such folder, or no model in it, no such package, and no such model
            on the hub (or no way to reach it).
    """
    if str(path_or_id).startswith(PACKAGE):
        return package_checkpoint(str(path_or_id))
    folder = Path(path_or_id).expanduser()
    if folder.suffix == GGUF and folder.is_file():
        return folder
    if folder.is_dir():
        return _opened(folder)
    name = str(path_or_id)
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"{name}: no such model folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            name, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=_NOT_FROM_HUB
        )
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name}: neither a local folder nor a model the hub gave ({reason})"
        ) from error
    return _opened(Path(found))


def _opened(folder: Path) -> Path:
    """The folder of the model in a folder: itself, that of a run, or an adapter in its base.

    Raises:
        InputError: there is neither, or the adapter does not fit.
    """
    if is_adapter(folder):
        name, revision = base_of(folder)
        return merged_adapter(folder, checkpoint_folder(name, revision))
    if not (folder / CONFIG).is_file() and (folder / RUN_MODEL / CONFIG).is_file():
        return folder / RUN_MODEL
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder / CONFIG}: not found; is this a model folder?")
    return folder


def config_of(place: Path) -> dict[str, Any]:
    """The ``config.json`` of a folder, or what the metadata of a GGUF file amount to.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return gguf_config(read_header(place)) if place.suffix == GGUF else read_json(place / CONFIG)


def tensors_of(place: Path, config: TransformerConfig) -> Mapping[str, Stored]:
    """Every tensor of a checkpoint, by its name in Hugging Face's words.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    if place.suffix == GGUF:
        return gguf_tensors(read_header(place), config)
    stored = stored_tensors(place)
    return text_tensors(stored) if "text_config" in read_json(place / CONFIG) else stored


def copy_tokenizer(place: Path, folder: Path) -> None:
    """Put the tokenizer of a checkpoint into another folder, with what ends an answer."""
    if place.suffix != GGUF:
        for name in TOKENIZER_FILES:
            if (place / name).is_file():
                shutil.copyfile(place / name, folder / name)
        return
    load_tokenizer(place).save_pretrained(folder)
    ids = {k: v for k, v in config_of(place).items() if k.endswith("_token_id")}
    write_json(folder / "generation_config.json", ids)


def gguf_words(place: Path, config: TransformerConfig) -> dict[str, Any]:
    """The metadata of a GGUF file about the tokenizer of a checkpoint.

    Raises:
        InputError: the tokenizer is of a kind that GGUF has no words for here.
    """
    if place.suffix == GGUF:
        about = read_header(place).metadata
        return {key: value for key, value in about.items() if key.startswith("tokenizer.")}
    return tokenizer_metadata(load_tokenizer(place), config.vocab_size or 0)
