"""A list with a normalizer for each head is each head's own normalizer."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.dot_product import attention_weights, dot_product_attention
from attention.errors import InputError
from attention.normalizers import NORMALIZERS, normalize, with_cap
from attention.transformer import (
    Transformer,
    TransformerConfig,
    convert,
    load_pretrained,
    save_pretrained,
)

B, T, S, N, K, H = 2, 5, 7, 6, 3, 4
LIST = "softmax/ssa:n=2,b=0.7*2/temperature:temperature=1.7/ssmax/softcap:c=2"
EACH = (
    "softmax", "ssa:n=2,b=0.7", "ssa:n=2,b=0.7", "temperature:temperature=1.7", "ssmax",
    "softcap:c=2",
)  # fmt: skip
OTHER = "sparsemax*2/softmax/softmax1/entmax:alpha=1.3/sigmoid"
OTHERS = ("sparsemax", "sparsemax", "softmax", "softmax1", "entmax:alpha=1.3", "sigmoid")


def operands(seed=0):
    rng = np.random.default_rng(seed)
    query = jnp.asarray(rng.normal(0, 2, (B, T, N, H)), jnp.float32)
    key, value = (jnp.asarray(rng.normal(0, 2, (B, S, K, H)), jnp.float32) for _ in range(2))
    return query, key, value, jnp.asarray(rng.random((B, T, S)) < 0.7).at[:, :, 0].set(True)


@functools.partial(jax.jit, static_argnums=0)
def of_each(names, query, key, value, mask):
    """The output of each head, by a call with that head alone."""
    heads = [
        dot_product_attention(
            query[:, :, n : n + 1],
            key[:, :, n * K // N, None],
            value[:, :, n * K // N, None],
            normalizer=name,
            mask=mask,
        )
        for n, name in enumerate(names)
    ]
    return jnp.concatenate(heads, axis=2)


@pytest.mark.quick("xla", "pallas")
@pytest.mark.parametrize("implementation", ["xla", "blocks", "chunked", "pallas"])
def test_each_head_has_its_own(implementation):
    query, key, value, mask = operands()
    how = {"normalizer": LIST, "implementation": implementation}
    out = jax.jit(functools.partial(dot_product_attention, **how))(query, key, value, mask=mask)
    np.testing.assert_allclose(out, of_each(EACH, query, key, value, mask), atol=2e-5)


def test_weights_that_are_no_softmax_mix_too():
    query, key, value, mask = operands(1)
    out = dot_product_attention(query, key, value, normalizer=OTHER, mask=mask)
    np.testing.assert_allclose(out, of_each(OTHERS, query, key, value, mask), atol=2e-5)
    row = NORMALIZERS.pick(OTHER)
    assert (row.sums_to_one, row.shift_invariant, row.uses_count) == (False, False, True)


def test_gradients_reach_the_heads_that_have_the_parameter():
    query, key, value, mask = operands(2)
    row = NORMALIZERS.pick(LIST)

    def loss(raw, implementation):
        out = dot_product_attention(
            query, key, value, normalizer=LIST, params=row.constrain(raw), mask=mask,
            implementation=implementation,
        )  # fmt: skip
        return jnp.sum(out**2)

    raw = row.init(N)
    assert {name: value.shape for name, value in raw.items()} == {
        "n": (N,),
        "temperature": (N,),
        "scale": (N,),
    }
    gradient_of = jax.jit(jax.grad(loss), static_argnums=1)
    found = gradient_of(raw, "xla")
    owners = {"n": [1, 2], "temperature": [3], "scale": [4]}
    for name, own in owners.items():
        reached = np.flatnonzero(np.asarray(found[name]))
        assert reached.tolist() == own
    for name, gradient in gradient_of(raw, "chunked").items():
        np.testing.assert_allclose(gradient, found[name], rtol=1e-4, atol=1e-4)


def test_scores_of_heads():
    query, key, _, _ = operands(3)
    scores = jnp.einsum("BTNH,BSNH->BNTS", query, jnp.repeat(key, N // K, 2)) * H**-0.5
    weights = attention_weights(query, key, normalizer=LIST)
    np.testing.assert_allclose(normalize(LIST, scores), weights, atol=1e-5)


def test_a_cap_is_one_of_every_head():
    assert with_cap("softmax*2/ssa:n=2", 5.0) == "softmax:cap=5.0/softmax:cap=5.0/ssa:n=2,cap=5.0"


def test_a_model_comes_back(tmp_path, init_params):
    config = TransformerConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=5, max_position_embeddings=13, normalizer="ssa:n=2/softmax",
    )  # fmt: skip
    tokens, params = jnp.asarray([[3, 1, 4, 1, 5]]), init_params(config)
    save_pretrained(tmp_path, config, params)
    read, stored = load_pretrained(tmp_path)
    assert read.normalizer == "ssa:n=2/softmax"
    wanted = jax.jit(Transformer(config).apply)({"params": params}, tokens)
    found = jax.jit(Transformer(read).apply)({"params": stored}, tokens)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["normalizer"] = "softmax/nowhere:formula"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="nowhere"):  # and nothing is imported
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("softmax/linear", "has none"),
        ("ssa/ssa:learn=none", "must all learn n or none"),
        ("ssa:as=raw/ssa", "store it alike"),
        ("softmax/nothing", "unknown normalizer 'nothing'"),
        ("softmax/", "unknown normalizer ''"),
        ("softmax*0/ssa", "unknown normalizer"),
    ],
)
def test_errors(spec, words):
    with pytest.raises(InputError, match=words):
        NORMALIZERS.pick(spec)


def test_as_many_as_heads():
    sizes = {"vocab_size": 11, "hidden_size": 12, "num_hidden_layers": 1, "intermediate_size": 5}
    with pytest.raises(ValueError, match="2 normalizers for 3 heads"):
        TransformerConfig(**sizes, num_attention_heads=3, normalizer="softmax/ssa")
    config = TransformerConfig(**sizes, num_attention_heads=2)
    with pytest.raises(InputError, match="no learned parameters that could approach"):
        convert(config, {}, "ssa/ssa", jnp.asarray([[1, 2]]))
