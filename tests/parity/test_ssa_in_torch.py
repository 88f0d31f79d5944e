"""A checkpoint with SSA gives the same logits and the same gradient of n in torch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.errors import InputError
from attention.language.pretraining import OBJECTIVES, RECIPES, Pretraining, initial
from attention.language.pretraining.consequences import config_of
from attention.transformer import Transformer, load_in_torch, save_pretrained

torch = pytest.importorskip("torch")
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6,
         "intermediate_size": 29}  # fmt: skip
CASES = {
    "ssa-114m": ("ssa:as=raw,per=head", {"num_key_value_heads": 2}),
    "mini-decoder": ("ssa:learn=n+b,per=model", {}),
    "gpt2-small": ("ssa:n=2,learn=none", {}),
    "mini-encoder": ("ssa", {}),
}


@pytest.mark.quick("mini-decoder")
@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients(name, tmp_path):
    normalizer, fields = CASES[name]
    recipe = RECIPES[name]
    model = {**recipe.model, **SMALL, **fields, "initializer_range": 0.5, "initializer": "normal"}
    recipe = dataclasses.replace(recipe, model=model, length=32)
    objective = OBJECTIVES[recipe.objective]
    config = config_of(Pretraining(normalizer=normalizer), recipe, objective, 37, "float32")
    params = initial(config, 0)
    save_pretrained(tmp_path / "model", config, params)
    theirs = load_in_torch(tmp_path / "model")
    tokens = np.random.default_rng(0).integers(5, 37, (3, 11))
    where = np.ones((3, 11), bool)
    where[1, 7:] = False

    @jax.jit
    def ours(params):
        logits = Transformer(config).apply({"params": params}, jnp.asarray(tokens), where=where)
        return jnp.sum(jnp.sin(logits[0])), logits

    gradient, logits = jax.grad(ours, has_aux=True)(params)
    found = theirs(torch.tensor(tokens), attention_mask=torch.tensor(where).long()).logits
    expected = np.asarray(logits)
    scale = np.abs(expected).max()
    assert np.abs(found.detach().numpy() - expected)[where].max() < 1e-4 * scale
    torch.sum(torch.sin(found[0])).backward()
    own = {n: p.grad.numpy() for n, p in theirs.named_parameters() if "normalizer" in n}
    if "learn=none" in normalizer:
        assert not own
        return
    layers = [params["normalizer"]] if "per=model" in normalizer else None
    mine = gradient["normalizer"]["n"] if layers else gradient["layers"][0]["attention"][
        "normalizer"]["n"]  # fmt: skip
    first = next(value for name, value in own.items() if name.endswith(".n"))
    np.testing.assert_allclose(first, mine, rtol=2e-3, atol=1e-4)
    assert np.abs(first).max() > 0


def test_another_normalizer_is_refused(tmp_path):
    recipe = dataclasses.replace(RECIPES["mini-decoder"], length=8)
    config = config_of(Pretraining(normalizer="ssmax"), recipe, OBJECTIVES["causal"], 31, "float32")
    save_pretrained(tmp_path / "model", config, initial(config, 0))
    with pytest.raises(InputError, match="the normalizer is ssmax, not ssa"):
        load_in_torch(tmp_path / "model")
