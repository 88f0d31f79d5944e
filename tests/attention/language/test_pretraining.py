"""Masks, objectives, recipes and optimizers of pretraining."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.errors import InputError
from attention.language.corpora import Rows
from attention.language.pretraining import (
    OBJECTIVES,
    OPTIMIZERS,
    RECIPES,
    Changes,
    Pretraining,
    batch_loss,
    computed,
    initial,
    loss_of,
    make_optimizer,
)
from attention.language.pretraining.consequences import checked_recipe, config_of
from attention.language.pretraining.masking import Corruption, corrupt, places_of
from attention.language.pretraining.objectives import Question, rate_at, stack_seeds
from attention.language.pretraining.optimizers import decaying, each_seed
from attention.transformer import Dropout, Transformer, parameter_counts, stack_layers

ORDINARY = np.arange(5, 101)
CORRUPTION = Corruption(0.15, 0.1, 0.2, 4, ORDINARY)


def rows_of(batch: int, length: int, vocabulary: int = 101) -> Rows:
    draw = np.random.default_rng(0)
    tokens = draw.integers(5, vocabulary, (batch, length + 1)).astype(np.int32)
    segments = np.cumsum(draw.random(tokens.shape) < 0.1, axis=1).astype(np.int32)
    segments -= segments[:, :1]
    tokens[:, 1:][np.diff(segments, axis=1) > 0] = 0  # each text begins with <s>
    return Rows(tokens, segments)


def test_masking_statistics():
    tokens = rows_of(401, 97).tokens
    tokens[:, 0] = 0
    asked = corrupt(tokens, np.ones(tokens.shape, bool), CORRUPTION, (3, 1))
    assert asked.places.shape == (401, places_of(98, 0.15)) == (401, 15)
    ordinary = (tokens > 4).sum(1)
    assert np.array_equal(asked.weights.sum(1), np.maximum(1, np.round(0.15 * ordinary)))
    own = asked.weights > 0
    assert all(len(set(p[w])) == w.sum() for p, w in zip(asked.places, own, strict=True))
    assert np.array_equal(np.take_along_axis(tokens, asked.places, 1)[own], asked.targets[own])
    assert (asked.targets[own] > 4).all()  # special tokens are never asked
    now = np.take_along_axis(asked.tokens, asked.places, 1)[own]
    kept, masked = now == asked.targets[own], now == 4
    swapped = ~kept & ~masked
    for found, share in ((kept, 0.1), (masked, 0.7), (swapped, 0.2)):
        assert abs(found.mean() - share) < 4 * math.sqrt(share * (1 - share) / own.sum()) + 0.003
    elsewhere = np.ones(tokens.shape, bool)
    rows, columns = np.nonzero(own)
    elsewhere[rows, asked.places[rows, columns]] = False
    assert np.array_equal(asked.tokens[elsewhere], tokens[elsewhere])
    hits = np.bincount(asked.places[own], minlength=98)[1:]
    assert hits.std() < 2 * math.sqrt(hits.mean())  # all places alike


def test_masks_are_a_pure_function_of_the_seed():
    tokens, real = rows_of(7, 31).tokens, np.ones((7, 32), bool)
    one, same = (corrupt(tokens, real, CORRUPTION, (5, 2)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    other = corrupt(tokens, real, CORRUPTION, (5, 3))
    assert not np.array_equal(one.places, other.places)
    padded = real.copy()
    padded[:, 11:] = False
    asked = corrupt(tokens, padded, CORRUPTION, (5, 2))
    assert (asked.places[asked.weights > 0] < 11).all() and (asked.weights.sum(1) <= 2).all()
    with pytest.raises(InputError, match="at most all"):
        Corruption(0.1, 0.7, 0.5, 4, ORDINARY)
    assert [rate_at(t, 11, 0.3, 0.15) for t in (0, 10, 20)] == [0.3, 0.15, 0.15]


def question(**changes) -> Question:
    usual = Question(CORRUPTION, 0.15, 0.25, False, True)
    return dataclasses.replace(usual, **changes)


def test_causal_parts_predict_the_next_token_of_the_same_text():
    rows = rows_of(5, 29)
    part = OBJECTIVES["causal"].make(rows, question(), (0,))["causal"]
    assert np.array_equal(part["targets"], rows.tokens[:, 1:])
    same = rows.segments[:, 1:] == rows.segments[:, :-1]
    assert np.array_equal(part["weights"] > 0, same) and not same.all()
    assert (part["targets"][same] != 0).all()  # <s> is never predicted


@pytest.mark.quick("mini-encoder")
@pytest.mark.parametrize("name", ["mini-encoder", "small-budget"])
def test_reading_the_masked_places_alone_equals_reading_all(name):
    recipe = RECIPES[name]
    rows, shifted = rows_of(4, 23), recipe.objective == "hybrid"
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 19}  # fmt: skip
    if shifted:
        small |= {"num_key_value_heads": 2, "head_dim": 8}
    recipe = dataclasses.replace(recipe, model={**recipe.model, **small}, length=23)
    objective = OBJECTIVES[recipe.objective]
    config = config_of(Pretraining(name), recipe, objective, 101, "float32")
    params = initial(config, 0)
    batch = objective.make(rows, question(shifted=shifted), (1,))

    def whole(params):
        total = 0.0
        for kind, part in batch.items():
            own = dataclasses.replace(config, causal=kind == "causal")
            logits = Transformer(own).apply(
                {"params": params}, part["tokens"], segment_ids=part["segments"]
            )
            places = part.get("places", np.arange(23)[None].repeat(len(logits), 0))
            log_probs = jax.nn.log_softmax(jnp.take_along_axis(logits, places[..., None], 1))
            own_BP = jnp.take_along_axis(log_probs, part["targets"][..., None], 2)[..., 0]
            total -= jnp.sum(own_BP * part["weights"])
        return total

    found = jax.jit(jax.value_and_grad(lambda p: batch_loss(config, p, batch, 0.0)[0]))(params)
    expected = jax.jit(jax.value_and_grad(whole))(params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-4), found, expected
    )


def test_dropout_is_of_training_alone_and_drawn_anew_from_each_key():
    ones = Dropout(jax.random.key(3), 0.25).applied(jnp.ones(4001))
    assert set(np.asarray(ones)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float(ones.mean()) - 1) < 0.05
    recipe = dataclasses.replace(RECIPES["mini-encoder"], length=13)
    small = {"hidden_size": 14, "num_hidden_layers": 2, "num_attention_heads": 2}
    recipe = dataclasses.replace(recipe, model={**recipe.model, **small, "intermediate_size": 19})
    objective = OBJECTIVES["masked"]
    config = config_of(Pretraining("mini-encoder"), recipe, objective, 101, "float32")
    params, batch = initial(config, 0), objective.make(rows_of(3, 13), question(), (1,))

    @jax.jit
    def dropped(key, rate):
        return batch_loss(config, params, batch, 0.0, Dropout(key, rate))[2]

    keys = jax.random.split(jax.random.key(5), 2)
    plain = float(jax.jit(lambda: batch_loss(config, params, batch, 0.0))()[2])
    assert float(dropped(keys[0], 0.0)) == pytest.approx(plain, rel=1e-6)
    first, second = (float(dropped(key, 0.5)) for key in keys)
    assert len({first, second, plain}) == 3
    trained = jax.jit(loss_of(config, 0.0, range(1), 0.5))
    assert float(trained(params, batch, keys[0])[0]) == pytest.approx(first, rel=1e-6)
    assert float(dropped(keys[0], 0.5)) == first
    with pytest.raises(ValueError, match="unstacked"):
        batch_loss(config, stack_layers(params), batch, 0.0, Dropout(keys[0], 0.5))


def test_hybrid_rows_are_both_and_predict_one_place_earlier():
    rows = rows_of(8, 29)
    batch = OBJECTIVES["hybrid"].make(rows, question(shifted=True), (0,))
    assert len(batch["causal"]["tokens"]) == 2 and len(batch["masked"]["tokens"]) == 6
    part = batch["masked"]
    own = part["weights"] > 0
    after = np.take_along_axis(rows.tokens[2:, :-1], part["places"] + 1, 1)
    assert np.array_equal(after[own], part["targets"][own])
    begins = np.diff(rows.segments[2:, :-1], axis=1) > 0
    rows_of_places, places = np.nonzero(own)[0], part["places"][own]
    assert not begins[rows_of_places, places].any()  # never from another text
    total = part["weights"].sum(1)
    assert np.allclose(total, np.round(0.15 * 29) / 0.15, rtol=0.3)  # about as a causal row


def test_seeds_stand_side_by_side():
    narrow, wide = rows_of(3, 11), rows_of(3, 17)
    make = OBJECTIVES["causal"].make
    both = stack_seeds([make(narrow, question(), (0,)), make(wide, question(), (0,))])["causal"]
    assert both["tokens"].shape == (3, 2, 17)
    assert not both["weights"][:, 0, 11:].any() and (both["segments"][:, 0, 11:] == -1).all()


def test_recipes_are_complete_and_count_as_published(tmp_path):
    counts = {"gpt2-small": 124_439_808, "ssa-114m": 114_132_480, "babyberta": 8_523_776}
    for name, recipe in RECIPES.items():
        objective = OBJECTIVES[recipe.objective]
        config = config_of(Pretraining(name), recipe, objective, recipe.vocabulary, "float32")
        if name in counts:
            assert sum(parameter_counts(config).values()) == counts[name], name
        assert recipe.source and config.causal == objective.causal
        make_optimizer(recipe.optimizer, lambda t: 0.1, weight_decay=0.1, clip=recipe.clip)
    ssa = dataclasses.replace(config_of(Pretraining("ssa-114m"), RECIPES["ssa-114m"],
        OBJECTIVES["causal"], 50_256, "float32"), normalizer="ssa")  # fmt: skip
    assert sum(parameter_counts(ssa).values()) == counts["ssa-114m"] + 12  # one n a layer
    assert computed(ssa, "xla", "dots").remat == "dots" and computed(ssa, "auto").remat == "none"
    assert RECIPES["babyberta"].mask_keep == 0 and RECIPES["babyberta-hf"].mask_keep == 0.1


def test_seeds_are_paired_over_normalizers():
    recipe = dataclasses.replace(RECIPES["mini-decoder"], length=16)
    each = [
        initial(config_of(Pretraining(normalizer=name), recipe, OBJECTIVES["causal"], 31,
                          "float32"), 3)
        for name in ("softmax", "ssa")
    ]  # fmt: skip
    for layer in each[1]["layers"]:
        assert layer["attention"].pop("normalizer")
    jax.tree.map(np.testing.assert_array_equal, *each)


@pytest.mark.quick("muon")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_makes_a_step(name):
    params = {
        "layers": ({"mlp": {"kernel": jnp.ones((3, 5))}, "out": {"kernel": jnp.ones((2, 3, 4))},
                    "norm": {"scale": jnp.ones(3)}},),
        "embed": {"embedding": jnp.ones((7, 3))},
    }  # fmt: skip
    optimizer = make_optimizer(name, lambda t: 0.1, clip=1.0)
    state = jax.jit(optimizer.init)(params)
    updates, _ = jax.jit(optimizer.update)(params, state, params)  # gradients of ones
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(updates))
    assert optax.tree.norm(updates) > 0 or name == "adopt"  # its first step only looks


def test_each_seed_has_its_own_norm_and_moments():
    one = make_optimizer("adamw:b2=0.9", lambda t: 0.1, clip=1.0, weight_decay=0.1, logged=False)
    params = {"w": {"kernel": jnp.stack([jnp.ones((2, 3)), 2 * jnp.ones((2, 3))])}}
    grads = {"w": {"kernel": jnp.stack([jnp.ones((2, 3)), 1e-3 * jnp.ones((2, 3))])}}
    several = each_seed(one)
    updates, _ = several.update(grads, several.init(params), params)
    for seed in range(2):
        own, given = (jax.tree.map(lambda x, i=seed: x[i], tree) for tree in (params, grads))
        expected, _ = one.update(given, one.init(own), own)
        np.testing.assert_allclose(updates["w"]["kernel"][seed], expected["w"]["kernel"], rtol=1e-6)


def test_what_decays():
    params = {"norm": {"scale": 0, "bias": 0}, "q": {"kernel": 0, "normalizer": {"n": 0}}}
    assert decaying(params, "matrices") == {
        "norm": {"scale": False, "bias": False}, "q": {"kernel": True, "normalizer": {"n": False}}
    }  # fmt: skip
    assert decaying(params, "scales")["norm"] == {"scale": True, "bias": False}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RECIPES.pick("mini"), "unknown recipe 'mini'"),
        (lambda: checked_recipe(Pretraining(), Changes(objective="masked")),
         "the objective masked is not for a causal model, which mini-decoder is"),
        (lambda: checked_recipe(Pretraining("mini-encoder"), Changes(objective="causal")),
         "not for an encoder"),
        (lambda: make_optimizer("adamm", lambda t: 0.1), "unknown optimizer 'adamm'"),
        (lambda: make_optimizer("adam:beta=1", lambda t: 0.1), "no parameter 'beta'"),
        (lambda: make_optimizer("sgd", lambda t: 0.1, weight_decay=0.1), "no weight decay"),
    ],
)  # fmt: skip
def test_faults_end_in_one_line(make, message):
    with pytest.raises(InputError, match=message):
        make()
