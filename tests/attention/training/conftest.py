"""A toy to train: its parameters, loss and data, and what a run of it leaves."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from attention.training.loop import fit

KEY = jax.random.key(0)
ROWS = 12


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    """Most tests of the toy train the same program: compile it once."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.getbasetemp() / "toy"), 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def toy_params():
    up, down = jax.random.split(jax.random.key(1))
    return {"up": jax.random.normal(up, (3, 7)), "down": jax.random.normal(down, (7, 2))}


def toy_loss(params, batch, key):
    """Weighted squared error; the noise makes the randomness of a step visible."""
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
    error = (jnp.tanh(x @ params["up"]) @ params["down"] - batch["y"]) ** 2
    total = (error.sum(1) * batch["weight"]).sum()
    return total, batch["weight"].sum(), {"rows": batch["weight"].sum() * 3.0}


def noiseless_loss(params, batch, key):
    error = (jnp.tanh(batch["x"] @ params["up"]) @ params["down"] - batch["y"]) ** 2
    return (error.sum(1) * batch["weight"]).sum(), batch["weight"].sum()


def toy_data(t):
    rng = np.random.default_rng(t)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return {"x": x, "y": x[:, :2] ** 2, "weight": rng.uniform(0.1, 2, ROWS).astype(np.float32)}


def run(directory=None, steps=6, data=toy_data, loss=toy_loss, optimizer=None, **options):
    options = {"key": KEY, "log_every": 1, "quiet": True, **options}
    optimizer = optimizer or optax.adam(1e-2)
    return fit(loss, toy_params(), optimizer, data, steps=steps, directory=directory, **options)


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), a, b))


class Counter:
    """An iterator of toy batches that knows its position."""

    def __init__(self):
        self.position = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return toy_data(self.position - 1)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


class Dataset:
    """An iterable that keeps the position of its latest iterator, like datasets'."""

    def __init__(self):
        self.start = self.position = 0

    def __iter__(self):
        for t in range(self.start, 100):
            self.position = t + 1
            yield toy_data(t)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.start = self.position = state["position"]


@pytest.fixture(scope="session")
def toy():
    """The toy, by short names."""
    return SimpleNamespace(
        params=toy_params, loss=toy_loss, noiseless_loss=noiseless_loss, data=toy_data,
        run=run, lines=lines, same=same, Counter=Counter, Dataset=Dataset,
    )  # fmt: skip
