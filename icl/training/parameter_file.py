"""Parameters in one safetensors file: how trained models come along with the package."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from attention import files
from attention.errors import InputError
from attention.files import SETTINGS, Record
from icl.training.experiment import COMMAND
from icl.training.zoo import CARD

if TYPE_CHECKING:
    from icl.training.fitting import Trained

PARAMETERS = "params.safetensors"


def save_model(folder: Path, trained: Trained, card: Record, dtype: str = "float16") -> None:
    """Write a trained model as a folder that opens as a run.

    Args:
        folder: gets ``settings.json``, ``params.safetensors`` and ``card.json``.
        trained: the model, of one seed.
        card: what is said about it; its ``dtype`` is added.
        dtype: of the numbers in the file; they are float32 again when they are read.
    """
    arrays = {name: np.asarray(leaf, dtype) for name, leaf in _by_name(trained.params).items()}
    settings = {"command": COMMAND, **dataclasses.asdict(trained.experiment)}
    files.write_bytes(folder / PARAMETERS, safetensors.numpy.save(arrays))
    files.write_json(folder / SETTINGS, settings)
    files.write_json(folder / CARD, {**card, "dtype": dtype})  # last: a folder with a card is whole


def read_parameters(file: Path, abstract: Any) -> Any:
    """The parameters in a file of `save_model`.

    Args:
        file: the safetensors file.
        abstract: a tree with the shapes and dtypes that are wanted.

    Raises:
        InputError: the file cannot be read, or is of another model.
    """
    try:
        arrays = safetensors.numpy.load(files.read_bytes(file))
    except safetensors.SafetensorError as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    wanted = _by_name(abstract)
    if {n: a.shape for n, a in arrays.items()} != {n: leaf.shape for n, leaf in wanted.items()}:
        raise InputError(f"{file} has the parameters of another model than its settings say")
    leaves = [np.asarray(arrays[name], leaf.dtype) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(abstract), leaves)


def _by_name(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, in the tree's order."""
    pairs = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in pairs}
