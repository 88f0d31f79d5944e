"""Hugging Face checkpoints ⇄ parameters, tensor by tensor."""

from __future__ import annotations

import functools
import json
import re
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
from attention.transformer.depth import stack_layers
from attention.transformer.hf_config import IGNORABLE, from_hf, to_hf
from attention.transformer.model import Transformer
from attention.transformer.safetensor_files import (
    DTYPES,
    StoredTensor,
    checkpoint_folder,
    read_json,
    stored_tensors,
    write_tensors,
)
from attention.transformer.tensors import TRANSFORMS, Row, Table, table

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
    placed = _match(config, abstract, stored_tensors(folder), folder)
    where = {} if shardings is None else _flatten(shardings(tree))
    params = {path: _zeros(leaf, where.get(path)) for path, leaf in abstract.items()}
    for row, i, tensor in placed:
        shapes = [abstract[path].shape[1 if row.layered else 0 :] for path in row.paths]
        pieces = TRANSFORMS[row.transform].load(tensor.open(), shapes)
        for path, piece in zip(row.paths, pieces, strict=True):
            layer = np.int32(i) if row.layered else None
            # One tensor at a time: dispatch would run ahead and hold many in memory.
            params[path] = jax.block_until_ready(_fill(params[path], piece, layer))
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

    Args:
        folder: must not exist, or be empty; it appears whole or not at all.
        config: as ``load_pretrained`` or ``config.keep_layers`` gave it.
        params: stacked or unstacked.
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
        write_tensors(scratch, _hf_tensors(config, stack_layers(params), dtype), max_shard_bytes)
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


def _match(
    config: TransformerConfig,
    abstract: Mapping[str, jax.ShapeDtypeStruct],
    stored: Mapping[str, StoredTensor],
    folder: Path,
) -> list[tuple[Row, int, StoredTensor]]:
    """Pair tensors with parameters, totally; all that does not fit is one error."""
    names = table(config)
    wanted = _wanted(config, names, abstract)
    bare = {_bare(name, names): name for name in stored}
    _check_tied(names, wanted, bare, stored, folder)
    placed, problems = [], []
    for name, (row, i) in wanted.items():
        if name not in bare:
            problems.append(f"{name} is missing")
            continue
        tensor = stored[bare[name]]
        shapes = [abstract[path].shape[1 if row.layered else 0 :] for path in row.paths]
        expected = _stored_shape(row, shapes)
        if tensor.dtype not in DTYPES:
            problems.append(f"{name} has dtype {tensor.dtype}, expected {'/'.join(DTYPES)}")
        elif tensor.shape != expected:
            problems.append(f"{name} has shape {tensor.shape}, expected {expected}")
        else:
            placed.append((row, i, tensor))
    repeated = {name for name, _ in names.tied}
    problems += [
        f"{bare[name]} is not known"
        for name in sorted(bare.keys() - wanted.keys() - repeated)
        if not any(re.fullmatch(pattern, name) for pattern in names.ignored)
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise InputError(f"{folder}: {'; '.join(problems[:5])}{more}")
    return placed


def _wanted(
    config: TransformerConfig, names: Table, abstract: Mapping[str, Any]
) -> dict[str, tuple[Row, int]]:
    """Tensor name (without prefix) → its row and layer, for the parameters that this model has."""
    wanted = {}
    for row in names.rows:
        if all(path in abstract for path in row.paths):
            depth = config.num_hidden_layers if row.layered else 1
            for i in range(depth):
                wanted[row.name.replace("{i}", str(i))] = (row, i)
    covered = {path for row, _ in wanted.values() for path in row.paths}
    if uncovered := sorted(abstract.keys() - covered):
        raise InputError(f"{config.family} checkpoints have no place for {', '.join(uncovered)}")
    return wanted


def _bare(name: str, names: Table) -> str:
    # The oldest BERT checkpoints call a norm's scale and bias gamma and beta.
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return name.removeprefix(names.prefix)


def _check_tied(
    names: Table,
    wanted: dict[str, tuple[Row, int]],
    bare: dict[str, str],
    stored: Mapping[str, StoredTensor],
    folder: Path,
) -> None:
    """Of two tied tensors either may be stored; if both are, they must be equal."""
    for copy, original in names.tied:
        if copy in wanted or copy not in bare or original not in wanted:
            continue
        if original not in bare:
            bare[original] = bare.pop(copy)
            continue
        first, second = stored[bare[copy]], stored[bare[original]]
        if first.shape != second.shape or not np.array_equal(first.open(), second.open()):
            raise InputError(f"{folder}: {copy} differs from {original}, yet the config ties them")


def _stored_shape(row: Row, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    parameters = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(TRANSFORMS[row.transform].save, parameters).shape


def _hf_tensors(
    config: TransformerConfig, params: Mapping[str, Any], dtype: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    flat = _flatten(params)
    names = table(config)
    base = config.head == "none"
    for name, (row, i) in _wanted(config, names, flat).items():
        parameters = [flat[path][i] if row.layered else flat[path] for path in row.paths]
        tensor = np.asarray(TRANSFORMS[row.transform].save(parameters))
        if dtype is not None:
            tensor = tensor.astype(jnp.dtype(dtype))
        bare = base or name.startswith(names.head_names)
        yield (name if bare else names.prefix + name), tensor


def _zeros(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.Array:
    return jnp.zeros(leaf.shape, leaf.dtype, device=sharding)


@functools.partial(jax.jit, donate_argnums=0)
def _fill(parameter: jax.Array, piece: jax.Array, layer: jax.Array | None) -> jax.Array:
    piece = piece.astype(parameter.dtype)
    if layer is None:
        # A slice update, not a plain return: that writes into the donated buffer.
        return jax.lax.dynamic_update_slice(parameter, piece, (0,) * parameter.ndim)
    return jax.lax.dynamic_update_index_in_dim(parameter, piece, layer, 0)


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
