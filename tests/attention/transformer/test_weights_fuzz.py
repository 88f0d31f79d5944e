"""Damaged configs and safetensors: an InputError of one line, or a model; never a traceback."""

import functools
import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from attention.transformer import abstract_params, load_pretrained, save_pretrained
from attention.transformer.huggingface import pretrained as weights
from attention.transformer.huggingface.config import from_hf, to_hf

FUZZ = settings(
    max_examples=settings.default.max_examples * 5 // 2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loads_or_is_refused(load, *arguments):
    try:
        load(*arguments)
    except InputError as error:
        assert "\n" not in str(error), error
        assert len(str(error)) > 10


numbers = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30]),
    st.floats(allow_nan=True, allow_infinity=True),
)
words = st.one_of(
    st.text(max_size=8),
    st.sampled_from("llama qwen2 default linear llama3 silu float16 bfloat16 int8 \n".split(" ")),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["rope_type", "type", "factor", "rope_theta", "0", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)
EXTRA = [
    "head_dim",
    "layer_types",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "id2label",
    "num_labels",
    "dtype",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "pad_token_id",
    "quantization_config",
    "partial_rotary_factor",
    "novelty",
]


@FUZZ
@given(data=st.data())
def test_configs(configs, data):
    name = data.draw(st.sampled_from(sorted(configs)))
    hf = json.loads(json.dumps(to_hf(configs[name])))
    for _ in range(data.draw(st.integers(1, 3))):
        attribute = data.draw(st.sampled_from(sorted(hf) + EXTRA))
        hf[attribute] = data.draw(values)
    if data.draw(st.booleans()):
        hf.pop(data.draw(st.sampled_from(sorted(hf))))
    loads_or_is_refused(lambda: abstract_params(from_hf(hf)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, tiny_models):
    """A folder to be spoilt, with its config and its tensors' bytes."""
    with pytest.MonkeyPatch.context() as patch:
        # Tracing a model is nearly all of the time that a small load takes.
        patch.setattr(weights, "abstract_params", functools.cache(abstract_params))
        yield spoilable(tmp_path_factory, tiny_models)


def spoilable(tmp_path_factory, tiny_models):
    _, config, params = tiny_models("gpt2")
    folder = tmp_path_factory.mktemp("fuzz") / "model"
    save_pretrained(folder, config, params)
    return folder, *((folder / n).read_bytes() for n in ("config.json", "model.safetensors"))


def restore(folder, config, tensors):
    (folder / "config.json").write_bytes(config)
    (folder / "model.safetensors").write_bytes(tensors)


@FUZZ
@given(data=st.data())
def test_config_files(checkpoint, data):
    """Loading all the way: a config that parses and does not match the tensors is refused."""
    folder, config, tensors = checkpoint
    restore(folder, config, tensors)
    text = bytearray(config)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=3))
        if not text:
            break
    (folder / "config.json").write_bytes(text)
    loads_or_is_refused(load_pretrained, folder)


@FUZZ
@given(data=st.data())
def test_safetensors_bytes(checkpoint, data):
    folder, config, tensors = checkpoint
    damaged = bytearray(tensors)
    header = 8 + int.from_bytes(tensors[:8], "little")
    kind = data.draw(st.sampled_from(["header", "length", "cut", "grow"]))
    if kind == "header":
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(8, header - 1))
            damaged[place] = data.draw(st.integers(0, 255))
    elif kind == "length":
        damaged[:8] = struct.pack("<Q", data.draw(st.integers(0, 2**64 - 1)))
    elif kind == "cut":
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    else:
        damaged += data.draw(st.binary(min_size=1, max_size=9))
    restore(folder, config, bytes(damaged))
    loads_or_is_refused(load_pretrained, folder)


@FUZZ
@given(data=st.data())
def test_safetensors_headers(checkpoint, data):
    """Headers that are JSON and say something wrong."""
    folder, config, tensors = checkpoint
    size = int.from_bytes(tensors[:8], "little")
    header = json.loads(tensors[8 : 8 + size])
    names = sorted(header)
    for _ in range(data.draw(st.integers(1, 3))):
        entry = header.get(data.draw(st.sampled_from(names)))
        kind = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "drop", "rename"]))
        if kind == "drop":
            header.pop(data.draw(st.sampled_from(sorted(header))), None)
        elif kind == "rename":
            header[data.draw(st.text(max_size=9))] = header.pop(
                data.draw(st.sampled_from(sorted(header)))
            )
        elif isinstance(entry, dict):
            entry[kind] = data.draw(
                {
                    "dtype": st.sampled_from(
                        ["F16", "BF16", "F64", "I64", "F8_E4M3", "BOOL", "", 3]
                    ),
                    "shape": st.lists(st.integers(-1, 2**63), max_size=3),
                    "data_offsets": st.lists(st.integers(-1, 2**63), min_size=1, max_size=3),
                }[kind]
            )
        if not header:
            break
    text = json.dumps(header).encode()
    restore(folder, config, struct.pack("<Q", len(text)) + text + tensors[8 + size :])
    loads_or_is_refused(load_pretrained, folder)
