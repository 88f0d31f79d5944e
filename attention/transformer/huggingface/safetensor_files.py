"""Checkpoint folders on disk: finding tensors, mapping them into memory, writing shards."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from attention import files
from attention.errors import InputError
from attention.files import open_regular, read_json, write_json

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
BLOCK_BYTES = 2**23  # moved at a time, where a tensor can be cut


class ShardIndex(TypedDict):
    """``model.safetensors.index.json``: the file of each tensor."""

    weight_map: dict[str, str]


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: its file, type, shape and first byte."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def open(self) -> np.ndarray:
        """The tensor mapped into memory, read only; nothing is read before it is used."""
        dtype = DTYPES[self.dtype]
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, dtype)
        return np.memmap(self.file, dtype, "r", self.offset, self.shape)

    def same(self, other: StoredTensor) -> bool:
        """Whether both hold the same bytes under the same type and shape."""
        if (self.dtype, self.shape) != (other.dtype, other.shape) or self.dtype not in DTYPES:
            return False
        left = math.prod(self.shape) * DTYPES[self.dtype].itemsize
        with self.file.open("rb") as ours, other.file.open("rb") as theirs:
            ours.seek(self.offset)
            theirs.seek(other.offset)
            while left > 0:
                size = min(left, BLOCK_BYTES)
                if ours.read(size) != theirs.read(size):
                    return False
                left -= size
        return True


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a folder's single file or shards, by name.

    Weights in another layout beside them, such as ``consolidated.safetensors``, are not looked at.

    Raises:
        InputError: no safetensors (pickles are refused), a missing shard, a damaged file.
    """
    if (folder / SINGLE).exists():
        return tensors_of_file(folder / SINGLE)
    if not (folder / INDEX).exists():
        _refuse(folder)
    index = read_json(folder / INDEX)
    files.check_shape(index, ShardIndex, folder / INDEX)
    weight_map: dict[str, str] = index["weight_map"]
    if not weight_map:
        raise InputError(f"{folder / INDEX}: names no tensor")
    tensors: dict[str, StoredTensor] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise InputError(f"{folder / INDEX}: names shard {shard!r}, which is not there")
        held = tensors_of_file(folder / shard)
        missing = {n for n, file in weight_map.items() if file == shard} - held.keys()
        if missing:
            raise InputError(f"{folder / shard}: lacks {_some(missing)}, which the index names")
        # A tensor that lies in two shards is that of the shard which the index names.
        tensors |= {n: t for n, t in held.items() if weight_map.get(n, shard) == shard}
    return tensors


def _refuse(folder: Path) -> None:
    pickles = sorted(p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt*")))
    if pickles:
        raise InputError(
            f"{folder}: {pickles[0]} is a pickle, which can run code and is not read; convert it "
            'with torch: python -c "from transformers import AutoModelForCausalLM as M; '
            f"M.from_pretrained('{folder}').save_pretrained('{folder}-safetensors')\""
        )
    raise InputError(f"{folder}: no {SINGLE} and no {INDEX}")


def tensors_of_file(file: Path) -> dict[str, StoredTensor]:
    """Every tensor of one safetensors file, by name.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with open_regular(file) as stream:
            with safe_open(file, "numpy"):  # the library checks the header against the file's size
                pass
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file}: damaged or truncated safetensors: {error}") from error
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(
            file, entry["dtype"], tuple(entry["shape"]), 8 + size + entry["data_offsets"][0]
        )
        for name, entry in header.items()
    }


def write_tensors(
    folder: Path, tensors: Iterable[tuple[str, np.ndarray]], max_shard_bytes: int
) -> None:
    """Write ``model.safetensors``, or shards and their index, holding one shard in memory.

    Args:
        folder: exists.
        tensors: names and arrays, of any shape ``[…]``; each is asked for when it is written.
        max_shard_bytes: a file that would be larger is ended before; one tensor is never cut.
    """
    shards: list[list[str]] = []
    sizes = 0
    pending: dict[str, np.ndarray] = {}

    def flush() -> None:
        file = folder / f"shard-{len(shards)}.safetensors"
        try:
            save_file(pending, file, {"format": "pt"})
        except SafetensorError as error:  # the disk is full, or the folder is gone
            raise InputError(f"{folder}: cannot be written: {error}") from error
        file.chmod(0o644)  # the library writes files that only their owner can read
        shards.append(list(pending))
        pending.clear()

    for name, tensor in tensors:
        if pending and sum(t.nbytes for t in pending.values()) + tensor.nbytes > max_shard_bytes:
            flush()
        pending[name] = np.asarray(tensor, order="C")
        sizes += tensor.nbytes
    flush()
    if len(shards) == 1:
        (folder / "shard-0.safetensors").rename(folder / SINGLE)
        return
    weight_map = {}
    for i, names in enumerate(shards):
        final = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / f"shard-{i}.safetensors").rename(folder / final)
        weight_map |= dict.fromkeys(names, final)
    index = {"metadata": {"total_size": sizes}, "weight_map": weight_map}
    write_json(folder / INDEX, index)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(listed[:4]) + more
