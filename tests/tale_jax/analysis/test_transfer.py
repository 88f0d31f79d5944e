"""Layers found on one task, scored on another."""

import csv

import pytest

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.commands.transfer import transfer
from tale_jax.runs import load_run


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_transfer_scores_each_task_without_the_layers_of_each(searched):
    found = transfer([searched / "a", searched / "b"], searched / "transfer", pick="bsba")["rows"]
    assert len(found) == 3 * 2
    task, test = str(searched / "b.jsonl"), str(searched / "b-test.jsonl")
    crossed = next(r for r in found if r["found_on"].endswith("a.jsonl") and r["scored_on"] == task)
    assert crossed["dropped"] == load_run(searched / "a").dropped("bsba")
    again = evaluate(str(searched / "tiny"), task, drop=crossed["dropped"], test=test)
    assert crossed["correct"] == again["test"]["correct"]
    assert len(rows(searched / "transfer" / "transfer.csv")) == 6
    few = transfer([searched / "a", searched / "b"], searched / "few", pick="bsba", limit=7)["rows"]
    assert {row["total"] for row in few} == {7}
    again = evaluate(str(searched / "tiny"), task, drop=crossed["dropped"], test=test, limit=7)
    assert few[4]["dropped"] == crossed["dropped"]
    assert few[4]["correct"] == again["test"]["correct"]
    with pytest.raises(InputError, match="--limit must be at least 1"):
        transfer([searched / "a", searched / "b"], searched / "none", limit=0)
    one = searched / "a"
    for runs, message in (([one], "at least two"), ([one, one], "of one task")):
        with pytest.raises(InputError, match=message):
            transfer(runs, searched / "other")
