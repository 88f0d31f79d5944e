"""Steps compile for chips that are not here; skipped where their compiler is not installed."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys

import pytest

needs_tpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra tpu is not installed"
)
needs_cuda = pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin"))),
    reason="neither the extra cuda nor cuda12 is installed",
)
LENGTHS = (2048, 8192, 32768)
HEADS = ((32, 8, 128), (32, 8, 64), (8, 8, 128), (8, 8, 64))
SEEN = ("causal", "segments", "window")
SMALL = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a config alone."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "config.json").write_text(json.dumps(SMALL))
    return folder


def run(code, *words):
    """The JSON that a program of its own prints last: compilers change what a process has."""
    environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def compiled(package, *words):
    code = f"import sys; from {package}.cli import main; main(sys.argv[1:])"
    return run(code, "compile", *words, "--json")


@needs_tpu
def test_a_training_step_lies_in_parts_on_its_chips(small):
    words = ("--model", small, "--target", "v5e-8", "--length", "256", "--mesh", "fsdp=-1")
    found = compiled("attention", *words)
    memory, kinds = found["memory"], {each["kind"] for each in found["collectives"]}
    assert found["fits"] and 0 < memory["total"] < memory["available"] == 15.75 * 2**30
    assert "all-gather" in kinds and 0 < found["roofline"]["mfu"] < 1
    parameters = 2 * 512 * 256 + 2 * (4 * 256 * 256 + 3 * 256 * 512)
    # in float32 with two moments, an eighth on each chip
    assert 0.99 < memory["arguments"] / (12 * parameters / 8) < 1.1


@needs_cuda
@pytest.mark.parametrize("count", [1, pytest.param(8, marks=pytest.mark.nightly)])
def test_a_training_step_for_gpus(small, count):
    words = ("--model", small, "--target", f"h200-{count}", "--length", "1024")
    found = compiled("attention", *words)
    kinds = {each["kind"] for each in found["collectives"]}
    assert found["fits"] and ("all-gather" in kinds) == (count > 1)
    names = {each["name"] for each in found["kernels"]}
    assert names == {
        f"attention_{part}" for part in ("forward", "backward_keys", "backward_queries")
    }
    assert not any(each["spilled"] or each["serial"] for each in found["kernels"])


@needs_cuda
@pytest.mark.nightly
def test_learning_in_context_and_decoding_for_gpus(small):
    assert compiled("icl", "--preset", "linear-1l2ah", "--target", "h200")["fits"]
    words = ("--model", small, "--target", "h200", "--step", "decode", "--length", "512")
    assert compiled("attention", *words)["fits"]


@needs_tpu
@pytest.mark.nightly
@pytest.mark.parametrize("sharding", ["fsdp+tp", "fsdp+tp+sp", "fsdp+cp"])
def test_every_sharding_compiles(small, sharding):
    words = ("--model", small, "--target", "v5e-8", "--length", "1024", "--mesh", "fsdp=-1,model=2")
    assert compiled("attention", *words, "--sharding", sharding)["fits"]


@needs_tpu
@pytest.mark.nightly
def test_decoding_a_kernel_a_search_and_learning_in_context(small):
    here = ("--model", small, "--target")
    assert compiled("attention", *here, "v5e-4", "--step", "decode", "--length", "512")["fits"]
    assert compiled("attention", *here, "v5e-1", "--step", "kernel", "--length", "1024")["fits"]
    assert compiled("tale_jax", *here, "v5e-4", "--mesh", "model=2,data=-1")["fits"]
    assert compiled("icl", "--preset", "linear-1l2ah", "--target", "v5e-8")["fits"]


KERNELS = """
import json, sys
from attention import compilation, meshes
from attention.transformer import TransformerConfig

target, *cases = json.loads(sys.argv[1])
compilation.prepare()
target = compilation.find_target(target)
rules = meshes.SHARDINGS["fsdp"].rules
placement = meshes.Placement(meshes.make_mesh(data=1, devices=target.devices()), rules)
failed = []
for length, (heads, kv_heads, size), seen in cases:
    config = TransformerConfig(
        hidden_size=heads * size, num_hidden_layers=1, num_attention_heads=heads, head_dim=size,
        num_key_value_heads=kv_heads, intermediate_size=8, vocab_size=8,
        sliding_window=1024 if seen == "window" else None,
    )
    how = {"segments": seen == "segments"}
    step = compilation.kernel_step(config, placement, 1, length, **how)
    case = f"{length} places, heads {heads}/{kv_heads} of {size}, {seen}"
    try:
        report = compilation.compile_step(step, target)
        print(case, report.memory, file=sys.stderr, flush=True)
        if not report.fits:
            failed.append(case + ": " + report.verdict)
    except Exception as error:
        failed.append(f"{case}: {error!s:.300}")
        print(failed[-1], file=sys.stderr, flush=True)
print(json.dumps(failed))
"""


@needs_tpu
@pytest.mark.nightly
@pytest.mark.parametrize("target", ["v5e-1", "v5p-1", "v6e-1"])
def test_kernels_compile_at_every_length(target):
    cases = list(itertools.product(LENGTHS, HEADS, SEEN))
    assert run(KERNELS, json.dumps([target, *cases])) == []
