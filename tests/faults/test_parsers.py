"""Every parser of text that users or others wrote: it reads it, or says in one line why not."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from attention.files import (
    Journal,
    RecordKind,
    read_header,
    read_json,
    read_json_lines,
    read_settings,
    read_table,
)
from attention.language.comparing.arms import _scores
from attention.language.pretraining.held_out import read_lines
from attention.normalizers import NORMALIZERS
from attention.options import parse_mesh
from attention.training import make_schedule
from attention.transformer.huggingface.adapters import base_of
from attention.transformer.huggingface.config import from_hf
from attention.transformer.huggingface.safetensor_files import stored_tensors
from icl.tasks import distribution
from icl.tasks.functions import FunctionTask, function_class
from icl.tasks.sweeps import read_axes
from icl.training import Experiment
from tale_jax.options import Options
from tale_jax.runs.agreement import check_together
from tale_jax.tasks.chat import _day, _variable
from tale_jax.units import parse_unit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
WORDS = st.text(alphabet="abcdefghinormltuxy0123456789.,:=|@+-_;/ \x00é", max_size=40)
PATTERNS = {
    "mesh": (parse_mesh, r"(data|model|fsdp)=-?\d{1,30}(,model=\d+)?"),
    "unit": (parse_unit, r"-?\d{1,30}(\.(mlp|attention))?"),
    "normalizer": (NORMALIZERS.pick, r"(ssa|softmax|entmax|power):[a-z]=[-0-9a-z.+]{0,12}"),
    "distribution": (distribution, r"(normal|uniform|mix):[-0-9.,einf|]{0,20}"),
    "functions": (function_class, r"(linear|polynomial|tree):[a-z]{1,6}=[-0-9.]{0,9}"),
    "sweep": (
        lambda text: read_axes(FunctionTask(), [text]),
        r"(sigma|degree|points)=[-0-9:,.einf]*",
    ),
    "preset": (lambda text: Experiment(text).config(), r"linear-\d{0,30}l\d{0,9}a?h?"),
    "schedule": (lambda text: make_schedule(text, 1e-3, 10), r"[a-z_]{1,12}:[a-z]+=[-0-9.]{0,9}"),
    "variable": (_variable, r"[a-z ]{0,4}=[\[\]{}0-9a-z]{0,9}"),
    "day": (_day, r"-?\d{1,6}-\d{1,2}-\d{1,2}"),
}


def refused_or_read(parse, *values):
    try:
        parse(*values)
    except (InputError, ValueError, ArithmeticError) as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", PATTERNS)
@settings(deadline=None, max_examples=settings.default.max_examples * 3 // 5)
@given(data=st.data())
def test_words(name, data):
    parse, pattern = PATTERNS[name]
    refused_or_read(parse, data.draw(st.from_regex(pattern, fullmatch=True) | WORDS))


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        read_json_lines,
        read_table,
        lambda path: Journal(path, {"a": RecordKind(("b",))}),
        lambda path: read_settings(path.parent),
        read_header,
    ],
)
@settings(
    deadline=None,
    max_examples=settings.default.max_examples * 3 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_files(read, tmp_path, data):
    """Bytes of any kind, and JSON of any kind."""
    path = tmp_path / "settings.json"
    path.write_bytes(data)
    try:
        read(path)
    except InputError as error:
        assert "\n" not in str(error)


@settings(deadline=None)
@given(values=st.dictionaries(st.text(max_size=6), JSON, max_size=3), name=st.sampled_from(
    ["model_type", "hidden_size", "num_hidden_layers", "rope_scaling", "layer_types", "vocab_size"]
), new=JSON)  # fmt: skip
def test_configs(values, name, new):
    """A config of Llama with a field of any kind."""
    usual = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 9,
             "num_attention_heads": 2, "intermediate_size": 9}  # fmt: skip
    try:
        from_hf({**usual, **values, name: new})
    except InputError as error:
        assert "\n" not in str(error)


@settings(deadline=None)
@given(values=st.dictionaries(st.sampled_from(list(Options().as_json())), JSON, max_size=3))
def test_options_of_a_run(values):
    try:
        Options.from_json({**Options().as_json(), **values})
    except InputError as error:
        assert "\n" not in str(error)


FOLDERS = {
    "model.safetensors.index.json": stored_tensors,
    "adapter_config.json": base_of,
    "summary.json": _scores,
    "heldout.jsonl": lambda run: read_lines(run / "heldout.jsonl"),
}
NAMES = ["weight_map", "base_model_name_or_path", "revision", "r", "target_modules", "in_domain",
         "step", "tokens", "loss"]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
@settings(
    deadline=None,
    max_examples=settings.default.max_examples * 3 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=st.dictionaries(st.sampled_from(NAMES), JSON))
def test_files_of_folders(name, tmp_path, values):
    """JSON with the names that a file has, and values of any kind."""
    (tmp_path / name).write_text(json.dumps(values))
    refused_or_read(FOLDERS[name], tmp_path)


@settings(deadline=None)
@given(values=st.tuples(JSON, JSON, JSON, JSON))
def test_files_of_a_search(values):
    with pytest.raises(InputError):
        check_together(*values)
