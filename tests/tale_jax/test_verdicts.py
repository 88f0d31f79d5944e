"""The summary of a run, and its verdict in words."""

import pytest

from attention.statistics import wilson_interval
from tale_jax.elimination import Candidate, Result
from tale_jax.runs.verdicts import (
    beside_chance,
    damage_rows,
    layer_list,
    p_text,
    percent,
    summarise,
    verdict,
)
from tale_jax.tasks import Example, asked_by_letter, fixed_answer_right

SETTINGS = {
    "model": "m",
    "task": "t",
    "protocol": "decode",
    "num_layers": 12,
    "epsilon": 0.08,
    "floor": "baseline",
}


def result(best=(3, 5), bsba=(3, 5), start=(), correct=(40, 44, 41)):
    picks = [Candidate(0, None, start, correct[0])]
    picks += [
        Candidate(1, 3, d, c) if d != start else picks[0]
        for d, c in zip((best, bsba), correct[1:], strict=True)
    ]
    return Result(50, picks[0], tuple(picks[1:]), picks[1], picks[2], "below floor", ())


def answers(correct, total=100):
    return [number < correct for number in range(total)]


def test_summary_has_the_promised_keys():
    test = {(): answers(80), (3, 5): answers(83)}
    summary = summarise(SETTINGS, result(), test, seconds=2.5, too_long=0)
    expected = {
        *SETTINGS,
        "examples",
        "stop_reason",
        "seconds",
        "too_long",
        "baseline",
        "best",
        "bsba",
    }
    assert set(summary) == expected
    best = summary["best"]
    assert (best["dropped"], best["correct"], best["total"], best["accuracy"]) == (
        [3, 5],
        44,
        50,
        0.88,
    )
    assert {"correct", "total", "accuracy", "low", "high", "p_value"} == set(best["test"])
    assert (best["test"]["correct"], best["test"]["total"], best["test"]["p_value"]) == (
        83,
        100,
        0.25,
    )
    assert (best["test"]["low"], best["test"]["high"]) == wilson_interval(83, 100)
    assert summary["baseline"]["test"]["p_value"] == 1.0
    assert summarise(SETTINGS, result())["best"]["test"] is None


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        (83, "McNemar p = 0.25: within noise"),
        (90, "p = 0.002: a gain beyond"),
        (20, "p < 0.001: a loss beyond"),
    ],
)
def test_verdict_weighs_the_test_figures(correct, words):
    test = {(): answers(80), (3, 5): answers(correct)}
    lines = verdict(summarise(SETTINGS, result(), test))
    assert lines[0].startswith("BEST drops layers 3, 5 (10 of 12 remain): test accuracy")
    assert f"{correct}.0 % [" in lines[0]
    assert "against 80.0 % [71.1, 86.7] of the full model" in lines[0]
    assert words in lines[0]
    assert not any("optimistic" in line for line in lines)


def test_verdict_says_that_unverified_figures_are_optimistic():
    lines = verdict(summarise(SETTINGS, result(bsba=(1, 3, 5))))
    assert "search accuracy 88.0 %" in lines[0]
    assert lines[1].startswith("BSBA drops layers 1, 3, 5 (9 of 12 remain)")
    assert "no held-out examples" in lines[2]
    assert "same 50 examples" in lines[2]
    assert "optimistic" in lines[2]


def test_verdict_without_a_gain():
    assert verdict(summarise(SETTINGS, result((), ())))[0].startswith("BEST is the full model")
    started = verdict(summarise(SETTINGS, result((2,), (2,), start=(2,))))
    assert started[0].startswith("BEST is the model it started from")
    one = verdict(summarise(SETTINGS, result((7,), ())))
    assert one[0].startswith("BEST drops layer 7 (11 of 12 remain)")
    assert one[1] == "BSBA is the full model."


def test_wording():
    assert percent({"accuracy": 0.8125, "low": 0.77, "high": 0.8512}) == "81.2 % [77.0, 85.1]"
    assert (p_text(0.2149), p_text(0.0002), p_text(1.0)) == ("p = 0.21", "p < 0.001", "p = 1")
    assert (layer_list([3, 5]), layer_list([])) == ("3, 5", "none")
    mixed = [0, "1.mlp", "2.attention", 3, "4.mlp"]
    assert layer_list(mixed) == "0, 3; attention of 2; MLP of 1, 4"


def test_a_model_at_chance_is_told_apart():
    """Of 29 answers 11 are one choice; the interval of 17 begins at 11.8, that of 13 at 8.2."""
    rows = [Example("?", ("a", "b", "c"), answer) for answer in [0] * 11 + [1] * 9 + [2] * 9]
    assert fixed_answer_right(rows) == 11 and asked_by_letter(rows)
    assert not asked_by_letter([Example("?", ("a", "no"), 0)])
    assert fixed_answer_right([*rows, Example("?", None, "a text")]) is None
    assert beside_chance(17, 29, 11, True) is None
    assert beside_chance(17, 29, None, False) is None
    line = beside_chance(13, 29, 11, True)
    assert line is not None and line.startswith("not above one fixed answer, which gets 11 of 29;")
    assert beside_chance(13, 29, 11, False) == "not above one fixed answer, which gets 11 of 29"


def test_perplexities_are_shown_as_people_write_them():
    values = {"baseline": 12.345, "best": 985_912.4, "bsba": None}
    text = {name: {"perplexity": value} for name, value in values.items()}
    rows = damage_rows({"text": {**text, "tokens": 7, "source": "demo"}, "untouched": {}})
    assert rows == [["perplexity of 7 tokens (demo)", "12.35", "985,912", "not finite"]]
