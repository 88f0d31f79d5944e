"""Criteria at equal depth, side by side."""

import pytest

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.commands.compare import compare


def test_criteria_at_equal_depth(searched):
    given = {"test": str(searched / "a-test.jsonl"), "draws": 2, "depth": 2}
    names = ["accuracy", "cosine", "random", "last"]
    model, task = str(searched / "tiny"), str(searched / "a.jsonl")
    found = compare(model, task, searched / "criteria", criteria=names, **given)["rows"]
    assert len(found) == 5 * 3
    last = [row for row in found if row["criterion"] == "last"]
    assert [row["dropped"] for row in last] == [(), (4,), (3, 4)]
    again = evaluate(model, task, drop=[3, 4], test=given["test"])
    assert last[2]["correct"] == again["test"]["correct"]
    before = (searched / "criteria" / "comparison.csv").read_bytes()
    compare(model, task, searched / "criteria", criteria=names, resume=True, **given)
    assert (searched / "criteria" / "comparison.csv").read_bytes() == before
    assert (searched / "criteria" / "comparison.svg").stat().st_size > 1000
    with pytest.raises(InputError, match="depth must be"):
        compare(model, task, searched / "deep", depth=5)
    with pytest.raises(InputError, match="unknown criterion 'luck'"):
        compare(model, task, searched / "deep", criteria=["luck"])
