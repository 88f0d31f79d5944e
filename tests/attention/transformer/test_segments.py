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
    return unstack_layers(Transformer(CONFIG).init(jax.random.key(0), tokens)["params"])


@pytest.mark.quick("rope-blocks", "learned-xla")
@pytest.mark.parametrize("implementation", ["xla", "blocks", "chunked"])
@pytest.mark.parametrize("position", ["rope", "learned"])
def test_each_text_is_as_if_alone(implementation, position, tokens, params):
    config = dataclasses.replace(
        CONFIG, attention_implementation=implementation, position_embedding=position
    )
    if position == "learned":
        table = jax.random.normal(jax.random.key(1), (2048, 12))
        params = {**params, "position_embedding": {"embedding": table}}
    packed = Transformer(config).apply({"params": params}, tokens, segment_ids=SEGMENTS)
    for row, segments in enumerate(SEGMENTS):
        for each in np.unique(segments):
            own = segments == each
            alone = Transformer(config).apply({"params": params}, tokens[row : row + 1, own])
            np.testing.assert_allclose(packed[row, own], alone[0], atol=3e-6)


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

    reaches = np.abs(jax.jacobian(states)(jax.nn.one_hot(tokens[0], 19))).sum(-1) > 0
    allowed = SEGMENTS[0][:, None] == SEGMENTS[0][None]
    places = np.arange(11)
    assert np.array_equal(
        reaches, allowed & (places[None] <= places[:, None]) if causal else allowed
    )
