"""What needs processes of its own: SIGKILL, and eight devices."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.meshes import LogicalRules, make_mesh
from attention.training.checkpoints import load_params
from attention.training.loop import fit

STEPS = 40
AXES = {"up": ("input", "mlp"), "bias": ("mlp",), "down": ("mlp", "embed")}


def params():
    up, down = jax.random.split(jax.random.key(1))
    return {
        "up": jax.random.normal(up, (3, 14)),
        "bias": jnp.zeros(14),
        "down": jax.random.normal(down, (14, 5)),
    }


def loss(params, batch, key):
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
    error = (jnp.tanh(x @ params["up"] + params["bias"][None]) @ params["down"] - batch["y"]) ** 2
    return error.sum(), error.shape[0]


def data(t):
    x = np.random.default_rng(t).normal(size=(16, 3)).astype(np.float32)
    return {"x": x, "y": np.repeat(x[:, :1] ** 2, 5, axis=1)}


def train(directory, batches=data, steps=STEPS, **options):
    optimizer = optax.adamw(optax.cosine_decay_schedule(3e-2, STEPS))
    options = {"key": jax.random.key(0), "save_every": 3, "log_every": 1, "quiet": True, **options}
    return fit(
        loss, params(), optimizer, batches, steps=steps, directory=directory, clip=1.0, **options
    )


def lines(directory):
    text = (Path(directory) / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def child(*arguments, **environment):
    command = [sys.executable, __file__, *map(str, arguments)]
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(Path(arguments[1]).parent / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(command, env={**os.environ, **cache, **environment})


def killable(directory, kill_at):
    """Trains; dies without a word when it asks for the batch of step ``kill_at``."""

    def slow(t):
        if t == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.005)
        return data(t)

    train(directory, slow)


@pytest.mark.nightly  # test_resuming.py is interrupted in the process
def test_killed_at_any_step_and_resumed(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole)
    chance = random.Random(4)
    # by itself right after a save began, then from outside at a moment of nobody's choosing
    process = child("killable", cut, chance.choice([7, 10, 13]))
    assert process.wait() == -signal.SIGKILL
    process = child("killable", cut, -1)
    goal = chance.randrange(16, 30)
    while not any(line.startswith(f'{{"step": {goal},') for line in raw(cut)):
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.02))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    steps = len(lines_whole(cut))
    assert goal < steps < STEPS
    assert child("killable", cut, -1).wait() == 0

    for name, array in load_params(whole, params()).items():
        np.testing.assert_array_equal(load_params(cut, params())[name], array)
    assert [line["step"] for line in lines(cut)] == list(range(STEPS))
    assert [line["loss"] for line in lines(cut)] == [line["loss"] for line in lines(whole)]


def raw(directory):
    path = Path(directory) / "metrics.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def lines_whole(directory):
    return [line for line in raw(directory) if line.endswith("}")]


def eight_devices(directory):
    """The same run on 1 and on 8 devices, resumed across, in one process."""
    directory = Path(directory)
    assert len(jax.devices()) == 8
    mesh = make_mesh(data=4, model=2)
    train(directory / "one", steps=12)
    wide = {"mesh": mesh, "axes": AXES}
    state = train(directory / "eight", steps=12, **wide)
    for tree in (state.params, state.optimizer_state[1][0].mu):
        shapes = {name: x.addressable_shards[0].data.shape for name, x in tree.items()}
        assert shapes == {"up": (3, 7), "bias": (7,), "down": (7, 5)}, shapes
        assert all(len(x.sharding.device_set) == 8 for x in tree.values())
    train(directory / "fsdp", steps=12, accumulate=2, rules=LogicalRules(mlp="data"), **wide)
    train(directory / "across", steps=5)
    train(directory / "across", steps=9, **wide)
    train(directory / "across", steps=12)


@pytest.mark.nightly
def test_eight_devices_train_like_one(tmp_path):
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    assert child("eight_devices", tmp_path, XLA_FLAGS=flags).wait() == 0
    expected = [line["loss"] for line in lines(tmp_path / "one")]
    for name in ("eight", "across"):
        got = [line["loss"] for line in lines(tmp_path / name)]
        np.testing.assert_allclose(got, expected, rtol=1e-5, err_msg=name)
    train(tmp_path / "here", steps=12, accumulate=2)
    expected = [line["loss"] for line in lines(tmp_path / "here")]
    got = [line["loss"] for line in lines(tmp_path / "fsdp")]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


if __name__ == "__main__":
    name, directory, *rest = sys.argv[1:]
    {"killable": killable, "eight_devices": eight_devices}[name](directory, *map(int, rest))
