"""A search over any callable, and a room that imports no JAX."""

import subprocess
import sys

import pytest

from tale_jax.elimination import SearchOptions, eliminate, score_masks

SEARCH = """
import sys
from tale_jax.elimination import SearchOptions, eliminate, score_masks

worth = (3, -2, 5, 1)

def count(layer_mask):
    return 20 + sum(value for runs, value in zip(layer_mask, worth) if runs)

found = eliminate(score_masks(count, 4), 4, total=41, options=SearchOptions(epsilon=0.0))
assert (found.best.dropped, found.best.correct) == ((1,), 29), found.best
heavy = {"jax", "jaxlib", "flax", "torch", "numpy", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_search_over_a_function_imports_no_jax():
    subprocess.run([sys.executable, "-c", SEARCH], check=True)


def test_a_model_of_torch_is_searched():
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    x = torch.randn(53, 7)
    layers = [torch.nn.Linear(7, 7) for _ in range(5)]
    right = x.sum(1) > 0

    @torch.no_grad()
    def count(layer_mask):
        state = x
        for runs, layer in zip(layer_mask, layers, strict=True):
            state = state + layer(state) if runs else state
        return int(((state.sum(1) > 0) == right).sum())

    options = SearchOptions(epsilon=1.0)
    found = eliminate(score_masks(count, 5), 5, total=53, options=options)
    mask = tuple(layer not in found.best.dropped for layer in range(5))
    assert found.baseline.correct == count((True,) * 5) < found.best.correct == count(mask)
