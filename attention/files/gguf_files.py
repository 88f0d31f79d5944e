"""GGUF files on disk: reading the header, mapping and dequantising tensors, writing a file.

The package ``gguf`` knows the quantisation types and the names of tensors.  Its reader takes
seconds for the vocabulary alone, so the header is read here.  Format: the specification in the
repository of ggml, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader
import ml_dtypes
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.files.reading import open_regular

if TYPE_CHECKING:
    import gguf
else:  # only files in this format need the library
    gguf = lazy_loader.load("gguf")

MAGIC = b"GGUF"
MOST_ENTRIES = 2**24  # of an array or a table; a file with more is damaged
_NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}  # codes of struct, by type
_FLOAT32, _STRING, _ARRAY = 6, 8, 9
# number of a GGMLQuantizationType that quantises nothing → its type
_PLAIN = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    28: np.dtype(np.float64),
    30: np.dtype(ml_dtypes.bfloat16),
}
_NAMES = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(np.float64): "F64"}
Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class GgufTensor:
    """A tensor in a file: where it lies, how it is quantised, and how it is changed back.

    Attributes:
        file: the file.
        kind: its quantisation type.
        stored: its shape in the file; the last axis is the fastest.
        offset: its first byte.
        shape: its shape in the Hugging Face checkpoint.
        change: makes the tensor of the Hugging Face checkpoint from the stored one; None: nothing
            changes.
    """

    file: Path
    kind: gguf.GGMLQuantizationType
    stored: tuple[int, ...]
    offset: int
    shape: tuple[int, ...]
    change: Change | None = None

    @property
    def dtype(self) -> str:
        """The dtype of what ``open`` returns, by its name in safetensors."""
        if self.change is not None or self.kind not in _PLAIN:
            return "F32"
        return _NAMES.get(_PLAIN[self.kind], "BF16")

    def open(self) -> np.ndarray:
        """Read the tensor in the layout of the Hugging Face checkpoint, dequantised to float32."""
        plain = _PLAIN.get(self.kind)
        if plain is not None:
            array = np.memmap(self.file, plain, "r", self.offset, self.stored)
        else:
            block, size = gguf.GGML_QUANT_SIZES[self.kind]
            rows = (*self.stored[:-1], self.stored[-1] // block * size)
            raw = np.memmap(self.file, np.uint8, "r", self.offset, rows)
            array = gguf.quants.dequantize(raw, self.kind)
        if self.change is None:
            return array.reshape(self.shape)
        return np.ascontiguousarray(self.change(np.asarray(array, np.float32)).reshape(self.shape))

    def part(self, i: int) -> GgufTensor:
        """One of several tensors that are stored as one, such as that of an expert."""
        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        shape = self.stored[1:]
        offset = self.offset + i * (math.prod(shape) // block * size)
        return dataclasses.replace(self, stored=shape, shape=shape, offset=offset)

    def same(self, other: GgufTensor) -> bool:
        """Whether both tensors have the same values."""
        return self.shape == other.shape and bool(np.array_equal(self.open(), other.open()))


@dataclasses.dataclass(frozen=True)
class GgufHeader:
    """The header of a file.

    Attributes:
        metadata: values by their full key.
        tensors: by name.
    """

    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]

    @property
    def architecture(self) -> str:
        """The value of ``general.architecture``."""
        return str(self.metadata.get("general.architecture"))

    def about(self, key: str, default: Any = None) -> Any:
        """A value of the architecture, such as ``block_count``."""
        return self.metadata.get(f"{self.architecture}.{key}", default)


def read_header(file: Path) -> GgufHeader:
    """Read the metadata and the table of tensors of a GGUF file; again only if it has changed.

    Raises:
        InputError: it is damaged, cut off or of another version, or a tensor has an unknown type.
    """
    try:
        found = file.stat()
    except OSError:  # said in words where the file is opened
        return _read_header(file, ())
    return _read_header(file, (found.st_ino, found.st_size, found.st_mtime_ns))


@functools.lru_cache(maxsize=2)  # a vocabulary takes half a second, and loading asks four times
def _read_header(file: Path, version: tuple[int, ...]) -> GgufHeader:
    del version
    try:
        with (
            open_regular(file) as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return _Reader(file, data).header()
    except InputError:
        raise
    except (OSError, ValueError, struct.error, KeyError, OverflowError) as error:
        raise InputError(f"{file}: damaged or truncated GGUF: {error}") from error


class _Reader:
    """Reads values one after another."""

    def __init__(self, file: Path, data: mmap.mmap):
        self.file, self.data, self.at = file, data, 0

    def numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{count}{code}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{code}")
        return found

    def text(self) -> str:
        (size,) = self.numbers("Q")
        if size > len(self.data) - self.at:
            raise ValueError("a text is longer than the file")
        found = self.data[self.at : self.at + size]
        self.at += size
        return found.decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _FLOAT32:  # the shortest decimal that it stands for: 1e-5, not 9.99999975e-6
            return float(str(np.float32(self.numbers(_NUMBERS[kind])[0])))
        if kind != _ARRAY:
            return self.numbers(_NUMBERS[kind])[0]
        (inner,), (count,) = self.numbers("I"), self.numbers("Q")
        if count > MOST_ENTRIES:
            raise ValueError(f"an array of {count} entries")
        if inner in _NUMBERS:
            return list(self.numbers(_NUMBERS[inner], count))
        return [self.value(inner) for _ in range(count)]

    def header(self) -> GgufHeader:
        magic, (version,) = self.data[:4], struct.unpack_from("<I", self.data, 4)
        if magic != MAGIC or version not in (2, 3):
            raise InputError(f"{self.file}: is not a little-endian GGUF file of version 2 or 3")
        self.at = 8
        tensors, pairs = self.numbers("Q", 2)
        if max(tensors, pairs) > MOST_ENTRIES:
            raise ValueError(f"{tensors} tensors and {pairs} values")
        metadata = {}
        for _ in range(pairs):
            key = self.text()
            metadata[key] = self.value(self.numbers("I")[0])
        table = [self.tensor() for _ in range(tensors)]
        step = int(metadata.get("general.alignment", 32))
        if step < 1:
            raise ValueError(f"an alignment of {step}")
        start = -(-self.at // step) * step
        placed = {t[0]: self.placed(start, *t) for t in table}
        if len(placed) != len(table):
            raise ValueError("a tensor's name stands twice")
        return GgufHeader(metadata, placed)

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.text()
        (axes,) = self.numbers("I")
        if not 0 < axes <= 8:
            raise ValueError(f"{name} has {axes} axes")
        shape = self.numbers("Q", axes)[::-1]  # the fastest axis stands first in the file
        (kind,), (offset,) = self.numbers("I"), self.numbers("Q")
        return name, shape, kind, offset

    def placed(
        self, start: int, name: str, shape: tuple[int, ...], number: int, offset: int
    ) -> GgufTensor:
        try:
            kind = gguf.GGMLQuantizationType(number)
        except ValueError:
            raise InputError(f"{self.file}: {name} has an unknown type {number}") from None
        block, size = gguf.GGML_QUANT_SIZES[kind]
        count = math.prod(shape)
        if shape[-1] % block or start + offset + count // block * size > len(self.data):
            raise ValueError(f"{name} reaches beyond the file or is cut")
        return GgufTensor(self.file, kind, shape, start + offset, shape)


def write_gguf(
    file: Path,
    architecture: str,
    metadata: dict[str, Any],
    tensors: Iterator[tuple[str, Float[np.ndarray, ...]]],
) -> None:
    """Write a GGUF file, tensor by tensor.

    Args:
        file: is made, or replaced.
        architecture: the value of ``general.architecture``.
        metadata: bool, int, float, str, or lists of these, by full key.
        tensors: names and arrays of float32 or float16.
    """
    writer = gguf.GGUFWriter(file, architecture, use_temp_file=True)
    try:
        for key, value in metadata.items():
            _add(writer, key, value)
        for name, array in tensors:
            writer.add_tensor(name, np.ascontiguousarray(array))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
        if writer.temp_file is not None:  # the library leaves it open when a tensor is refused
            writer.temp_file.close()


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
