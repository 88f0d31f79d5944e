"""Attention of a sequence whose places lie on several devices: outputs and every gradient."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.dot_product import implementations as dot_product
from attention.dot_product.flash import launch
from attention.meshes import LogicalRules, Placement, make_mesh, using
from attention.normalizers import NORMALIZERS

B, T, N, K, H = 2, 24, 6, 2, 5
SOFTMAXES = [name for name, row in NORMALIZERS.items() if row.logit_transform is not None]
SEGMENTS = np.sort(np.random.default_rng(3).integers(0, 3, (B, T)), axis=1)
MASK = np.random.default_rng(2).random((B, T, T)) < 0.7
RESTRICTIONS = {
    "causal": {"causal": True},
    "packed causal": {"segment_ids": SEGMENTS, "causal": True},
    "causal window": {"causal": True, "window": 5},
    "window": {"window": 3},
    "mask": {"mask": MASK},
    "mask causal": {"mask": MASK, "causal": True},
}


def results(cases, implementation):
    """Outputs and gradients of all cases, in one program."""
    rng = np.random.default_rng(0)
    query, probe = rng.normal(0, 2, (2, B, T, N, H))
    key, value = rng.normal(0, 2, (2, B, T, K, H))
    params = {
        name: {k: v * rng.uniform(0.7, 1.6, N) for k, v in NORMALIZERS[name].defaults.items()}
        for name, _ in cases
    }

    def run(arrays, params):
        def one(name, seen):
            def loss(query, key, value, params):
                out = dot_product.dot_product_attention(
                    query, key, value, normalizer=name, params=params, precision="highest",
                    implementation=implementation, **RESTRICTIONS[seen],
                )  # fmt: skip
                return jnp.sum(probe * out), out

            return jax.grad(loss, (0, 1, 2, 3), has_aux=True)(*arrays, params[name])

        return [one(*case) for case in cases]

    return jax.jit(run)((query, key, value), params)


def eight_devices(implementations, names, seen):
    assert len(jax.devices()) == 8
    dot_product.CHUNK = 5
    launch.TILES["cpu"] = dict.fromkeys(("forward", "queries", "keys"), launch.Tiles(16, 16))
    cases = [(name, each) for name in names for each in seen]
    rules = LogicalRules(length="model", places="model", heads=None, kv_heads=None)
    for model in (4, 8):  # three queries a chunk, or as many as there are devices
        placement = Placement(make_mesh(data=8 // model, model=model), rules)
        expected = results(cases, "xla")
        for implementation in implementations:
            with using(placement):
                found = results(cases, implementation)
            for case, a, b in zip(cases, expected, found, strict=True):
                for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
                    about = f"{implementation} {case} {model}"
                    scale = max(1, np.abs(one).max())
                    np.testing.assert_allclose(other, one, atol=1e-12 * scale, err_msg=about)


@pytest.mark.parametrize(
    "words",
    [
        ("chunked", "ssa", "packed causal"),
        pytest.param(
            ("chunked,blocks,pallas", ",".join(SOFTMAXES), "causal"), marks=pytest.mark.nightly
        ),
        pytest.param(
            ("chunked,blocks,pallas", "softmax,ssa", ",".join(RESTRICTIONS)),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["one", "normalizers", "restrictions"],
)
def test_divided_sequences_equal_whole_ones(words):
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    environment = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    subprocess.run(
        [sys.executable, __file__, *words], env={**os.environ, **environment}, check=True
    )


if __name__ == "__main__":
    eight_devices(*(word.split(",") for word in sys.argv[1:]))
