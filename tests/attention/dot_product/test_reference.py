"""Attention against a loop in float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention import dot_product
from attention.dot_product import attention_behind_prefix, splits, weighted_values
from attention.normalizers import NORMALIZERS

static = ("normalizer", "scale", "precision")
attention_weights = jax.jit(dot_product.attention_weights, static_argnames=static)
dot_product_attention = jax.jit(dot_product.dot_product_attention, static_argnames=static)

B, T, S, H = 2, 3, 5, 7
HEADS = {"mha": (3, 3), "gqa": (6, 2), "mqa": (5, 1)}


def arrays(num_heads, num_kv, seed=0):
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(B, T, num_heads, H))
    key = rng.normal(size=(B, S, num_kv, H))
    value = rng.normal(size=(B, S, num_kv, H))
    mask = rng.random((B, T, S)) < 0.6
    mask[0, 0] = False  # a query without keys
    mask[0, 1] = True
    return query, key, value, mask


def reference(query, key, value, mask, normalizer="softmax", params=None, scale=None):
    """One query and head at a time; returns weights and outputs."""
    num_heads, num_kv = query.shape[2], key.shape[2]
    weights = np.zeros((B, num_heads, T, S))
    out = np.zeros((B, T, num_heads, H))
    for b, n, t in np.ndindex(B, num_heads, T):
        k = n // (num_heads // num_kv)
        logits = key[b, :, k] @ query[b, t, n] * (H**-0.5 if scale is None else scale)
        if normalizer == "ssa":
            p = {name: np.broadcast_to(v, num_heads)[n] for name, v in params.items()}
            logits = p["n"] * np.sign(logits) * np.log(1 + p["b"] * np.abs(logits))
        if mask[b, t].any():
            bases = np.exp(logits) * mask[b, t]
            weights[b, n, t] = bases / bases.sum()
        out[b, t, n] = weights[b, n, t] @ value[b, :, k]
    return weights, out


def check(heads, atol=2e-6, dtype=np.float32, **how):
    query, key, value, mask = arrays(*heads)
    weights, out = reference(query, key, value, mask, **how)
    q, k, v = (jnp.asarray(x, dtype) for x in (query, key, value))
    ours = {**how, "mask": mask, "precision": "highest"}
    found = attention_weights(q, k, **ours)
    np.testing.assert_allclose(found, weights, atol=atol)
    np.testing.assert_allclose(
        np.asarray(dot_product_attention(q, k, v, **ours), np.float64), out, atol=atol
    )
    return found


@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
def test_softmax_attention(heads):
    check(heads)


@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
def test_ssa_attention_with_parameters_of_each_head(heads):
    rng = np.random.default_rng(3)
    n, b = rng.uniform(0.5, 3, (2, heads[0])).astype(np.float32)
    check(heads, normalizer="ssa", params={"n": n, "b": b})


def test_one_parameter_for_all_heads():
    check(HEADS["gqa"], normalizer="ssa", params={"n": jnp.float32(2), "b": jnp.float32(0.5)})
    check(HEADS["gqa"], normalizer="ssa", params={"n": 2.0, "b": 0.5})


def test_scale():
    check(HEADS["gqa"], scale=0.3)


def test_no_mask_is_a_mask_of_true():
    query, key, value, mask = (np.float32(x) for x in arrays(6, 2))
    open_ = np.ones(mask.shape, bool)
    np.testing.assert_allclose(
        dot_product_attention(query, key, value),
        dot_product_attention(query, key, value, mask=open_),
        atol=1e-6,
    )


def test_mask_broadcasts_over_batch_and_queries():
    query, key, value, mask = arrays(6, 2)
    query, key, value = (np.float32(x) for x in (query, key, value))
    for narrow in (mask[1:], mask[:, 1:2], mask[1:, 1:2]):
        wide = np.broadcast_to(narrow, mask.shape)
        np.testing.assert_array_equal(
            dot_product_attention(query, key, value, mask=narrow),
            dot_product_attention(query, key, value, mask=wide),
        )


def test_bfloat16_computes_weights_in_float32():
    weights = check(HEADS["gqa"], atol=0.03, dtype=jnp.bfloat16)
    assert weights.dtype == jnp.float32
    rows = np.asarray(weights).sum(-1)
    assert np.abs(rows[rows > 0] - 1).max() < 1e-6  # not what a bfloat16 sum would give
    query, key, value, _ = (jnp.asarray(x, jnp.bfloat16) for x in arrays(6, 2))
    assert dot_product_attention(query, key, value).dtype == jnp.bfloat16


def test_float64_stays_float64():
    with jax.enable_x64(True):
        query, key, value, mask = arrays(6, 2)
        weights, out = reference(query, key, value, mask)
        np.testing.assert_allclose(attention_weights(query, key, mask=mask), weights, atol=1e-14)
        found = dot_product_attention(
            jnp.asarray(query), jnp.asarray(key), jnp.asarray(value), mask=mask
        )
        np.testing.assert_allclose(found, out, atol=1e-14)


def test_weighted_values_reads_the_group_of_each_head():
    _, _, value, _ = arrays(6, 2)
    pick = np.zeros((B, 6, T, S), np.float32)
    pick[:, :, :, 2] = 1
    out = weighted_values(jnp.asarray(pick), jnp.asarray(value, np.float32))
    for n in range(6):
        expected = np.broadcast_to(np.float32(value[:, None, 2, n // 3]), (B, T, H))
        np.testing.assert_array_equal(out[:, :, n], expected)


def test_wrong_shapes_raise():
    query, key, value, mask = (jnp.asarray(x) for x in arrays(6, 2))
    with pytest.raises((ValueError, TypeError)):
        attention_weights(query[:, :, :5], key)  # 5 heads do not share 2
    with pytest.raises((ValueError, TypeError)):
        attention_weights(query, key[..., :3])
    with pytest.raises((ValueError, TypeError)):
        dot_product_attention(query, key, value, mask=mask[:, :, :3])


@pytest.mark.parametrize("name", ["linear", "cosformer"])
def test_feature_maps_are_linear_attention(name):
    """Against the other order of the sums: keys times values first, a query at a time."""
    query, key, value, mask = arrays(6, 2)
    length, places = 11.0, np.pi / 2 * np.arange(S) / 11

    def phi(x, place):
        if name == "linear":
            return np.where(x > 0, x + 1, np.exp(x))
        x = np.maximum(x, 0)
        return np.concatenate([x * np.cos(place), x * np.sin(place)])

    expected = np.zeros((B, T, 6, H))
    for b, n, t in np.ndindex(B, 6, T):
        seen = np.flatnonzero(mask[b, t])
        keys = np.array([phi(key[b, s, n // 3], places[s]) for s in seen])
        if len(seen):
            state, total = keys.T @ value[b, seen, n // 3], keys.sum(0)
            asked = phi(query[b, t, n], places[t])
            expected[b, t, n] = asked @ state / (asked @ total)
    params = {"length": length} if name == "cosformer" else None
    q, k, v = (jnp.asarray(x, jnp.float32) for x in (query, key, value))
    how = {"normalizer": name, "params": params, "mask": mask, "precision": "highest"}
    np.testing.assert_allclose(dot_product_attention(q, k, v, **how), expected, atol=3e-6)
    shifted = (jnp.arange(T)[None] + 4, jnp.arange(S)[None] + 4)
    moved = dot_product_attention(q, k, v, positions=shifted, **how)
    np.testing.assert_allclose(moved, expected, atol=3e-6)


@pytest.mark.quick("softmax", "ssa:cap=2")
@pytest.mark.parametrize("name", [n for n in NORMALIZERS if splits(n)] + ["ssa:cap=2"])
def test_a_shared_beginning_is_that_of_every_row(name):
    draw = np.random.default_rng(5)
    query = draw.normal(0, 3, (3, 5, 4, 7)).astype(np.float32)
    key, value = draw.normal(size=(2, 3, 5, 2, 7)).astype(np.float32)
    front_key, front_value = draw.normal(size=(2, 1, 11, 2, 7)).astype(np.float32)
    mask = np.tril(np.ones((3, 5, 5), bool))
    mask[1, :, 2] = mask[2] = False
    copied = [
        np.concatenate([np.broadcast_to(front, (3, 11, 2, 7)), own], 1)
        for front, own in ((front_key, key), (front_value, value))
    ]
    seen = np.concatenate([np.ones((3, 5, 11), bool), mask], 2)
    plain, behind = (
        jax.jit(functools.partial(attend, normalizer=name))
        for attend in (dot_product_attention, attention_behind_prefix)
    )
    expected = plain(query, *copied, mask=seen)
    found = behind(query, key, value, front_key, front_value, mask=mask)
    np.testing.assert_allclose(found, expected, atol=2e-6)
