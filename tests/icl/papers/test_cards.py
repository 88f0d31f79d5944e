"""Cards of bundled models: what they say of a run."""

import pytest

from icl.papers import card_of, cards
from icl.papers.published import TABLES


def test_a_card_of_a_sweep(run):
    model, card = card_of("tiny", run, 12, "sigma=1,3")
    assert model.task.points == 5 and card["steps"] == 12 and card["loss"] > 0
    assert [score["sigma"] for score in card["scores"]] == [1, 3]
    assert card["headline"].startswith("error over zero by sigma 1")


def test_errors_beside_the_papers(run, monkeypatch):
    theirs = TABLES[2].rows["2l2ah"].errors  # 0.0 0.0 1.6 3.2 9.3 …
    ours = [0.05, 0.06, 1.98, 3.93, *theirs[4:]]  # near: at most 21 % and 0.05 above

    def known(task, cases, by_name):
        rows = [
            {"predictor": "2l2ah", "inputs": "normal", "sigma": i + 1, "error": error}
            for i, error in enumerate(ours)
        ]
        return rows, []

    monkeypatch.setattr(cards, "evaluate", known)
    _, card = card_of("linear-2l2ah-quick-seed0", run, 12)
    assert card["near"] == [1, 3, 5, 6, 7, 8, 9, 10]
    assert card["headline"] == "error 0.05, 1.98, 128 at σ = 1, 3, 10 (paper: 0, 1.6, 128)"
    assert card["scores"][3] == {"sigma": 4, "error": 3.93, "published": 3.2}
    assert card["b_eff"] == pytest.approx(5.5, abs=0.5)  # as of the published row
