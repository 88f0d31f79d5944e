"""Texts one behind another in a row: none sees another, or the future."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.transformer import Transformer, TransformerConfig, unstack_layers

SEGMENTS = np.array([[0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]])
CONFIG = TransformerConfig(
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=17,
    vocab_size=19,
    normalizer="ssa",
)


@pytest.fixture(scope="module")
def tokens():
    return jnp.asarray(np.random.default_rng(0).integers(0, 19, SEGMENTS.shape))


@pytest.fixture(scope="module")
def params(tokens):
    return unstack_layers(jax.jit(Transformer(CONFIG).init)(jax.random.key(0), tokens)["params"])


@pytest.mark.quick("learned-xla")
@pytest.mark.parametrize("implementation", ["xla", "blocks", "chunked"])
@pytest.mark.parametrize("position", ["rope", "learned"])
def test_each_text_is_as_if_alone(implementation, position, tokens, params, apply):
    config = dataclasses.replace(
        CONFIG, attention_implementation=implementation, position_embedding=position
    )
    if position == "learned":
        table = jax.random.normal(jax.random.key(1), (2048, 12))
        params = {**params, "position_embedding": {"embedding": table}}
    packed = apply(config, params, tokens, segment_ids=SEGMENTS)
    tokens = np.asarray(tokens)
    places = [(row, SEGMENTS[row] == each) for row in (0, 1) for each in np.unique(SEGMENTS[row])]
    texts, where = np.zeros((len(places), 11), int), np.zeros((len(places), 11), bool)
    for line, (row, own) in enumerate(places):  # each in a row of its own
        texts[line, : own.sum()], where[line, : own.sum()] = tokens[row, own], True
    alone = apply(config, params, texts, where)
    for line, (row, own) in enumerate(places):
        np.testing.assert_allclose(packed[row, own], alone[line, where[line]], atol=3e-6)


@pytest.mark.quick("True")
@pytest.mark.parametrize("causal", [True, False])
def test_gradients_stay_in_the_text_and_before_the_token(causal, tokens, params):
    """d logits[t] / d embedding[s] is zero where s is in another text, or later."""
    config = dataclasses.replace(CONFIG, vocab_size=None, input_size=19, head="none", causal=causal)
    kernel = {"kernel": params["embed"]["embedding"], "bias": jnp.zeros(12)}
    params = {**params, "embed": kernel}
    params.pop("lm_head")

    def states(vectors):
        model = Transformer(config)
        return model.apply({"params": params}, vectors[None], segment_ids=SEGMENTS[:1])[0].sum(-1)

    reaches = np.abs(jax.jit(jax.jacobian(states))(jax.nn.one_hot(tokens[0], 19))).sum(-1) > 0
    allowed = SEGMENTS[0][:, None] == SEGMENTS[0][None]
    places = np.arange(11)
    assert np.array_equal(
        reaches, allowed & (places[None] <= places[:, None]) if causal else allowed
    )
