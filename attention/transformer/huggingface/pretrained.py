"""Checkpoints ⇄ parameters, tensor by tensor."""

from __future__ import annotations

import dataclasses
import functools
import mmap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from attention.errors import InputError
from attention.files import new_file, new_folder, write_gguf, write_json, write_text
from attention.options import Weights
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.attributes import IGNORABLE
from attention.transformer.huggingface.config import from_hf, ignored_attributes, to_hf
from attention.transformer.huggingface.families import TRANSFORMS, tensor_table
from attention.transformer.huggingface.gguf_writing import (
    architecture_of,
    check_written,
    gguf_metadata,
    stored_form,
)
from attention.transformer.huggingface.matching import (
    match_tensors,
    wanted_tensors,
    with_own_head,
)
from attention.transformer.huggingface.safetensor_files import BLOCK_BYTES, CONFIG, write_tensors
from attention.transformer.huggingface.sources import (
    checkpoint_folder,
    config_of,
    copy_tokenizer,
    gguf_words,
    tensors_of,
)
from attention.transformer.model import abstract_params
from attention.transformer.quantization import (
    is_quantized,
    quantize,
    quantized_inputs,
    quantized_shapes,
    scale_path,
)
from attention.transformer.stacking import stack_layers


def load_config(
    path_or_id: str | Path, dtype: str | None = None, *, revision: str | None = None
) -> TransformerConfig:
    """Read the config of a checkpoint, and none of its weights; see ``load_pretrained``."""
    return from_hf(config_of(checkpoint_folder(path_or_id, revision)), dtype)


def load_ignored(path_or_id: str | Path, *, revision: str | None = None) -> dict[str, Any]:
    """What a checkpoint's config says that has no part in what is computed, by name."""
    return ignored_attributes(config_of(checkpoint_folder(path_or_id, revision)))


def load_pretrained(
    path_or_id: str | Path,
    dtype: str | None = "float32",
    *,
    revision: str | None = None,
    shardings: Callable[[Any], Any] | None = None,
    weights: Weights = "exact",
) -> tuple[TransformerConfig, dict[str, Any]]:
    """Read a checkpoint: its config and stacked parameters.

    It may be one of Hugging Face, or what ``save_pretrained`` wrote: a model with another
    normalizer, or with half-layers.  Tensors are mapped into memory and go to the devices one by
    one, each into its layer's place of a stacked array that is updated in place, so that the host
    holds about one tensor at a time.

    Args:
        path_or_id: a local folder with ``config.json`` and safetensors (single or sharded), or with
            a PEFT adapter; a GGUF file, ``package:NAME`` for one of these inside an installed
            package, or a model id on the hub.  Quantised tensors are dequantised.
        dtype: ``float32``, ``bfloat16``, ``float16``; None keeps the checkpoint's own.  The learned
            parameters of a normalizer are float32 whatever this says.
        revision: branch, tag or commit on the hub.
        shardings: from the tree of abstract parameters to their shardings
            (``attention.training.sharding``); None puts them on the default device.
        weights: ``int8`` holds the linear layers in 8 bits, each column with a float32 scale
            (``quantization``); such a model computes, and is neither trained nor written, and
            has no mixtures of experts.

    Returns:
        ``(config, params)`` for ``Transformer(config).apply({"params": params}, …)``.

    Raises:
        InputError: the folder is no checkpoint, or does not match its own config in full; the
            message names what is missing, left over, or of another shape or dtype.
    """
    folder = checkpoint_folder(path_or_id, revision)
    config = load_config(folder, dtype)
    if weights == "int8" and config.num_experts is not None:
        raise InputError("mixtures of experts are not held in 8 bits: load exact weights")
    stored = tensors_of(folder, config)
    config = with_own_head(config, stored)
    tree = abstract_params(config)
    abstract = _flat(tree)
    placed = match_tensors(config, abstract, stored, folder)
    held = quantized_shapes(tree) if weights == "int8" else tree
    where = {} if shardings is None else _flat(shardings(held))
    params = {
        path: jnp.zeros(leaf.shape, leaf.dtype, device=where.get(path))
        for path, leaf in _flat(held).items()
    }
    for row, place, tensor in placed:
        shapes = [abstract[path].shape[row.leading :] for path in row.paths]
        pieces = TRANSFORMS[row.transform].load(tensor.open(), shapes)
        for path, piece in zip(row.paths, pieces, strict=True):
            for part, array in _parts(path, piece, weights):
                params[part] = _place(params[part], array, place)
    return config, unflatten_dict(params, sep="/")


def save_pretrained(
    folder: str | Path,
    config: TransformerConfig,
    params: Mapping[str, Any],
    *,
    source: str | Path | None = None,
    readme: str | None = None,
    dtype: str | None = None,
    max_shard_bytes: int = 5 * 10**9,
) -> None:
    """Write a folder that ``load_pretrained`` reads, at the depth the config says.

    ``transformers`` loads it too, unless the model is none that it has: layers lack a half
    (``config.layer_halves``; their tensors are left out), or the normalizer is not softmax (its
    specification is in ``config.json``, its learned parameters are float32 tensors under the names
    that ``tensors`` documents).  The model type is then one that ``transformers`` refuses.

    Args:
        folder: must not exist, or be empty; it appears whole or not at all.
        config: of the model.
        params: stacked, or unstacked with all halves.
        source: the checkpoint it came from; tokenizer files and attributes that do not change the
            model (token ids, …) are taken over.
        readme: text of README.md.
        dtype: stored type; None: the parameters' own.
        max_shard_bytes: a file is split beyond this size.

    Raises:
        InputError: the folder holds something, the parameters are not those of the config, or no
            model of the family is this one.
    """
    hf = to_hf(config)
    params = stack_layers(params)
    _check_shapes(config, params)
    if dtype is not None:
        hf["torch_dtype"] = dtype
    origin = None if source is None else checkpoint_folder(source)
    if origin is not None:
        theirs = config_of(origin)
        hf = {k: theirs[k] for k in theirs if k in IGNORABLE and k != "dtype"} | hf
        hf |= {k: theirs[k] for k in ("id2label", "label2id") if k in theirs and k in hf}
    with new_folder(folder) as scratch:
        write_json(scratch / CONFIG, hf)
        write_tensors(scratch, _hf_tensors(config, params, dtype), max_shard_bytes)
        if origin is not None:
            copy_tokenizer(origin, scratch)
        if readme is not None:
            write_text(scratch / "README.md", readme)


def save_gguf(
    file: str | Path,
    config: TransformerConfig,
    params: Mapping[str, Any],
    *,
    source: str | Path,
    dtype: Literal["f32", "f16"] = "f16",
) -> None:
    """Write a model as one GGUF file, unquantised, with the tokenizer of its source.

    Args:
        file: must not exist; it appears whole or not at all.
        config: of a model whose family has an architecture in GGUF.
        params: stacked, or unstacked with all halves.
        source: the checkpoint it came from.
        dtype: of matrices; vectors are always f32.

    Raises:
        InputError: something is there, or GGUF has no words for the model or its tokenizer.
    """
    to_hf(config)  # raises for what no model of the family is
    params = stack_layers(params)
    _check_shapes(config, params)
    architecture = architecture_of(config)
    origin = checkpoint_folder(source)
    name = Path(file).stem
    about = gguf_metadata(config, architecture, name, dtype) | gguf_words(origin, config)
    tensors = stored_form(config, architecture, _hf_tensors(config, params, None), dtype)
    with new_file(file) as part:
        write_gguf(part, architecture, about, tensors)
        check_written(part, config)


def _parts(path: str, piece: np.ndarray, weights: Weights) -> Iterator[tuple[str, np.ndarray]]:
    """A parameter as it is held, by path: itself, or whole numbers and their scale."""
    inputs = quantized_inputs(path)
    if weights == "exact" or inputs is None:
        yield path, piece
        return
    kernel, scale = quantize(piece, inputs)
    yield path, np.asarray(kernel)
    yield scale_path(path), np.asarray(scale)


def _check_shapes(config: TransformerConfig, params: Mapping[str, Any]) -> None:
    if is_quantized(params):
        raise InputError("a model in 8 bits is not written: load it with exact weights")
    wanted, given = (
        {path: leaf.shape for path, leaf in _flat(tree).items()}
        for tree in (abstract_params(config), params)
    )
    for path in sorted(wanted.keys() | given.keys()):
        if wanted.get(path) != given.get(path):
            raise InputError(
                f"parameters are not those of the config: {path} is {given.get(path, 'missing')}, "
                f"expected {wanted.get(path, 'nothing')}"
            )


def _hf_tensors(
    config: TransformerConfig, params: Mapping[str, Any], dtype: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    flat = _flat(params)
    # What does not follow the model's dtype, a normalizer's parameters, keeps its own.
    stored = dataclasses.replace(config, dtype=dtype or config.dtype)
    abstract = _flat(abstract_params(stored))
    for name, (row, place) in wanted_tensors(config, tensor_table(config), flat).items():
        parameters = [flat[path][place] if place else flat[path] for path in row.paths]
        tensor = np.asarray(TRANSFORMS[row.transform].save(parameters))
        if dtype is not None:
            tensor = tensor.astype(abstract[row.paths[0]].dtype)
        yield name, tensor


def _place(parameter: jax.Array, piece: np.ndarray, lead: tuple[int, ...]) -> jax.Array:
    """The parameter with ``piece`` at the place ``lead``; long tensors go block by block."""
    if piece.ndim == 0:
        return _fill(parameter, piece, np.array(lead, np.int32))
    rows = len(piece)
    if piece.flags.c_contiguous and piece.nbytes > BLOCK_BYTES:
        rows = max(1, BLOCK_BYTES * rows // piece.nbytes)
    for first in range(0, len(piece), max(rows, 1)):
        block = piece[first : first + rows]
        corner = (*lead, first, *(0,) * (piece.ndim - 1))
        # One at a time: dispatch would run ahead and hold many in memory.
        parameter = jax.block_until_ready(_fill(parameter, block, np.array(corner, np.int32)))
        if len(block) < len(piece) and isinstance(piece, np.memmap):
            # Pages that were read stay in memory otherwise.
            mapping: mmap.mmap = piece._mmap  # pyright: ignore[reportAttributeAccessIssue]
            mapping.madvise(mmap.MADV_DONTNEED)
    return parameter


@functools.partial(jax.jit, donate_argnums=0)
def _fill(parameter: jax.Array, block: jax.Array, corner: jax.Array) -> jax.Array:
    # Even a whole parameter is a slice update: that writes into the donated buffer.
    block = block.astype(parameter.dtype).reshape(
        (1,) * (parameter.ndim - block.ndim) + block.shape
    )
    return jax.lax.dynamic_update_slice(parameter, block, corner)


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves by path, such as ``layers/mlp/up/kernel``."""
    return dict(flatten_dict(dict(tree), sep="/"))
