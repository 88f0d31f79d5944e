"""Three ways of dropping a layer are one."""

import dataclasses

import jax
import numpy as np
import pytest

from attention.transformer import Transformer, keep_layers, stack_layers, unstack_layers
from attention.transformer.depth import run_layers

KEPT, DEPTH = (0, 2), 3
MASK = tuple(i in KEPT for i in range(DEPTH))
KEEP = np.repeat(np.array(MASK)[:, None], 2, 1)


def close(found, expected):
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def poisoned(params):
    """NaN in every parameter of the dropped layers."""

    def poison(leaf):
        leaf = np.array(leaf)
        leaf[~np.array(MASK)] = np.nan
        return leaf

    return {**params, "layers": jax.tree.map(poison, params["layers"])}


@pytest.mark.quick("gemma2", "qwen3_moe", "bert")
def test_the_forms_agree(tiny, apply, tokens):
    config, params = tiny.config, poisoned(tiny.params)
    unstacked = unstack_layers(params)
    where = np.ones(tokens.shape, bool)
    where[0, :4] = where[1, 8:] = False
    expected = np.asarray(apply(config.keep_layers(KEPT), keep_layers(params, KEPT), tokens, where))
    assert np.isfinite(expected).all()
    forms = {
        "kept, unstacked": (config.keep_layers(KEPT), keep_layers(unstacked, KEPT), {}),
        "static, stacked": (config, params, {"layer_mask": MASK}),
        "static, unstacked": (config, unstacked, {"layer_mask": MASK}),
        "dynamic": (config, params, {"keep": KEEP}),
    }
    for form, (of, held, how) in forms.items():
        logits = np.asarray(apply(of, held, tokens, where, **how))
        assert np.isfinite(logits).all(), form
        close(logits, expected)
    whole = np.asarray(apply(config, tiny.params, tokens, where))
    assert np.abs(whole - expected).max() > 1e-3 * np.abs(expected).max(), "nothing was dropped"


def test_all_layers_kept_is_the_model(tiny_models, apply, tokens):
    _, config, params = tiny_models("qwen2-mixed")
    whole = apply(config, params, tokens)
    close(apply(config, params, tokens, keep=np.ones((DEPTH, 2), bool)), whole)
    close(apply(config, params, tokens, layer_mask=(True,) * DEPTH), whole)


@pytest.mark.quick("bert-1")
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_half_a_layer_can_be_dropped(tiny_models, apply, tokens, name, half):
    """Pre-norm: a silent half adds nothing; post-norm: its norm goes with it."""
    _, config, params = tiny_models(name)
    keep = np.ones((DEPTH, 2), bool)
    keep[1, half] = False
    found = apply(config, params, tokens, keep=keep)
    model = Transformer(config)

    @jax.jit
    def by_hand(params):
        hidden, context = model.apply({"params": params}, tokens, method="embed_inputs")
        for i, layer in enumerate(unstack_layers(params)["layers"]):
            parts = {"attention": half != 0 or i != 1, "mlp": half != 1 or i != 1}
            one = dataclasses.replace(config, num_hidden_layers=1, layer_types=None, **parts)
            hidden = run_layers(one, (layer,), hidden, context)[0]
        return model.apply({"params": params}, hidden, method="read_out")

    close(found, by_hand(params))


def test_one_compilation_serves_every_keep(tiny_models, tokens):
    _, config, params = tiny_models("mistral")
    traces = 0

    @jax.jit
    def logits(params, keep):
        nonlocal traces
        traces += 1
        return Transformer(config).apply({"params": params}, tokens, keep=keep)

    seen = set()
    for bits in range(2 ** (2 * DEPTH)):
        keep = np.array([bits >> i & 1 for i in range(2 * DEPTH)], bool).reshape(DEPTH, 2)
        seen.add(np.asarray(logits(params, keep)).tobytes())
    assert traces == 1
    assert logits._cache_size() == 1
    assert len(seen) == 2 ** (2 * DEPTH)  # each drops something else


@pytest.mark.quick("1")
@pytest.mark.parametrize("start", [0, 1, 3])
def test_a_search_can_start_above_a_shared_prefix(tiny_models, tokens, start):
    _, config, params = tiny_models("qwen2-mixed")
    keep = np.array([[True, False], [False, True], [True, True]])

    @jax.jit
    def two_runs(params):
        hidden, context = Transformer(config).apply(
            {"params": params}, tokens, method="embed_inputs"
        )
        below = keep & (np.arange(DEPTH) < start)[:, None]
        prefix = run_layers(config, params["layers"], hidden, context, keep=below)[0]
        whole = run_layers(config, params["layers"], hidden, context, keep=keep)[0]
        rest = run_layers(
            config,
            params["layers"],
            prefix,
            context,
            keep=keep,
            start=start,
        )[0]
        return whole, rest

    whole, rest = two_runs(params)
    close(rest, whole)


def test_stacking_and_unstacking_are_inverse(tiny_models):
    params = tiny_models("gpt2").params
    unstacked = unstack_layers(params)
    assert isinstance(unstacked["layers"], tuple)
    assert len(unstacked["layers"]) == DEPTH
    for again in (stack_layers(unstacked), stack_layers(params)):
        jax.tree.map(np.testing.assert_array_equal, again, params)
    assert unstack_layers(unstacked)["layers"] == unstacked["layers"]


def test_keeping_layers_keeps_their_windows(configs):
    config = configs["qwen2-mixed"]
    assert config.windows == (None, 3, 3)
    shallow = config.keep_layers((0, 2))
    assert (shallow.num_hidden_layers, shallow.windows) == (2, (None, 3))
    assert configs["mistral"].keep_layers((1,)).windows == (5,)


@pytest.mark.parametrize("kept", [(), (2, 0), (0, 0), (3,), (-1, 0)])
def test_layers_that_cannot_be_kept_raise(tiny_models, kept):
    params = tiny_models("llama").params
    for form in (params, unstack_layers(params)):
        with pytest.raises(ValueError, match=r"within 0\.\.2"):
            keep_layers(form, kept)


def test_what_is_captured_is_whole_wherever_states_are_read(tiny_models, apply, tokens):
    """Also by an implementation that never holds the weights."""
    _, config, params = tiny_models("llama")
    names = ("hidden_states", "attention_weights", "values")
    _, whole = apply(config, params, tokens, capture=names)
    assert whole["hidden_states"].shape[:3] == (DEPTH, *tokens.shape)
    chunked = dataclasses.replace(config, attention_implementation="chunked")
    for of in (config, chunked):
        for held in (params, unstack_layers(params)):
            how = {"capture": names, "read_at": np.tile([4, 5], (len(tokens), 1))}
            _, found = apply(of, held, tokens, **how)
            for name in names:
                close(found[name], whole[name])


@pytest.mark.parametrize(
    "how", [{"capture": ("hidden_states",)}, {"tap": lambda i, w, v, m: w}, {"layer_mask": MASK}]
)
def test_keep_goes_with_nothing_static(tiny_models, tokens, how):
    _, config, params = tiny_models("llama")
    with pytest.raises(ValueError, match="need the static form"):
        Transformer(config).apply({"params": params}, tokens, keep=KEEP, **how)


@pytest.mark.parametrize(
    "own", [{"no_rope_layers": (1, 0, 1), "head_dim": 10}, {"first_norm": False}]
)
def test_a_layer_that_is_not_like_the_others_is_so_in_every_form(
    own, tiny_config, init_params, apply, tokens
):
    config = tiny_config(num_hidden_layers=3, **own)
    params = init_params(config, 6)
    scanned = apply(config, params, tokens)
    close(apply(config, unstack_layers(params), tokens), scanned)
    close(apply(config, params, tokens, keep=np.ones((3, 2), bool)), scanned)
    alike = dataclasses.replace(config, no_rope_layers=None, first_norm=True)
    assert np.abs(apply(alike, params, tokens) - scanned).max() > 1e-3
