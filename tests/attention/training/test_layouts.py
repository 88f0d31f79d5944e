"""Every way to divide a model and its examples trains like one device; what programs then hold."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.likelihood import summed_loss
from attention.meshes import SHARDINGS, Placement, make_mesh, using
from attention.training import fit, transformer_axes
from attention.transformer import Transformer, TransformerConfig, abstract_params

ROWS, LENGTH, VOCAB = 16, 24, 52
CONFIG = TransformerConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=40, vocab_size=VOCAB, remat="full",
)  # fmt: skip
MESHES = {
    "dp": {"data": 8},
    "fsdp": {"data": 2, "fsdp": 4},
    "fsdp+tp": {"data": 2, "fsdp": 2, "model": 2},
    "fsdp+tp+sp": {"dcn": 2, "data": 1, "fsdp": 2, "model": 2},
    "fsdp+cp": {"data": 1, "fsdp": 4, "model": 2},
}


def loss(params, batch, key, config=CONFIG, most_logits=1000):
    del key
    states = Transformer(config).apply({"params": params}, batch["tokens"], logits=False)
    targets, weights = batch["targets"], jnp.ones(batch["targets"].shape)
    total = summed_loss(config, params, states, targets, weights, block_logits=most_logits)
    return total.objective, targets.size


def data(step):
    rows = np.random.default_rng(step).integers(0, VOCAB, (ROWS, LENGTH + 1), np.int32)
    return {"tokens": rows[:, :-1], "targets": rows[:, 1:]}


def start():
    return Transformer(CONFIG).init(jax.random.key(1), jnp.zeros((1, 1), int))["params"]


def train(directory, **how):
    axes = transformer_axes(jax.eval_shape(start))
    key, optimizer = jax.random.key(0), optax.adamw(1e-2)
    where = {"directory": directory, "log_every": 1, "quiet": True}
    return fit(loss, start, optimizer, data, steps=10, key=key, axes=axes, **where, **how)


def programs(folder):
    """The compiled steps so far, as text by file."""
    files = folder.glob("*jit_step*after_optimizations.txt")
    return {file: file.read_text() for file in files}


def largest(text, kinds):
    """The most numbers in the result of an operation of some kinds."""
    found = re.findall(rf"= \(?(?:\w+)\[([\d,]*)\][^=]*? (?:{kinds})(?:-start)?\(", text)
    return max((int(np.prod([int(n) for n in dims.split(",") if n])) for dims in found), default=0)


def eight_devices(folder, names):
    """Train with each preset, and check what its program holds."""
    assert len(jax.devices()) == 8
    expected = train(folder / "one")
    losses = (folder / "one" / "metrics.jsonl").read_text()
    for name in names:
        mesh, rules = make_mesh(**MESHES[name]), SHARDINGS[name].rules
        before = programs(folder)
        got = train(folder / name, mesh=mesh, rules=rules)
        [text] = (text for file, text in programs(folder).items() if file not in before)
        lines = zip(losses.splitlines(), (folder / name / "metrics.jsonl").open(), strict=True)
        for one, other in lines:
            a, b = (float(re.search(r'"loss": ([\d.]+)', line)[1]) for line in (one, other))
            assert abs(a - b) <= 1e-5 * abs(a), (name, a, b)
        for a, b in zip(jax.tree.leaves(expected.params), jax.tree.leaves(got.params), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-4, err_msg=name)
        rows = 8 if name == "dp" or name == "fsdp" else 8 // MESHES[name]["model"]
        parts = MESHES[name]["model"] if name.endswith(("sp", "cp")) else 1
        places = LENGTH // parts
        assert f"f32[2,{ROWS // rows},{places},32]" in text, f"{name}: states of all layers"
        assert f"f32[2,{ROWS},{LENGTH},32]" not in text, f"{name}: the whole batch on a device"
        whole = ROWS * LENGTH * CONFIG.hidden_size
        moved = largest(text, "all-gather|all-reduce|all-to-all|collective-permute")
        assert 0 < moved < whole // 2, f"{name}: a collective moves {moved} of {whole}"
        assert not re.search(rf"f32\[\d+,{LENGTH},{VOCAB}(?:\]|,)", text), "logits of all places"


@pytest.mark.parametrize(
    "names",
    [("fsdp+tp+sp",), pytest.param(tuple(MESHES), marks=pytest.mark.nightly)],
    ids=["one", "all"],
)
def test_layouts_train_like_one_device(tmp_path, names):
    flags = os.environ["XLA_FLAGS"]  # those that compile fastest
    flags += " --xla_force_host_platform_device_count=8 --xla_dump_hlo_as_text"
    flags += f" --xla_dump_to={tmp_path} --xla_dump_hlo_module_re=jit_step"
    command = [sys.executable, __file__, str(tmp_path), *names]
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, env=environment, check=True)


def test_master_weights_are_wide_and_products_narrow():
    config = TransformerConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=10,
        vocab_size=11, param_dtype="float32", dtype="bfloat16",
    )  # fmt: skip
    tokens = jnp.zeros((2, 3), int)
    params = jax.jit(Transformer(config).init)(jax.random.key(2), tokens)["params"]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    apply = jax.jit(functools.partial(Transformer(config).apply, logits=False))
    states = apply({"params": params}, tokens)
    assert states.dtype == jnp.bfloat16
    narrow = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    same = apply({"params": narrow}, tokens)
    np.testing.assert_array_equal(states, same)
    batch = {"tokens": tokens, "targets": tokens}
    wide = jax.eval_shape(jax.grad(lambda p: loss(p, batch, 0, config)[0]), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(wide)} == {jnp.dtype("float32")}


def test_one_device_has_no_placement():
    with using(Placement(make_mesh(data=1), SHARDINGS["fsdp"].rules)):
        given = {"params": abstract_params(CONFIG)}, data(0)["tokens"]
        jaxpr = str(jax.make_jaxpr(Transformer(CONFIG).apply)(*given))
    assert "sharding_constraint" not in jaxpr


if __name__ == "__main__":
    eight_devices(Path(sys.argv[1]), sys.argv[2:])
