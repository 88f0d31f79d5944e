"""Choosing from what a search recorded: the Pareto front, and the models that meet a limit."""

import pytest

from attention.errors import InputError
from tale_jax import evaluate, search
from tale_jax.analysis import fast_enough, pareto_front
from tale_jax.commands.pick import pick
from tale_jax.runs import load_run


def test_the_front_has_no_dominated_model(searched):
    run = load_run(searched / "a")
    front = pareto_front(run)
    depths = [len(point["dropped"]) for point in front]
    assert depths == sorted(set(depths))
    counts = [point["correct"] for point in front]
    assert counts == sorted(set(counts), reverse=True)
    best_at = {}
    for candidate in run.candidates:
        if not candidate["bound"]:
            depth = candidate["iteration"]
            best_at[depth] = max(best_at.get(depth, 0), candidate["correct"])
    for point in front[1:]:
        assert point["correct"] == best_at[len(point["dropped"])]


@pytest.mark.quick("beam:2")
@pytest.mark.parametrize("strategy", ["beam:2", "floating"])
def test_the_front_of_other_strategies(searched, tmp_path, strategy):
    """Counts are those that evaluation gives, whichever model a candidate was made from."""
    model, task = searched / "tiny", searched / "a.jsonl"
    given = {"epsilon": 0.3, "max_drops": 3, "batch_tokens": 64}  # many batches: many bounds
    search(model, task, tmp_path / "run", strategy=strategy, **given)
    run = load_run(tmp_path / "run")
    assert any(candidate["bound"] for candidate in run.candidates)
    front = pareto_front(run)
    exact = {tuple(c["dropped"]): c["correct"] for c in run.candidates if not c["bound"]}
    for point in front:
        assert point["correct"] == exact.get(tuple(point["dropped"]), point["correct"])
        assert evaluate(model, task, drop=point["dropped"])["search"]["correct"] == point["correct"]
        dominating = [c for d, c in exact.items() if len(d) >= len(point["dropped"])]
        assert max(dominating, default=0) <= point["correct"]
    chosen = pick(tmp_path / "run", budget_layers=3)["dropped"]
    assert chosen == next(p["dropped"] for p in front if len(p["dropped"]) >= 2)


def test_picking_by_depth_and_accuracy(searched, tmp_path):
    front = pareto_front(load_run(searched / "a"))
    chosen = pick(searched / "a", tmp_path / "list", budget_layers=3, format="list")
    assert chosen["dropped"] == next(p["dropped"] for p in front if len(p["dropped"]) >= 2)
    dropped = [int(x) for x in (tmp_path / "list").read_text().split(",")]
    assert dropped == chosen["dropped"]
    again = evaluate(
        searched / "tiny",
        searched / "a.jsonl",
        drop=dropped,
        test=searched / "a-test.jsonl",
    )
    assert again["test"]["correct"] == chosen["test"]["correct"]
    assert again["search"]["correct"] == chosen["correct"]
    assert pick(searched / "a", min_accuracy=0.01)["dropped"] == front[-1]["dropped"]
    for limits, message in (
        ({}, "exactly one"),
        ({"min_accuracy": 0.5, "budget_layers": 2}, "exactly one"),
        ({"min_accuracy": 1.1}, "must be at least 0 and at most 1"),
        ({"min_accuracy": 1.0}, "no recorded model reaches"),
        ({"budget_layers": 0}, "must be at least 0.5"),
        ({"budget_layers": 0.5}, "no recorded model has"),
    ):
        with pytest.raises(InputError, match=message):
            pick(searched / "a", **limits)


def test_the_first_model_fast_enough_is_found():
    front = [{"dropped": list(range(n))} for n in range(6)]
    chosen = fast_enough(front, 0.7, lambda point: 1 - 0.1 * len(point["dropped"]) - 1e-9)
    assert chosen["dropped"] == [0, 1, 2]
    with pytest.raises(InputError, match=r"takes 0\.90"):
        fast_enough(front, 0.5, lambda point: 0.9)
