"""Hugging Face checkpoints ⇄ parameters, tensor by tensor."""

from __future__ import annotations

import functools
import json
import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.config import IGNORABLE, from_hf, to_hf
from attention.transformer.huggingface.matching import match_tensors, wanted_tensors
from attention.transformer.huggingface.safetensor_files import (
    BLOCK_BYTES,
    checkpoint_folder,
    read_json,
    stored_tensors,
    write_tensors,
)
from attention.transformer.huggingface.tensors import TRANSFORMS, table
from attention.transformer.model import Transformer
from attention.transformer.stacking import stack_layers

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
Flat = dict[str, Any]


def abstract_params(config: TransformerConfig) -> dict[str, Any]:
    """Shapes and dtypes of a model's (stacked) parameters; nothing is allocated."""
    if config.input_size is None:
        tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    else:
        tokens = jax.ShapeDtypeStruct((1, 1, config.input_size), jnp.dtype(config.dtype))
    return jax.eval_shape(Transformer(config).init, jax.random.key(0), tokens)["params"]


def load_pretrained(
    path_or_id: str | Path,
    dtype: str | None = "float32",
    *,
    revision: str | None = None,
    shardings: Callable[[Any], Any] | None = None,
) -> tuple[TransformerConfig, dict[str, Any]]:
    """Read a Hugging Face checkpoint: its config and stacked parameters.

    Tensors are mapped into memory and go to the devices one by one, each into its layer's place of
    a stacked array that is updated in place, so that the host holds about one tensor at a time.

    Args:
        path_or_id: a local folder with ``config.json`` and safetensors (single or sharded), or a
            model id on the hub.
        dtype: ``float32``, ``bfloat16``, ``float16``; None keeps the checkpoint's own.
        revision: branch, tag or commit on the hub.
        shardings: from the tree of abstract parameters to their shardings
            (``attention.training.sharding``); None puts them on the default device.

    Returns:
        ``(config, params)`` for ``Transformer(config).apply({"params": params}, …)``.

    Raises:
        InputError: every way in which the folder is not a checkpoint that matches its own config
            in full; the message names what is missing, left over, or of another shape or dtype.
    """
    folder = checkpoint_folder(path_or_id, revision)
    config = from_hf(read_json(folder / "config.json"), dtype)
    tree = abstract_params(config)
    abstract = _flatten(tree)
    placed = match_tensors(config, abstract, stored_tensors(folder), folder)
    where = {} if shardings is None else _flatten(shardings(tree))
    params = {path: _zeros(leaf, where.get(path)) for path, leaf in abstract.items()}
    for row, i, tensor in placed:
        shapes = [abstract[path].shape[1 if row.layered else 0 :] for path in row.paths]
        pieces = TRANSFORMS[row.transform].load(tensor.open(), shapes)
        for path, piece in zip(row.paths, pieces, strict=True):
            params[path] = _place(params[path], piece, i if row.layered else None)
    return config, _unflatten(params)


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
    """Write a folder that ``transformers`` loads, at the depth the config says.

    Where layers lack a half (``config.layer_halves``) its tensors are left out, and the model type
    is one that ``transformers`` refuses; ``load_pretrained`` reads it.

    Args:
        folder: must not exist, or be empty; it appears whole or not at all.
        config: as ``load_pretrained``, ``config.keep_layers`` or ``config.keep_halves`` gave it.
        params: stacked, or unstacked with all halves.
        source: the checkpoint it came from; tokenizer files and attributes that do not change the
            model (token ids, …) are taken over.
        readme: text of README.md.
        dtype: stored type; None: the parameters' own.
        max_shard_bytes: a file is split beyond this size.

    Raises:
        InputError: the folder holds something, or no Hugging Face model is this one.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not an empty folder")
    hf = to_hf(config)
    params = stack_layers(params)
    _check_shapes(config, params)
    if dtype is not None:
        hf["torch_dtype"] = dtype
    origin = None if source is None else checkpoint_folder(source)
    if origin is not None:
        theirs = read_json(origin / "config.json")
        hf = {k: theirs[k] for k in theirs if k in IGNORABLE and k != "dtype"} | hf
        hf |= {k: theirs[k] for k in ("id2label", "label2id") if k in theirs and k in hf}
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        scratch.chmod(0o755)
        (scratch / "config.json").write_text(json.dumps(hf, indent=2) + "\n", encoding="utf-8")
        write_tensors(scratch, _hf_tensors(config, params, dtype), max_shard_bytes)
        for name in TOKENIZER_FILES:
            if origin is not None and (origin / name).is_file():
                shutil.copyfile(origin / name, scratch / name)
        if readme is not None:
            (scratch / "README.md").write_text(readme, encoding="utf-8")
        if target.exists():
            target.rmdir()
        scratch.replace(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _check_shapes(config: TransformerConfig, params: Mapping[str, Any]) -> None:
    wanted = {path: leaf.shape for path, leaf in _flatten(abstract_params(config)).items()}
    given = {path: leaf.shape for path, leaf in _flatten(params).items()}
    for path in sorted(wanted.keys() | given.keys()):
        if wanted.get(path) != given.get(path):
            raise InputError(
                f"parameters are not those of the config: {path} is {given.get(path, 'missing')}, "
                f"expected {wanted.get(path, 'nothing')}"
            )


def _hf_tensors(
    config: TransformerConfig, params: Mapping[str, Any], dtype: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    flat = _flatten(params)
    names = table(config)
    base = config.head == "none"
    for name, (row, i) in wanted_tensors(config, names, flat).items():
        parameters = [flat[path][i] if row.layered else flat[path] for path in row.paths]
        tensor = np.asarray(TRANSFORMS[row.transform].save(parameters))
        if dtype is not None:
            tensor = tensor.astype(jnp.dtype(dtype))
        bare = base or name.startswith(names.head_names)
        yield (name if bare else names.prefix + name), tensor


def _zeros(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.Array:
    return jnp.zeros(leaf.shape, leaf.dtype, device=sharding)


def _place(parameter: jax.Array, piece: np.ndarray, layer: int | None) -> jax.Array:
    """The parameter with ``piece`` in its layer's place; long tensors go block by block."""
    rows = len(piece)
    if piece.flags.c_contiguous and piece.nbytes > BLOCK_BYTES:
        rows = max(1, BLOCK_BYTES * rows // piece.nbytes)
    for first in range(0, len(piece), max(rows, 1)):
        block = piece[first : first + rows]
        corner = (first,) if layer is None else (layer, first)
        corner += (0,) * (parameter.ndim - len(corner))
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


def _flatten(tree: Any) -> Flat:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def _unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, last = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree
