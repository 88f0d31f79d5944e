"""Prompts as text, answers, and the questions that are asked."""

import json

import numpy as np
import pytest

import icl
from attention.errors import InputError
from icl.language import ask
from icl.tasks import TASKS, Form
from icl.tasks.functions import FunctionTask
from icl.tasks.quantifiers import Quantifiers, truth

LINES = FunctionTask(points=4)
EVERY = Quantifiers("every", points=11)


def right(body):
    """The reply of a server that reads the last list of a prompt and answers it exactly."""
    text = body["messages"][0]["content"]
    row = text.rsplit("List: [", 1)[1].partition("]")[0].split(", ")
    numbers = [float(word) for word in row if word not in ("True", "False")]
    every = "every" in text
    holds = all(x > 0 for x in numbers) if every else any(x > 0 for x in numbers)
    content = f" {holds}.\nList: [True"
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_functions_as_text():
    assert LINES.write([1, -0.001], [2.345, 9]) == "[1.00, 2.35, 0.00]"
    assert LINES.write([1.26], [0], decimals=1) == "[1.3]"
    text = LINES.as_text([1.0, 2.0], [3.0, 5.0], Form(examples=2))
    assert text.count("Answer:") == 3 and text.endswith("List: [1.00, 3.00, 2.00]\nAnswer:")
    assert text == LINES.as_text([1.0, 2.0], [3.0, 5.0], Form(examples=2))


def test_worked_examples_of_functions_are_right():
    lines = LINES.as_text([0.0], [0.0], Form(decimals=6)).splitlines()
    for i, each in enumerate(lines):
        if each.startswith("List: ") and i < len(lines) - 2:
            numbers = json.loads(each.removeprefix("List: "))
            slope, offset = np.polyfit(numbers[:-1:2], numbers[1::2], 1)
            answer = float(lines[i + 1].removeprefix("Answer: "))
            assert answer == pytest.approx(slope * numbers[-1] + offset, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 3.5", 3.5),
        ("The answer is -2.25.", -2.25),
        ("−4", -4),
        ("1,234.5", 1234.5),
        ("+.5e1", 5),
        ("7\nList: [1, 2]", 7),
        ("none", None),
        ("", None),
    ],
)
def test_answers_about_functions(text, number):
    found = LINES.read(text)
    assert np.isnan(found) if number is None else found == number


def test_quantifiers_as_text():
    row = [0.5, -1.234, 0.001, -0.001], [1, -1, -1, -1]
    assert EVERY.write(*row) == "[0.50, True, -1.23, False, 0.01, False, -0.01]"
    bare = Quantifiers("some", labels=False)
    assert bare.write(*row, decimals=1) == "[0.5, -1.2, 0.1, -0.1]"
    text = Quantifiers("some").as_text(*row, Form(examples=2))
    assert text.count("Answer:") == 3 and text.endswith("False, -0.01]\nAnswer:")
    assert "some" not in text  # labels tell which quantifier is meant
    text = bare.as_text(*row, Form(examples=2))
    assert "Is some number" in text and text.count("True") == 2  # the question, one example


@pytest.mark.parametrize("kind", ["every", "some", "mix"])
def test_worked_examples_of_quantifiers_are_right(kind):
    for seed in range(7):
        found = list(Quantifiers(kind).worked(np.random.default_rng(seed), 8))
        assert len(found) == 8
        for i, (x, labels) in enumerate(found):
            every = kind == "every" or (kind == "mix" and i % 4 < 2)
            expected = np.asarray(truth(x[None], np.full((1, 1), every)))[0]
            assert np.array_equal(labels, expected)
            assert (labels[-1] > 0) == ((i % 2 == 0) == every)  # both answers, in turn


@pytest.mark.parametrize(
    ("text", "number"),
    [(" True", 1), ("false.", -1), ("**TRUE**, not false", 1), ("untrue", None), ("1", None)],
)
def test_answers_about_quantifiers(text, number):
    found = EVERY.read(text)
    assert np.isnan(found) if number is None else found == number


@pytest.mark.quick("mix")
@pytest.mark.parametrize("kind", ["every", "mix"])
def test_questions(kind):
    """One position each, on both sides of a late flip; at a deviant, and after it."""
    task = Quantifiers(kind, points=41)
    asked = task.questions({"design": "late"}, 100, 0)
    place, y_BT = asked.where_BT.argmax(axis=1), asked.y_FBT[0]
    assert asked.where_BT.sum() == 100 and (place >= 3).all() and (place == 40).sum() == 50
    flip = (y_BT != y_BT[:, :1]).argmax(axis=1)
    assert (place >= flip).sum() > 45 < (place < flip).sum() + 10
    asked = task.questions({"design": "late", "deviant": "7:900"}, 10, 0)
    assert set(asked.where_BT.argmax(axis=1)) == {7, 40}
    if kind == "mix":
        every = np.asarray(truth(asked.x_BTD[:, :, 0], np.ones((10, 1), bool)))
        assert np.array_equal((asked.y_FBT[0] == every).all(axis=1)[::2], np.ones(5, bool))


def test_failures_are_counted_and_left_out():
    truths = LINES.questions(LINES.setting, 3, 0).y_FBT[0, :, -1]
    said = iter([str(truths[0]), "I cannot tell", str(truths[2] + 3)])
    rivals = {"2 more": lambda x, y: y + 2}
    rows, answers = ask(LINES, [LINES.setting], "m", lambda texts: [[next(said) for _ in texts]],
                        rivals, Form(count=3))  # fmt: skip
    assert [row["predictor"] for row in rows] == ["m", "2 more"]
    assert [row["failures"] for row in rows] == [1, 0] and rows[0]["asked"] == 3
    assert rows[0]["error"] == pytest.approx(4.5) and rows[1]["error"] == pytest.approx(4)
    assert rows[0]["error_over_zero"] == pytest.approx(4.5 / np.mean(truths**2))
    assert len(answers) == 3 and answers[1]["answer"] == "I cannot tell"
    rows, _ = ask(
        LINES, [LINES.setting], "m", lambda texts: [["?"] * len(texts)], {}, Form(count=2)
    )
    assert rows[0]["failures"] == 2 and np.isnan(rows[0]["error"])


def test_failures_are_counted_and_wrong_for_quantifiers():
    truths = EVERY.questions({"design": "balanced"}, 40, 0)
    right = truths.y_FBT[0][truths.where_BT]
    said = iter([str(y > 0) if i % 4 else "?" for i, y in enumerate(right)])
    rows, _ = ask(EVERY, [{"design": "balanced"}], "m", lambda texts: [[next(said) for _ in texts]],
                  {"exact": lambda x, y: y}, Form(count=40))  # fmt: skip
    assert rows[0]["failures"] == 10 and rows[0]["accuracy"] == pytest.approx(0.75)
    assert rows[0]["constant_balanced_accuracy"] == 0.5
    assert rows[1]["failures"] == 0 and rows[1]["accuracy"] == 1


def test_models_and_baselines_are_asked_the_same():
    asked = []

    def answer(texts):
        asked.extend(texts)
        return [["1"] * len(texts)]

    def rival(x_BTD, y_FBT):
        assert x_BTD.shape[0] == y_FBT.shape[1] == len(asked) == 3
        for x_TD, y_T, text in zip(x_BTD, y_FBT[0], asked, strict=True):
            assert LINES.write(x_TD[:, 0], y_T) in text
        return y_FBT

    rows, _ = ask(LINES, [LINES.setting], "m", answer, {"rival": rival}, Form(count=3))
    assert rows[1]["error"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"functions": "every"},
        {"task": "some"},
        {"task": "every", "labels": False},
    ],
)
def test_the_command(options, server, tmp_path, table):
    out = tmp_path / "out"
    with server(reply=right) as (found, url):
        shown = icl.ask(
            model="m", endpoint=url, out=out, predictors=["exact", "true", "current"], count=16,
            points=9, sweep="design=balanced,late", examples=1, **options,
        )  # fmt: skip
        texts = [body["messages"][0]["content"] for _, _, body in found.seen]
    bare = options.get("labels") is False
    assert len(texts) == 32 and ("Is every" in texts[0]) == bare
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 32 and lines[0]["answer"].startswith((" True", " False"))
    rows = table(out / "errors.csv")
    assert [row["predictor"] for row in rows] == ["m", "exact", "true", "current"] * 2
    for row in rows:
        if row["predictor"] == "exact":
            assert row["balanced_accuracy"] == "1.0"
        assert row["constant_balanced_accuracy"] == "0.5" and row["failures"] == "0"
    if options.get("task") == "some" or bare:
        assert rows[0]["accuracy"] == rows[4]["accuracy"] == "1.0"
    assert "a constant" in str(shown) and "failed" in str(shown)
    assert max(map(len, str(shown).splitlines()[:-1])) <= 80


def test_runs_and_functions_are_asked(run, server, tmp_path, table):
    with server() as (found, url):
        icl.ask(model="m", endpoint=url, out=tmp_path, run=run, predictors="zero", count=5,
                functions="polynomial:degree=2", coefficients="uniform:0,1", points=5)  # fmt: skip
    rows = table(tmp_path / "errors.csv")
    assert [row["predictor"] for row in rows] == ["m", "zero", "run"] and len(found.seen) == 5
    assert float(rows[1]["error_over_zero"]) == 1
    assert list(rows[0])[-4:] == ["error", "error_over_zero", "failures", "asked"]


def test_tasks_of_several_numbers_have_no_text():
    task = TASKS["garg"].make(points=5)
    with pytest.raises(ValueError, match="of one number"):
        task.as_text([0.0], [0.0], Form())


def test_roots_as_text(tmp_path, monkeypatch):
    import icl
    from icl import language

    asked = []

    def answerer(prompts):
        asked.extend(prompts)
        yield ["no idea" if i % 3 == 2 else " 0.25" for i in range(len(prompts))]

    monkeypatch.setattr(language, "checkpoint", lambda *a, **k: answerer)
    found = icl.ask(
        model="some", out=tmp_path / "out", roots=True, task="polynomial",
        sweep=("degree=1,2",), points=7, count=11, examples=3,
    )  # fmt: skip
    rows = found["roots"]
    assert [(row["predictor"], row["degree"]) for row in rows] == [
        ("always 0", 1), ("some", 1), ("always 0", 2), ("some", 2)
    ]  # fmt: skip
    assert 0 < rows[1]["unanswered"] < 5 and rows[1]["functions"] <= 11
    assert len(asked) == 22 and asked[0].count("Answer:") == 4
    for part in asked[0].split("\n\n")[1:-1]:  # each worked example is a line and its root
        shown, _, answer = part.partition("\nAnswer: ")
        numbers = json.loads(shown.removeprefix("List: "))
        slope, offset = np.polyfit(numbers[::2], numbers[1::2], 1)
        assert abs(slope * float(answer) + offset) < 0.05 * max(1, abs(slope))
    question = json.loads(asked[0].split("\n\n")[-1].removeprefix("List: ").partition("\n")[0])
    assert len(question) == 14
    asked.clear()
    icl.ask(
        model="some", out=tmp_path / "out", roots=True, task="polynomial",
        sweep=("degree=1,2",), points=7, count=11, examples=3,
    )  # fmt: skip
    assert not asked  # what was answered is not asked again
    with pytest.raises(InputError, match="baselines name no roots"):
        icl.ask(model="some", out=tmp_path / "new", roots=True, predictors=("zero",))
