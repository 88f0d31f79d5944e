"""Sets of tokens: sufficient, necessary, minimal; the need of context."""

import dataclasses

import numpy as np
import pytest

from attention.explanation import Decision, measure_context, measure_supports, report

EVERYWHERE = np.ones((2, 4), bool)


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def decision(request, classifier, text):
    return Decision(classifier(request.param), text(), EVERYWHERE, 5)


def test_a_vertex_is_sufficient_and_a_random_set_is_not(decision):
    rows = {row["set"]: row for row in measure_supports(decision)}
    assert rows["vertex"]["tvd"] < 1e-7 and not rows["vertex"]["flip"]
    assert rows["random"]["tvd"] > 1e-5  # a tiny model hardly moves
    assert 1 <= rows["vertex"]["size"] == rows["support"]["size"] <= decision.real
    for row in rows.values():
        assert row["removed_tvd"] > 0 and row["minimal"] == (row["necessary"] == 1)


def test_a_token_that_is_taken_out_is_renormalised(decision):
    """By hand: one head of the last layer alone, one of its tokens out."""
    chosen = np.zeros_like(EVERYWHERE)
    chosen[1, 2] = True
    alone = dataclasses.replace(decision, chosen_LN=chosen)
    layer, place = alone.layers[1], alone.place
    kept = np.where(layer.vertex[2, place] > 0, layer.rows[2, place], 0)
    tokens, outputs = np.flatnonzero(kept), []
    for out in [None, *tokens]:
        row = np.where(np.arange(len(kept)) == out, 0, kept)
        new = np.stack([each.weights for each in alone.layers])[:, None]
        new[1, 0, 2, place] = row / row.sum()
        logits = alone.classifier.logits(alone.inputs, new, chosen)[0]
        outputs.append(np.exp(logits - np.logaddexp.reduce(logits)))
    (found,) = [row for row in measure_supports(alone) if row["set"] == "support"]
    assert found["tvd"] == pytest.approx(np.abs(outputs[0] - alone.probabilities).sum() / 2)
    moved = [np.abs(each - outputs[0]).sum() / 2 for each in outputs[1:]]
    assert found["removed_tvd"] == pytest.approx(np.mean(moved))
    assert found["necessary"] == pytest.approx(np.mean(np.array(moved) >= 0.01))


def test_shuffled_context(decision):
    found = measure_context(decision)
    assert 0 < found["shuffled_tvd"] <= 1 and 0 <= found["shuffled_flip"] <= 1
    same = dataclasses.replace(decision.inputs, tokens=np.full_like(decision.inputs.tokens, 7))
    alike = measure_context(dataclasses.replace(decision, inputs=same))
    assert alike["shuffled_tvd"] == pytest.approx(0, abs=1e-12)  # nothing to shuffle


def test_the_rank_correlation_of_need_and_effect():
    def record(need, effect):
        rows = [{"intervention": "uniform", "tvd": effect}]
        return {
            "interventions": rows,
            "context": {"shuffled_tvd": need, "shuffled_flip": 0.0},
        }

    pairs = [(0.1, 1), (0.2, 3), (0.3, 2), (0.4, 4)]  # ranks 1 3 2 4: ρ = 1 − 6·2/(4·15)
    middle, low, high = report._context([record(*pair) for pair in pairs])["rank_correlation"]
    assert middle == pytest.approx(0.8) and low <= middle <= high
    still = report._context([record(0.1, effect) for effect in (1, 2, 3)])
    assert np.isnan(still["rank_correlation"][0])
