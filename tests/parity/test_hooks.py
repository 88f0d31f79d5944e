"""Recipes of docs/guides/training.md against hooks of torch: reading and replacing activations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.transformer import Transformer, load_pretrained

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LAYER, HEAD, GROUP = 1, 4, 3  # 6 query heads on 2 key/value heads


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One small model in torch and here, and two rows of tokens."""
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=29, hidden_size=18, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, head_dim=10, intermediate_size=17, max_position_embeddings=31,
        attn_implementation="eager",
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    folder = tmp_path_factory.mktemp("hooks")
    model.save_pretrained(folder)
    ours, params = load_pretrained(folder)
    clean, other = np.random.default_rng(7).integers(3, 29, (2, 1, 11))
    return model, Transformer(ours), params, clean, other


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), atol=2e-5, rtol=2e-4)


def hooked(model, tokens, patch=None):
    """Logits, and by hooks the residual stream, patterns, values and heads' outputs of a layer."""
    layer, found = model.model.layers[LAYER], {}
    hooks = [
        layer.register_forward_hook(lambda m, _, out: found.update(
            residual=out[0] if isinstance(out, tuple) else out)),
        layer.self_attn.register_forward_hook(lambda m, _, out: found.update(pattern=out[1])),
        layer.self_attn.v_proj.register_forward_hook(lambda m, _, out: found.update(values=out)),
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda m, given: (patch(given[0], found),) if patch else found.update(heads=given[0])),
    ]  # fmt: skip
    with torch.no_grad():
        found["logits"] = model(torch.tensor(tokens)).logits
    for hook in hooks:
        hook.remove()
    return found


def test_residual_stream_pattern_and_heads_are_those_of_hooks(both):
    model, ours, params, clean, _ = both
    names = ("hidden_states", "attention_weights", "values")
    logits, seen = jax.jit(lambda p, t: ours.apply({"params": p}, t, capture=names))(params, clean)
    theirs = hooked(model, clean)
    close(logits, theirs["logits"])
    close(seen["hidden_states"][LAYER], theirs["residual"])
    close(seen["attention_weights"][LAYER], theirs["pattern"])
    values = jnp.repeat(seen["values"][LAYER], GROUP, axis=1)
    heads = jnp.einsum("BNTS,BNSH->BTNH", seen["attention_weights"][LAYER], values)
    close(heads.reshape(1, 11, 60), theirs["heads"])


def test_a_patched_pattern_gives_the_logits_of_a_patching_hook(both):
    """One head sees the other text as it saw the clean one."""
    model, ours, params, clean, other = both
    capture = ("attention_weights",)
    _, seen = ours.apply({"params": params}, clean, capture=capture)
    pattern = seen["attention_weights"][LAYER][:, HEAD]

    def tap(layer, weights_BNTS, values_BKSH, mask_BTS):
        patched = weights_BNTS.at[:, HEAD].set(pattern)
        return jnp.where(layer == LAYER, patched, weights_BNTS)

    logits = jax.jit(lambda p, t: ours.apply({"params": p}, t, tap=tap))(params, other)
    theirs = hooked(model, clean)["pattern"][:, HEAD]

    def patch(heads, found):
        values = found["values"].reshape(1, 11, 2, 10)[:, :, HEAD // GROUP]
        heads = heads.clone()
        heads[:, :, HEAD * 10 : HEAD * 10 + 10] = theirs @ values
        return heads

    patched = hooked(model, other, patch)["logits"]
    close(logits, patched)
    plain = hooked(model, other)["logits"]
    assert float((patched - plain).abs().max()) > 1e-4, "the patch changes something"
