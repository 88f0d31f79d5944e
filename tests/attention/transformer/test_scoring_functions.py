"""The scoring function and the implementation of attention, as arguments of the model."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from attention.dot_product import implementations as dot_product
from attention.normalizers import NORMALIZERS
from attention.transformer import Transformer, unstack_layers

SOFTMAXES = [n for n, row in NORMALIZERS.items() if row.logit_transform and n != "softmax"]


def close(found, expected, tolerance=1e-5):
    """The largest difference, as a share of the largest expected number."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.quick("entmax", "ssa", "sigmoid")
@pytest.mark.parametrize("name", [name for name in NORMALIZERS if name != "softmax"])
def test_every_normalizer_is_alive_in_a_model(configs, random_params, apply, tokens, name):
    row = NORMALIZERS[name]
    spec = f"{name}:learn={'+'.join(row.parameters)}" if row.form == "scores" else name
    config = dataclasses.replace(
        configs["llama"], normalizer=spec if row.parameters else name, num_hidden_layers=1
    )
    params = random_params(config)
    plain = dataclasses.replace(config, normalizer="softmax")

    @jax.jit
    def gradient(params):
        def loss(params):
            logits = Transformer(config).apply({"params": params}, tokens)
            return jnp.mean(jnp.sin(logits)), logits

        return jax.grad(loss, has_aux=True)(params)

    grads, logits = gradient(params)
    assert np.abs(logits - apply(plain, random_params(plain), tokens)).max() > 1e-4
    for path, leaf in flatten_dict(grads).items():
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path
    assert row.form == "features" or len(
        flatten_dict(grads["layers"]["attention"].get("normalizer", {}))
    ) == len(row.parameters)


@pytest.mark.quick("gemma2-pallas")
@pytest.mark.parametrize(
    ("name", "how"),
    [(name, "chunked") for name in ("llama", "mistral", "gpt2", "bert")]
    + [(name, how) for how in ("blocks", "pallas") for name in ("mistral", "bert")]
    + [("gemma2", how) for how in ("chunked", "blocks", "pallas")],  # its scores are capped
)
def test_the_implementation_changes_no_logit(tiny_models, apply, tokens, monkeypatch, name, how):
    monkeypatch.setattr(dot_product, "CHUNK", 3)
    _, config, params = tiny_models(name)
    where = np.ones(tokens.shape, bool)
    where[0, :4] = where[1, 7:] = False
    other = dataclasses.replace(config, attention_implementation=how)
    for form, real in ((params, None), (unstack_layers(params), where)):
        logits = np.asarray(apply(config, form, tokens, where=real))
        found = np.asarray(apply(other, form, tokens, where=real))
        seen = slice(None) if real is None else real
        close(found[seen], logits[seen])
    shown = [
        apply(each, params, tokens, capture=("attention_weights",))[1]["attention_weights"]
        for each in (config, other)
    ]
    close(shown[1], shown[0])


@pytest.mark.quick("ssa-pallas")
@pytest.mark.parametrize("how", ["xla", "blocks", "chunked", "pallas"])
@pytest.mark.parametrize("name", SOFTMAXES)
def test_every_implementation_runs_what_it_says(configs, random_params, apply, tokens, name, how):
    """Not softmax in its place, and with gradients that reach the parameters."""
    row = NORMALIZERS[name]
    spec = f"{name}:learn={'+'.join(row.parameters)}" if row.parameters else name
    config = dataclasses.replace(
        configs["llama"], normalizer=spec, num_hidden_layers=1, attention_implementation=how
    )
    params = random_params(config)

    def loss(params):
        return jnp.sum(jnp.sin(Transformer(config).apply({"params": params}, tokens)))

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    reference = dataclasses.replace(config, attention_implementation="xla")
    close(value, np.sum(np.sin(apply(reference, params, tokens))))
    softmax = dataclasses.replace(reference, normalizer="softmax")
    assert abs(value - np.sum(np.sin(apply(softmax, random_params(softmax), tokens)))) > 1e-4
    learned = grads["layers"]["attention"].get("normalizer", {})
    assert learned.keys() == row.parameters.keys()
    assert all(np.abs(leaf).max() > 1e-5 for leaf in learned.values())
