"""The trained adversary: attention moves, predictions stay, nothing else is trained."""

import jax
import numpy as np
import pytest
from tiny_classifiers import ENCODER, inputs, model

from attention.explanation import distances
from attention.explanation.adversary import Goal, jsd, train_adversary
from attention.explanation.classifier import Probe, softmax

CHOSEN = np.array([[True, True, False, False], [True, True, True, True]])
STEPS = 60


@pytest.fixture(scope="module", params=["encoder", "decoder", "token"])
def trained(request):
    changes = {"encoder": ENCODER, "decoder": {}, "token": {"head": "token"}}[request.param]
    config, params = model(**changes)
    read = 5 if request.param == "token" else None
    examples = [inputs(read, seed) for seed in range(31)]
    found = train_adversary(config, params, examples, CHOSEN, Goal(steps=STEPS), quiet=True)
    return config, params, examples, found


def measured(config, params, other, examples):
    """TVD of outputs and JSD of attention in the chosen heads, over examples."""
    base, probe = Probe(config, params), Probe(config, other)
    outputs, apart = [], []
    for given in examples[:11]:
        (before, old), (after, new) = base.attention(given), probe.attention(given)
        outputs.append(distances.tvd(softmax(before), softmax(after)))
        pair = (x["attention_weights"][CHOSEN][:, given.where] for x in (old, new))
        apart.append(distances.jsd(*pair).mean())
    return np.mean(outputs), np.mean(apart)


def test_attention_moves_away_while_predictions_stay(trained):
    config, params, examples, found = trained
    assert measured(config, params, params, examples) == (0, pytest.approx(0, abs=1e-12))
    tvd, apart = measured(config, params, found, examples)
    assert apart > 0.1 and tvd < 0.1
    assert tvd - Goal().weight * apart < -0.05  # the loss, which is 0 at the base model


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


def test_its_attention_in_the_base_model_is_its_output(trained):
    """Through the tap: the rest of both models is the same."""
    config, params, examples, found = trained
    base, probe = Probe(config, params, x64=True), Probe(config, found, x64=True)
    logits, seen = probe.attention(examples[2])
    again = base.logits(examples[2], seen["attention_weights"][:, None], np.ones((2, 4), bool))[0]
    np.testing.assert_allclose(again, logits, atol=1e-10)


def test_the_divergence_is_that_of_distances_and_has_a_gradient_at_zero():
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), 2)
    np.testing.assert_allclose(jsd(p, q), distances.jsd(p, q), rtol=1e-4)
    assert np.isfinite(jax.grad(jsd)(np.eye(3)[0], np.eye(3)[0])).all()


def test_a_killed_training_goes_on(tmp_path):
    config, params = model(**ENCODER)
    examples = [inputs(None, seed) for seed in range(3)]
    goal = Goal(steps=5)
    whole = train_adversary(config, params, examples, CHOSEN, goal, tmp_path, quiet=True)
    again = train_adversary(config, params, examples, CHOSEN, goal, tmp_path, quiet=True)
    jax.tree.map(np.testing.assert_array_equal, whole, again)
