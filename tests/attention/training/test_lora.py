"""Low-rank matrices beside every matrix, and the normalizer's own numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.training import decayed, init_lora, lora_axes, merge_lora, transformer_axes
from attention.transformer import Transformer


def made(init_params, tiny_config, **changes):
    config = tiny_config(**changes)
    tokens = jax.random.randint(jax.random.key(1), (3, 7), 0, config.vocab_size)
    params = init_params(config, 2)
    return config, params, tokens


def test_low_rank_updates_are_added_to_every_matrix(init_params, tiny_config):
    _, params, _ = made(init_params, tiny_config)
    layers = params["layers"]
    lora = init_lora(params, 3, jax.random.key(1))
    assert len(lora) == 7
    merge = jax.jit(lambda lora: merge_lora(params, lora, 2.0)["layers"])
    same = merge(lora)
    for path in lora:
        half, name = path.split("/")
        merged = same[half][name]["kernel"]
        np.testing.assert_array_equal(merged, layers[half][name]["kernel"])  # B is zero
    lora["attention/out"]["b"] = jnp.ones_like(lora["attention/out"]["b"])
    merged = merge(lora)["attention"]["out"]["kernel"]
    a = np.asarray(lora["attention/out"]["a"])  # [L, N, H, r]
    expected = layers["attention"]["out"]["kernel"] + 2.0 * a.sum(-1)[..., None]
    np.testing.assert_allclose(merged, expected, rtol=1e-5, atol=1e-5)
    draw = jax.jit(lambda key: merge_lora(params, lora, 2.0, 0.5, key)["layers"]["attention"])
    merges = [draw(jax.random.key(i))["out"]["kernel"] for i in range(200)]
    np.testing.assert_allclose(np.mean(merges, axis=0), merged, atol=0.35)


@pytest.mark.quick("head")
@pytest.mark.parametrize("per", ["layer", "head", "model"])
def test_what_a_normalizer_learns_is_trained_as_it_is(init_params, tiny_config, per):
    config, params, tokens = made(init_params, tiny_config, normalizer=f"ssa:learn=n+b,per={per}")
    lora = init_lora(params, 3, jax.random.key(1))
    shape = {"layer": (5,), "head": (5, 2), "model": ()}[per]
    assert {name: x.shape for name, x in lora["normalizer"].items()} == {"n": shape, "b": shape}

    def loss(lora):
        logits = Transformer(config).apply({"params": merge_lora(params, lora, 1.0)}, tokens)
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens).mean()

    gradients = jax.jit(jax.grad(loss))(lora)
    assert all(np.all(np.asarray(g) != 0) for g in gradients["normalizer"].values())
    moved = {**lora, "normalizer": jax.tree.map(lambda x: x + 1, lora["normalizer"])}
    merged = merge_lora(params, moved, 1.0)
    assert jax.tree.structure(merged) == jax.tree.structure(params)
    changed = [
        jax.tree_util.keystr(path)
        for (path, one), other in zip(
            jax.tree.leaves_with_path(merged), jax.tree.leaves(params), strict=True
        )
        if np.any(np.asarray(one) != np.asarray(other))
    ]
    assert len(changed) == 2 and all("normalizer" in path for path in changed)
    axes = lora_axes(transformer_axes(params))
    jax.tree.map(lambda x, names: len(names) == x.ndim or pytest.fail(str(names)), lora, axes)
    shrinks = decayed({"lora": lora})["lora"]
    assert not any(jax.tree.leaves(shrinks.pop("normalizer"))) and all(jax.tree.leaves(shrinks))
