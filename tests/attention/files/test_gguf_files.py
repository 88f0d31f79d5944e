"""GGUF files: the header, every quantisation type, damage."""

import gguf
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from attention.files.gguf_files import read_header, write_gguf

SHAPE = (3, 256)  # rows, and one block of the largest kind


def write(file, kind, values):
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_float32("llama.rope.freq_base", 10000.5)
    writer.add_array("tokenizer.ggml.tokens", ["a", "ü", "<s>"])
    data = gguf.quants.quantize(values, kind)
    writer.add_tensor("first", np.zeros((5,), np.float32))
    writer.add_tensor("w", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_every_type_is_dequantised_as_its_library_does(tmp_path, writable_type):
    kind = writable_type
    values = np.random.default_rng(7).normal(size=SHAPE).astype(np.float32)
    write(tmp_path / "m.gguf", kind, values)
    header = read_header(tmp_path / "m.gguf")
    [tensor] = [t for name, t in header.tensors.items() if name == "w"]
    wanted = gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
    assert tensor.shape == SHAPE
    np.testing.assert_array_equal(np.asarray(tensor.open(), np.float32), wanted)
    assert header.metadata["tokenizer.ggml.tokens"] == ["a", "ü", "<s>"]
    assert header.about("block_count") == 3
    assert header.about("absent") is None
    assert header.about("rope.freq_base") == 10000.5


def test_a_file_is_read_again_if_it_has_changed(tmp_path):
    file = tmp_path / "m.gguf"
    for count in (3, 3, 5):
        write_gguf(file, "llama", {"x.list": ["a"] * count}, iter({"a": np.ones(7)}.items()))
        first = read_header(file)
        assert len(first.metadata["x.list"]) == count
        assert read_header(file) is first


def test_plain_types_keep_their_type(tmp_path):
    for kind, name in (("F32", "F32"), ("F16", "F16"), ("BF16", "BF16")):
        file = tmp_path / f"{kind}.gguf"
        write(file, gguf.GGMLQuantizationType[kind], np.ones(SHAPE, np.float32))
        assert read_header(file).tensors["w"].dtype == name
    assert read_header(tmp_path / "BF16.gguf").tensors["w"].open().dtype == ml_dtypes.bfloat16


def test_what_is_written_is_read_again(tmp_path):
    drawn = np.random.default_rng(3).normal(size=(7, 11)).astype(np.float32)
    about = {"general.name": "tiny", "llama.block_count": 2, "x.flag": True, "x.list": ["a", "b"]}
    tensors = {"a": drawn, "b": drawn[0].astype(np.float16)}
    write_gguf(tmp_path / "m.gguf", "llama", about, iter(tensors.items()))
    header = read_header(tmp_path / "m.gguf")
    assert header.architecture == "llama"
    assert {name: header.metadata[name] for name in about} == about
    for name, array in tensors.items():
        np.testing.assert_array_equal(header.tensors[name].open(), array)


@pytest.mark.parametrize("size", [0, 3, 8, 23, 60, 100, 200, 1000])
def test_a_file_that_is_cut_is_refused(tmp_path, size):
    file = tmp_path / "m.gguf"
    write(file, gguf.GGMLQuantizationType.F32, np.ones(SHAPE, np.float32))
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(InputError, match=r"m\.gguf"):
        read_header(file)


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(place=st.integers(0, 300), value=st.integers(0, 255))
def test_a_damaged_byte_is_read_or_refused(tmp_path_factory, place, value):
    file = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write(file, gguf.GGMLQuantizationType.F16, np.ones((2, 32), np.float32))
    data = bytearray(file.read_bytes())
    data[place % len(data)] = value
    file.write_bytes(data)
    try:
        for tensor in read_header(file).tensors.values():
            tensor.open()
    except InputError:
        pass


def test_no_file_and_no_gguf(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_header(tmp_path / "absent.gguf")
    (tmp_path / "x.gguf").write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(InputError, match="is not a little-endian GGUF file"):
        read_header(tmp_path / "x.gguf")
