"""The trained adversary: attention moves, predictions stay, nothing else is trained."""

import jax
import numpy as np
import pytest

from attention.explanation import (
    Adversary,
    Classifier,
    adversarial_attention,
    distances,
    train_adversary,
)
from attention.explanation.adversary import _search, jsd
from attention.explanation.classifier import softmax

CHOSEN = np.array([[True, True, False, False], [True, True, True, True]])
STEPS = 60


@pytest.fixture(scope="module", params=["encoder", "decoder", "token"])
def trained(request, tiny_classifier, text):
    config, params = tiny_classifier(request.param)
    read = 5 if request.param == "token" else None
    texts = [text(read, seed) for seed in range(31)]
    goal = Adversary(adversary_steps=STEPS)
    return config, params, texts, train_adversary(config, params, texts, CHOSEN, goal, quiet=True)


def weights_of(layers):
    return np.stack([layer.weights for layer in layers])


def measured(config, params, other, texts):
    """TVD of outputs and JSD of attention in the chosen heads, over texts."""
    base, moved = Classifier(config, params), Classifier(config, other)
    outputs, apart = [], []
    for given in texts[:11]:
        (before, old), (after, new) = base.attention(given), moved.attention(given)
        outputs.append(distances.tvd(softmax(before), softmax(after)))
        pair = (weights_of(layers)[CHOSEN][:, given.where] for layers in (old, new))
        apart.append(distances.jsd(*pair).mean())
    return np.mean(outputs), np.mean(apart)


@pytest.mark.quick("encoder")
def test_attention_moves_away_while_predictions_stay(trained):
    config, params, texts, found = trained
    assert measured(config, params, params, texts) == (0, pytest.approx(0, abs=1e-12))
    tvd, apart = measured(config, params, found, texts)
    assert apart > 0.1 and tvd < 0.1
    assert (
        tvd - Adversary().adversary_weight * apart < -0.05
    )  # the loss, which is 0 at the base model


@pytest.mark.quick("encoder")
def test_only_queries_and_keys_of_the_chosen_heads_are_trained(trained):
    config, params, _, found = trained
    pairs = jax.tree_util.tree_leaves_with_path(found)
    layers = params["layers"]
    for path, new in pairs:
        names = [part.key if hasattr(part, "key") else part.idx for part in path]
        if names[0] != "layers":
            old = params
            for name in names:
                old = old[name]
            np.testing.assert_array_equal(new, old)
            continue
        old = layers
        for name in names[2:]:
            old = old[name]
        moved = np.asarray(new) != np.asarray(old[names[1]])
        if names[2] != "attention" or names[3] not in ("query", "key"):
            assert not moved.any(), names
            continue
        chosen = CHOSEN[names[1]]
        if names[3] == "key":
            chosen = chosen.reshape(config.key_value_heads, -1).all(-1)
        by_head = moved.any(tuple(i for i in range(moved.ndim) if i != moved.ndim - 2))
        np.testing.assert_array_equal(by_head, chosen, err_msg=str(names))


@pytest.mark.quick("encoder")
def test_its_attention_in_the_base_model_is_its_output(trained):
    """Through the tap: the rest of both models is the same."""
    config, params, texts, found = trained
    base, moved = Classifier(config, params, "float64"), Classifier(config, found, "float64")
    logits, layers = moved.attention(texts[2])
    everywhere = np.ones((2, 4), bool)
    again = base.logits(texts[2], weights_of(layers)[:, None], everywhere)[0]
    np.testing.assert_allclose(again, logits, atol=1e-10)


def test_one_for_a_decision_is_far_in_attention_and_near_in_output(classifier, text):
    given, everywhere, model = text(), np.ones((2, 4), bool), classifier("sigmoid")
    logits, layers = model.attention(given)
    found = adversarial_attention(model, given, everywhere)
    after = model.logits(given, found[:, None], everywhere)[0]
    assert distances.tvd(softmax(after), softmax(logits)) < 0.1
    sums = np.stack([layer.sums for layer in layers])[..., 0]
    np.testing.assert_allclose(found.sum(-1)[..., given.where], sums[..., given.where], atol=1e-9)
    away = np.abs(found - weights_of(layers)).sum(-1)
    assert away[..., given.where].mean() > 0.1


def test_one_program_serves_all_decisions_of_a_length(classifier, text):
    model, before = classifier("encoder"), _search._cache_size()
    for seed in range(2):
        adversarial_attention(model, text(None, seed), np.ones((2, 4), bool), steps=2)
    assert _search._cache_size() <= before + 1


def test_the_divergence_is_that_of_distances_and_has_a_gradient_at_zero():
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), 2)
    np.testing.assert_allclose(jsd(p, q), distances.jsd(p, q), rtol=1e-4)
    assert np.isfinite(jax.grad(jsd)(np.eye(3)[0], np.eye(3)[0])).all()


def test_a_killed_training_goes_on(tmp_path, tiny_classifier, text):
    texts = [text(None, seed) for seed in range(3)]
    arguments = *tiny_classifier("encoder"), texts, CHOSEN, Adversary(adversary_steps=5)
    whole = train_adversary(*arguments, directory=tmp_path, quiet=True)
    again = train_adversary(*arguments, directory=tmp_path, quiet=True)
    jax.tree.map(np.testing.assert_array_equal, whole, again)
