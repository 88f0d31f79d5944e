"""The loss in blocks equals the loss of whole logits, and so does its gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.likelihood import summed_loss
from attention.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(
    hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11, vocab_size=29
)
KINDS = {
    "tied": {"tie_word_embeddings": True},
    "own head, scaled and capped": {"logits_scaling": 3.0, "final_logit_softcapping": 0.7},
    "masked": {"head": "masked_lm", "causal": False, "tie_word_embeddings": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_equal_the_whole(kind, init_params):
    config = dataclasses.replace(CONFIG, **KINDS[kind])
    draw = np.random.default_rng(0)
    states = draw.normal(size=(3, 13, 8)).astype(np.float32)
    targets = draw.integers(0, 29, (3, 13)).astype(np.int32)
    weights = (draw.random((3, 13)) * (draw.random((3, 13)) > 0.3)).astype(np.float32)
    model = Transformer(config)
    params = jax.tree.map(
        lambda x: np.asarray(x) + 0.3 * draw.normal(size=x.shape).astype(np.float32),
        init_params(config),
    )

    def blocked(params, states):
        return summed_loss(
            config, params, states, targets, weights, z_loss=0.01, block_logits=3 * 29 * 5
        )

    def whole(params, states):
        logits = model.apply({"params": params}, states, method="read_out")
        total = jax.nn.logsumexp(logits, axis=-1)
        own = jnp.take_along_axis(logits, targets[..., None], axis=2)[..., 0]
        return jnp.sum(weights * (total - own + 0.01 * total**2)), jnp.sum(weights * (total - own))

    def with_gradient(f):
        return jax.jit(jax.value_and_grad(lambda *x: tuple(f(*x)), (0, 1), has_aux=True))

    found, expected = (with_gradient(f)(params, states) for f in (blocked, whole))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), *(
        found, expected))  # fmt: skip
    alone = jax.jit(blocked)(params, states)
    np.testing.assert_allclose(alone.objective, expected[0][0], rtol=2e-6)
    shapes = {v.aval.shape for e in _equations(jax.make_jaxpr(with_gradient(blocked))(
        params, states).jaxpr) for v in e.outvars}  # fmt: skip
    assert (1, 15, 29) in shapes and not any(np.prod(s) >= 39 * 29 for s in shapes if 29 in s)


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
