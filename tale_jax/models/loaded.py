"""Loads a model: its folder, parameters, tokenizer and fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from attention.errors import InputError
from attention.files import (
    end_tokens,
    load_tokenizer,
    open_regular,
    read_bytes,
    use_compilation_cache,
)
from attention.meshes import SHARDINGS, Placement, make_mesh
from attention.training import batch_sharding, param_shardings, transformer_axes
from attention.transformer import TransformerConfig, load_pretrained
from attention.transformer.huggingface import checkpoint_folder
from tale_jax.options import ModelOptions
from tale_jax.tasks import Tokenizer
from tale_jax.units import missing_halves

if TYPE_CHECKING:
    from tale_jax.runs import FinishedRun

DEMO = Path(__file__).parents[1] / "assets" / "demo"
_ENDS = 2**20  # bytes of a file's start and end that tell it from another of the same size


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A causal language model in memory, on one device or shared by several.

    Attributes:
        name: what the user calls it.
        folder: of its checkpoint.
        config: of the transformer.
        params: its parameters, stacked by layer.
        tokenizer: that comes with it.
        batch_sharding: of batches over several devices; None on one.
        placement: the devices, and how activations lie on them; None on one.
        end_tokens: ids at which it ends what it writes.
    """

    name: str
    folder: Path
    config: TransformerConfig
    params: dict[str, Any]
    tokenizer: Tokenizer
    batch_sharding: jax.sharding.NamedSharding | None
    placement: Placement | None
    end_tokens: tuple[int, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Halves of layers that the model is without."""
        return missing_halves(self.config.halves)


def model_folder(name: str, revision: str | None = None) -> Path:
    """The folder of a model: ``demo`` is the bundled one, other names are folders or hub ids."""
    return DEMO if name == "demo" else checkpoint_folder(name, revision)


def load_model(name: str, options: ModelOptions = ModelOptions()) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    Args:
        name: local folder, hub id or ``demo``.
        options: type of the parameters, revision, and the devices that hold them.

    Raises:
        InputError: no such model, no language model, no tokenizer that can be read, or too few
            devices.
    """
    if options.compilation_cache:
        use_compilation_cache()
    folder = model_folder(name, options.revision)
    mesh, rules = make_mesh(devices=None, **options.axes), SHARDINGS.pick(options.sharding).rules
    several = mesh.size > 1

    def shardings(abstract: Any) -> Any:
        return param_shardings(abstract, transformer_axes(abstract), mesh, rules)

    given = shardings if several else None
    config, params = load_pretrained(
        folder, options.dtype, shardings=given, weights=options.weights
    )
    if config.head != "causal_lm":
        raise InputError(f"{name}: has the head {config.head}; tale needs a causal language model")
    sharding = batch_sharding(mesh, rules) if several else None
    placement = Placement(mesh, rules) if several else None
    tokenizer = load_tokenizer(folder)
    ends = end_tokens(folder, tokenizer)
    return LoadedModel(name, folder, config, params, tokenizer, sharding, placement, ends)


def fingerprint(folder: Path) -> str:
    """A hash of a checkpoint: of its config, and of the size and the ends of its weight files."""
    alone = folder.is_file()  # a GGUF file has its config within
    digest = hashlib.sha256(b"" if alone else read_bytes(folder / "config.json", "json"))
    for file in [folder] if alone else sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with open_regular(file) as stream:
            digest.update(stream.read(_ENDS))
            stream.seek(max(0, size - _ENDS))
            digest.update(stream.read(_ENDS))
    return digest.hexdigest()[:16]


def searched_folder(run: FinishedRun, model: str | None = None) -> Path:
    """The folder of the checkpoint that a search looked at.

    Args:
        run: the search.
        model: where the checkpoint is now, if it moved.

    Raises:
        InputError: it is not there, or another one is.
    """
    name = model or run.settings["model"]
    folder = model_folder(name, run.settings.get("revision"))
    if fingerprint(folder) != run.settings.get("fingerprint"):
        raise InputError(
            f"{name} is not the checkpoint that {run.directory} searched; give it by --model"
        )
    return folder
