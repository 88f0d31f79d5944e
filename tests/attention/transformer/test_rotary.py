"""Rotary positions of every type: layers of several kinds, long texts, parts of a head."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.transformer import Branches, Rope, RopeScaling, Transformer, generate, unstack_layers
from attention.transformer.frequencies import ROPE_TYPES
from attention.transformer.rotary import frequencies, rotate, rotations

SHORT, LONG = (1.0, 1.1, 1.3), (1.2, 2.5, 4.0)
SCALINGS = {
    "linear": RopeScaling("linear", 3.0),
    "dynamic": RopeScaling("dynamic", 3.0, original_max_position_embeddings=7),
    "llama3": RopeScaling("llama3", 8.0, original_max_position_embeddings=29),
    "yarn": RopeScaling(
        "yarn", 4.0, original_max_position_embeddings=7, beta_fast=2.0, llama_4_scaling_beta=0.7
    ),
    "longrope": RopeScaling(
        "longrope",
        4.0,
        original_max_position_embeddings=7,
        short_factor=SHORT,
        long_factor=LONG,
    ),
}


@pytest.fixture(scope="module")
def mixed(configs):
    """A layer that turns, one that slides and turns otherwise, one without positions."""
    return dataclasses.replace(
        configs["llama"],
        partial_rotary_factor=0.6,
        rope_scaling=SCALINGS["longrope"],
        sliding_window=5,
        layer_types=("full_attention", "sliding_attention", "full_attention"),
        sliding_rope=Rope(70.0, None, 0.6),
        no_rope_layers=(1, 1, 0),
    )


def close(found, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def test_the_table_is_complete():
    assert SCALINGS.keys() == ROPE_TYPES.keys()


def test_kinds_of_layers(mixed):
    full, sliding, none = mixed.ropes
    assert (full, sliding, none) == (mixed.rope, mixed.sliding_rope, None)
    assert mixed.rope_kinds == mixed.ropes
    assert mixed.keep_layers((0, 1)).ropes == (full, sliding)
    assert mixed.keep_layers((0, 1)).no_rope_layers is None
    assert mixed.keep_layers((2,)).rope_kinds == (None,)


def test_every_way_to_run_layers_agrees(mixed, random_params, apply, tokens):
    """The kind of a layer is static in one program and data in two others."""
    params = random_params(mixed)
    where = np.ones(tokens.shape, bool)
    where[1, :5] = where[2, 6:] = False  # two rows are short, the others long
    scanned = apply(mixed, params, tokens, where)
    close(apply(mixed, unstack_layers(params), tokens, where)[where], scanned[where])
    looped = apply(mixed, params, tokens, where, keep=np.ones((3, 2), bool))
    close(looped[where], scanned[where])
    for changed in (
        {"no_rope_layers": None},
        {"sliding_rope": None},
        {"partial_rotary_factor": 1.0, "rope_scaling": None, "sliding_rope": Rope(70.0)},
    ):
        other = apply(dataclasses.replace(mixed, **changed), params, tokens, where)
        assert np.abs(other - scanned).max() > 0.01, changed


def test_a_row_is_what_it_is_alone(mixed, random_params, apply, tokens):
    """Which frequencies hold is the row's own affair: neither the batch nor padding decide."""
    params = random_params(mixed)
    where = np.ones(tokens.shape, bool)
    where[:2, :5] = False
    batch = apply(mixed, params, tokens, where)
    close(batch[0, 5:], apply(mixed, params, tokens[:1, 5:])[0])
    close(batch[3], apply(mixed, params, tokens[3:4])[0])


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_a_cache_turns_all_keys_anew_as_a_text_grows(
    configs, mixed, random_params, apply, tokens, kind, stacked
):
    """Each new token is the one of a pass over the whole text so far.

    With more layers this holds up to the length where frequencies change: what later layers have
    kept of earlier tokens was computed before.
    """
    dynamic = dataclasses.replace(configs["llama"], rope_scaling=SCALINGS["dynamic"])
    config = {"dynamic": dynamic, "longrope": mixed}[kind].keep_layers((0,))
    params = random_params(config)
    prompt, new = tokens[:2, :5], 6  # from 5 tokens to 11; 7 is where frequencies change
    form = params if stacked else unstack_layers(params)
    found = generate(config, form, prompt, max_new_tokens=new).tokens
    text = prompt
    for _ in range(new):
        padded = np.pad(text, ((0, 0), (0, 11 - text.shape[1])))
        where = np.broadcast_to(np.arange(11) < text.shape[1], padded.shape)
        logits = apply(config, params, padded, where)
        text = np.concatenate([text, logits[:, [text.shape[1] - 1]].argmax(-1)], 1)
    assert found.tolist() == text[:, 5:].tolist()


def test_texts_side_by_side(mixed, random_params, apply, tokens):
    """The longest text of a row decides for the row."""
    params = random_params(mixed)
    branches = np.array([[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2]])
    positions = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7]])
    row = tokens[:1]
    model, texts = Transformer(mixed), Branches(branches, positions)
    found = jax.jit(lambda p: model.apply({"params": p}, row, branches=texts))(params)
    close(found[0, :9], apply(mixed, params, row[:, :9])[0])
    second = np.concatenate([row[:, :6], row[:, 9:]], axis=1)
    close(found[0, 9:], apply(mixed, params, second)[0, 6:])


def test_only_the_first_part_of_a_head_turns():
    x = np.random.default_rng(3).normal(size=(1, 5, 2, 10)).astype(np.float32)
    positions, length = jnp.arange(5)[None], jnp.array([5])
    part = rotations((Rope(50.0, None, 0.6),), 10, positions, length).of(0)
    whole = rotations((Rope(50.0),), 6, positions, length).of(0)
    np.testing.assert_array_equal(rotate(x, part)[..., :6], rotate(x[..., :6], whole))
    np.testing.assert_array_equal(rotate(x, part)[..., 6:], x[..., 6:])


@pytest.mark.parametrize("kind", [None, "yarn", "longrope"])
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_pairs_turn_as_complex_numbers_do(kind, share):
    settings = SCALINGS.get(kind)
    rope, size = Rope(50.0, settings, share), int(10 * share)
    if kind == "longrope":
        factors = dict.fromkeys(("short_factor", "long_factor"), (*SHORT, 1.2, 0.8)[: size // 2])
        rope = dataclasses.replace(rope, rope_scaling=dataclasses.replace(settings, **factors))
    x = np.random.default_rng(4).normal(size=(2, 3, 2, 10)).astype(np.float32)
    positions, lengths = np.array([[0, 1, 5], [2, 3, 11]]), np.array([6, 12])
    pairs, factor = frequencies(rope, 10, lengths)
    assert factor == (
        1 if kind is None else pytest.approx(rope.rule.attention_factor(rope.rope_scaling))
    )
    turns = np.exp(1j * positions[..., None, None] * np.asarray(pairs, float)[:, None, None])
    first, second, rest = np.split(x.astype(float), [size // 2, size], axis=-1)
    turned = factor * turns * (first + 1j * second)
    expected = np.concatenate([turned.real, turned.imag, rest], axis=-1)
    found = rotate(x, rotations((None, rope), 10, positions, lengths).of(1))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (
        rotate(x.astype(np.float16), rotations((rope,), 10, positions, lengths).of(0)).dtype == "f2"
    )
    still = rotate(x, rotations((None, rope), 10, positions, lengths).of(0))
    np.testing.assert_array_equal(still, x)


def test_the_rest_of_a_head_passes_whatever_the_number_of_rows():
    x = np.random.default_rng(5).normal(size=(6, 3, 1, 10)).astype(np.float32)
    positions, lengths = np.arange(3)[None].repeat(6, 0), np.full(6, 3)
    found = rotate(x, rotations((Rope(50.0, None, 0.6),), 10, positions, lengths).of(0))
    np.testing.assert_array_equal(found[..., 6:], x[..., 6:])


def test_layers_without_positions_alone_do_not_turn():
    assert rotations((None, None), 6, jnp.arange(3)[None], jnp.array([3])) is None


def test_a_query_far_out_is_scaled():
    scaling = dataclasses.replace(SCALINGS["yarn"], llama_4_scaling_beta=0.5)
    positions = jnp.array([[0, 6, 7, 13, 14]])
    kinds = (Rope(50.0, scaling), None, Rope(50.0, SCALINGS["linear"]))
    scale = rotations(kinds, 6, positions, jnp.array([15])).query_scale
    steps = np.log1p([0, 0, 1, 1, 2])
    np.testing.assert_allclose(scale[0, 0, :, 0, 0], 1 + 0.5 * steps, rtol=1e-6)
    np.testing.assert_array_equal(scale[1:], np.ones((2, 1, 5, 1, 1)))


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_frequencies_by_length(kind):
    rope = Rope(50.0, SCALINGS[kind])
    found, _ = jax.jit(partial(frequencies, rope, 6))(jnp.array([3, 7, 8, 21]))
    plain = 50.0 ** (-np.arange(0, 6, 2) / 6)
    if kind == "longrope":
        short, long = plain / SHORT, plain / LONG
        expected = [short, short, long, long]
    else:
        grown = [50.0 * (3 * max(n, 7) / 7 - 2) ** (6 / 4) for n in (3, 7, 8, 21)]
        expected = [theta ** (-np.arange(0, 6, 2) / 6) for theta in grown]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_type": "su", "factor": 2.0}, "unknown rope_type 'su'"),
        ({"rope_type": "linear", "factor": -2.0}, "factor of rope_type 'linear' is -2.0"),
        ({"rope_type": "linear", "factor": 2.0, "beta_fast": 9.0}, "does not use beta_fast=9.0"),
        ({"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 5.0}, "must be above"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        RopeScaling(**settings)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"partial_rotary_factor": 0.5}, "even head_dim, not 10 times 0.5"),
        ({"partial_rotary_factor": 1.5}, "partial_rotary_factor is 1.5"),
        ({"rope_theta": 0.0}, "rope_theta is 0.0"),
        ({"no_rope_layers": (1, 0)}, "each of 3 layers"),
        ({"no_rope_layers": (1, 1, 1)}, "is None where all layers have positions"),
        ({"sliding_rope": Rope(5000.0)}, "is None where all layers have one rope"),
        ({"sliding_rope": Rope(50.0, None, 0.6)}, "one for all layers"),
        ({"rope_scaling": SCALINGS["longrope"]}, "have 3 and 3 numbers for 5 pairs"),
    ],
)
def test_configs_that_make_no_sense(configs, fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(configs["llama"], **fields)


def test_the_mixed_model_has_no_parameters_of_its_own(mixed, configs):
    tokens = np.zeros((1, 1), np.int32)
    shapes = [
        jax.tree.map(jnp.shape, jax.eval_shape(Transformer(c).init, jax.random.key(0), tokens))
        for c in (mixed, configs["llama"])
    ]
    assert shapes[0] == shapes[1]
