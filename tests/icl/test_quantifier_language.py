"""Quantifiers as text: rows, worked examples, answers, and the questions that are asked."""

import json

import numpy as np
import pytest
from local_server import server

from icl.cli import main
from icl.language import quantifiers
from icl.tasks.quantifiers import Quantifiers, truth


def right(body):
    """The reply of a server that reads the last list of a prompt and answers it exactly."""
    text = body["messages"][0]["content"]
    row = text.rsplit("List: [", 1)[1].partition("]")[0].split(", ")
    numbers = [float(word) for word in row if word not in ("True", "False")]
    every = "every" in text
    holds = all(x > 0 for x in numbers) if every else any(x > 0 for x in numbers)
    content = f" {holds}.\nList: [True"
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_text():
    row = [0.5, -1.234, 0.001, -0.001], [1, -1, -1, -1]
    assert quantifiers.write(*row) == "[0.50, True, -1.23, False, 0.01, False, -0.01]"
    assert quantifiers.write(*row, labels=False, decimals=1) == "[0.5, -1.2, 0.1, -0.1]"
    text = quantifiers.prompt(Quantifiers("some"), *row, examples=2)
    assert text.count("Answer:") == 3 and text.endswith("False, -0.01]\nAnswer:")
    assert "some" not in text  # labels tell which quantifier is meant
    text = quantifiers.prompt(Quantifiers("some", labels=False), *row, examples=2)
    assert "Is some number" in text and text.count("True") == 2  # the question, one example


@pytest.mark.parametrize("kind", ["every", "some", "mix"])
def test_worked_examples_are_right(kind):
    for seed in range(7):
        text = quantifiers.prompt(Quantifiers(kind), [1.0], [1.0], examples=8, seed=seed)
        parts = text.split("List: [")[1:-1]
        assert len(parts) == 8
        for i, part in enumerate(parts):
            row, _, answer = part.partition("]\nAnswer: ")
            words = row.split(", ")
            x = np.array([float(word) for word in words[::2]])
            labels = np.array([word == "True" for word in [*words[1::2], answer.strip()]])
            every = kind == "every" or (kind == "mix" and i % 4 < 2)
            expected = np.asarray(truth(x[None], np.full((1, 1), every)))[0] > 0
            assert np.array_equal(labels, expected)
            assert labels[-1] == ((i % 2 == 0) == every)  # both answers, in turn


@pytest.mark.parametrize(
    ("text", "number"),
    [(" True", 1), ("false.", -1), ("**TRUE**, not false", 1), ("untrue", None), ("1", None)],
)
def test_answers(text, number):
    found = quantifiers.parse(text)
    assert np.isnan(found) if number is None else found == number


@pytest.mark.parametrize("kind", ["every", "mix"])
def test_questions(kind):
    """One position each, on both sides of a late flip; at a deviant, and after it."""
    task = Quantifiers(kind, points=41)
    asked = quantifiers.questions(task, {"design": "late"}, 100, 0)
    place = asked.where_BT.argmax(axis=1)
    assert asked.where_BT.sum() == 100 and (place >= 3).all() and (place == 40).sum() == 50
    flip = (asked.y_BT != asked.y_BT[:, :1]).argmax(axis=1)
    assert (place >= flip).sum() > 45 < (place < flip).sum() + 10
    asked = quantifiers.questions(task, {"design": "late", "deviant": "7:900"}, 10, 0)
    assert set(asked.where_BT.argmax(axis=1)) == {7, 40}
    if kind == "mix":
        every = np.asarray(truth(asked.x_BTD[:, :, 0], np.ones((10, 1), bool)))
        assert np.array_equal((asked.y_BT == every).all(axis=1)[::2], np.ones(5, bool))


def test_failures_are_counted_and_wrong():
    task, setting = Quantifiers("every", points=11), {"design": "balanced"}
    asked = quantifiers.questions(task, setting, 40, 0)
    truths = asked.y_BT[asked.where_BT]
    said = iter([str(y > 0) if i % 4 else "?" for i, y in enumerate(truths)])
    found = quantifiers.ask(task, asked, lambda texts: [next(said) for _ in texts], setting)
    assert found.failures == 10 and found.numbers["accuracy"] == pytest.approx(0.75)
    assert found.numbers["constant_balanced_accuracy"] == 0.5
    other = quantifiers.compare(asked, lambda x, y: y, setting)
    assert other.failures == 0 and other.numbers["accuracy"] == 1


@pytest.mark.parametrize("words", [["--functions", "every"], ["--functions", "some"],
                                   ["--functions", "every", "--no-labels"]])  # fmt: skip
def test_the_command(words, tmp_path, capsys):
    out = tmp_path / "out"
    with server(reply=right) as (found, url):
        more = ["--predictors", "exact,true,current", "--count", "16", "--points", "9"]
        more += ["--sweep", "design=balanced,late", "--endpoint", url, "--examples", "1"]
        main(["ask", "--model", "m", *words, *more, "--out", str(out)])
        texts = [body["messages"][0]["content"] for _, _, body in found.seen]
    assert len(texts) == 32 and ("Is every" in texts[0]) == ("--no-labels" in words)
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 32 and lines[0]["answer"].startswith((" True", " False"))
    import csv

    with (out / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["predictor"] for row in rows] == ["m", "exact", "true", "current"] * 2
    for row in rows:
        if row["predictor"] == "exact":
            assert row["balanced_accuracy"] == "1.0"
        assert row["constant_balanced_accuracy"] == "0.5" and row["failures"] == "0"
    if words[1] == "some" or "--no-labels" in words:
        assert rows[0]["accuracy"] == rows[4]["accuracy"] == "1.0"
    shown = capsys.readouterr().out
    assert "a constant answer" in shown and "failed" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 80
