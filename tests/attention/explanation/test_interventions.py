"""Interventions through the tap, rankings, distances; rows that are added from outside."""

import dataclasses

import numpy as np
import pytest
import scipy.spatial.distance

from attention.errors import InputError
from attention.explanation import (
    DECOMPOSITIONS,
    DISTANCES,
    INTERVENTIONS,
    KINDS,
    PROPERTIES,
    RANKINGS,
    Decision,
    Decomposition,
    Inputs,
    Intervention,
    Measure,
    Ranking,
    by_layer,
    distances,
    efficient_attention,
    measure_decision,
)
from attention.explanation.classifier import softmax

EVERYWHERE = np.ones((2, 4), bool)
BY_LAYER = [name for name in INTERVENTIONS if "advers" not in name]


@pytest.fixture(scope="module", params=["encoder", "decoder", "sigmoid"])
def decision(request, classifier, text):
    return Decision(classifier(request.param), text(), EVERYWHERE, 5)


def weights_of(decision):
    return np.stack([layer.weights for layer in decision.layers])


@pytest.mark.quick("decoder")
def test_exact_interventions_leave_the_output_and_others_move_it(decision):
    given, model, logits = decision.inputs, decision.classifier, decision.logits
    np.testing.assert_allclose(model.logits(given)[0], logits, atol=1e-12)
    for name in BY_LAYER:
        row = INTERVENTIONS[name]
        new = row.replacements(decision)
        assert new.shape == (2, row.draws, 4, *2 * given.tokens.shape)
        after = model.logits(given, new, EVERYWHERE)
        moved = np.abs(after - logits).max() / np.abs(logits).max()
        assert (moved <= 1e-10) == row.exact, (name, moved)
        away = np.abs(new[:, 0] - weights_of(decision)).max()
        assert row.signed or away > 1e-3, name


def test_a_null_shift_follows_no_rounding(decision):
    draw = np.random.default_rng(11)
    layer = dataclasses.replace(decision.layers[0])
    noise = 1e-14 * np.where(layer.seen, draw.normal(size=layer.rows.shape), 0)
    vars(layer)["efficient"] = layer.rows + noise
    still = dataclasses.replace(decision)
    vars(still)["_seen"] = (decision.logits, [layer])
    new = INTERVENTIONS["null shift"].make(still, 0)[0]
    np.testing.assert_allclose(new, layer.weights, atol=1e-15)


def test_only_the_chosen_heads_are_replaced(decision):
    given, model, logits = decision.inputs, decision.classifier, decision.logits
    new = INTERVENTIONS["uniform"].replacements(decision)
    none = model.logits(given, new, np.zeros((2, 4), bool))[0]
    np.testing.assert_allclose(none, logits, atol=1e-12)
    one = np.zeros((2, 4), bool)
    one[1, 2] = True
    assert np.abs(model.logits(given, new, one)[0] - logits).max() > 1e-6


def test_replacements_are_distributions_of_the_same_sums(decision):
    for name in BY_LAYER:
        if INTERVENTIONS[name].signed:
            continue
        for layer, new in zip(decision.layers, INTERVENTIONS[name].make(decision, 0), strict=True):
            assert new.min() >= 0, name
            np.testing.assert_allclose(new.sum(-1), layer.sums[..., 0], atol=1e-9, err_msg=name)
            assert not new[~layer.seen].any(), name


def test_a_layer_without_attention_is_passed_over(classifier, text):
    """Its numbers are those of the model, and its mask is that of its window."""
    decision = Decision(classifier("half"), text(), EVERYWHERE)
    assert [layer.layer for layer in decision.layers] == [0, 2]
    places, real = np.arange(19), decision.inputs.where
    near = (places[:, None] >= places) & (places[:, None] - places < 5)
    np.testing.assert_array_equal(decision.layers[1].where[0], near & real & real[:, None])
    new, one = INTERVENTIONS["uniform"].replacements(decision), np.zeros((2, 4), bool)
    one[1, 2] = True
    after = decision.classifier.logits(decision.inputs, new, one)[0]
    assert np.abs(after - decision.logits).max() > 1e-6


@pytest.mark.quick("encoder")
def test_gradients_and_removal_are_what_they_say(decision):
    given, model = decision.inputs, decision.classifier
    found = model.gradients(given, 1, steps=200)
    assert not found.times_input[~given.where].any()
    left = model.leave_one_out(given, 1)
    assert not left[~given.where].any()
    shorter = Inputs(np.delete(given.tokens, 4), np.delete(given.where, 4), given.types[1:], None)
    gone = softmax(model.logits(given))[0, 1] - softmax(model.logits(shorter))[0, 1]
    np.testing.assert_allclose(left[4], gone, atol=1e-12)


def test_distances_are_those_of_scipy():
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), 2)
    assert distances.jsd(p, q) == pytest.approx(scipy.spatial.distance.jensenshannon(p, q) ** 2)
    assert distances.tvd(p, q) == pytest.approx(np.abs(p - q).sum() / 2)
    assert distances.cosine(p, q) == pytest.approx(1 - scipy.spatial.distance.cosine(p, q))
    one, two = np.eye(2)
    assert distances.hellinger(one, two) == 1
    assert distances.jsd(one, two) == pytest.approx(np.log(2))
    assert distances.entropy(np.full(5, 0.2)) == pytest.approx(np.log(5))
    assert distances.kendall(np.arange(5), np.arange(5)) == pytest.approx(1)
    assert distances.kendall(np.ones(5), np.arange(5)) == 0


def test_rows_from_outside_are_measured(monkeypatch, classifier, text):
    half = by_layer(lambda layer, _: (layer.rows + layer.efficient) / 2)
    rows = [
        (INTERVENTIONS, Intervention(half, "half way", exact=True)),
        (RANKINGS, Ranking(lambda decision: decision.inputs.tokens, "token numbers")),
        (DISTANCES, Measure(lambda p, q: np.abs(p - q).max(-1), "largest difference")),
        (PROPERTIES, Measure(lambda p: p.max(-1), "largest weight")),
        (DECOMPOSITIONS, Decomposition(lambda layer: layer.rows**2, "squares", signed=True)),
        (KINDS, lambda b, target, basis, where: b),
    ]
    for table, row in rows:
        monkeypatch.setitem(table, "own", row)
    for name in [name for name in INTERVENTIONS if "advers" in name]:
        monkeypatch.delitem(INTERVENTIONS, name)
    chosen = np.zeros((2, 4), bool)
    chosen[0, 1] = True
    decision = Decision(classifier("decoder"), text(), chosen)
    record = measure_decision(decision, 0, show=True)
    own = next(row for row in record["interventions"] if row["intervention"] == "own")
    assert own["logits_moved"] < 1e-10 and own["attention_own"] > 0
    assert record["attention"].keys() == DECOMPOSITIONS.keys()
    assert record["agreement"]["raw"].keys() >= {"own", "random"}
    assert {row["ranking"] for row in record["curves"]} >= {"own", "raw"}
    (head,) = record["heads"]
    assert head["own"] > 0 and 0 < head["own_own"] < head["own_raw"] <= 1
    layer = decision.layers[0]
    np.testing.assert_array_equal(
        efficient_attention(layer.weights, layer.values, layer.where, kind="own"), layer.efficient
    )
    with pytest.raises(InputError, match="unknown kind of efficient attention 'least'"):
        efficient_attention(layer.weights, layer.values, layer.where, kind="least")
