"""The language-model arm: text, answers, a local checkpoint, and a local server."""

import json

import numpy as np
import pytest
from local_server import server
from tiny_models import write_model

from attention.errors import InputError
from icl.evaluation.sweeps import Case
from icl.language import answering
from icl.language import functions as language


def line(count=2):
    x = np.linspace(-1, 2, 4)[None, :, None].repeat(count, 0)
    return Case({"sigma": 1.0}, x, (2 * x[:, :, 0] + 1)[None].repeat(count, 0))


def test_text():
    assert language.write([1, -0.001], [2.345, 9]) == "[1.00, 2.35, 0.00]"
    assert language.write([1.26], [0], decimals=1) == "[1.3]"
    text = language.prompt([1.0, 2.0], [3.0, 5.0], examples=2)
    assert text.count("Answer:") == 3 and text.endswith("List: [1.00, 3.00, 2.00]\nAnswer:")
    assert text == language.prompt([1.0, 2.0], [3.0, 5.0], examples=2)


def test_worked_examples_are_right():
    lines = language.prompt([0.0], [0.0], examples=5, decimals=6).splitlines()
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
def test_answers(text, number):
    found = language.parse(text)
    assert np.isnan(found) if number is None else found == number


def test_failures_are_counted_and_left_out():
    said = iter(["5", "I cannot tell", "4"])
    found = language.ask(line(3), lambda texts: [next(said) for _ in texts], count=3)
    assert found.failures == 1 and np.isnan(found.predicted[1])
    assert found.error == pytest.approx(0.5)  # 0 and 1; the truth is 5
    assert found.error_of_zero == 25
    nothing = language.ask(line(), lambda texts: ["?"] * len(texts), count=2)
    assert nothing.failures == 2 and np.isnan(nothing.error)


def test_models_and_baselines_are_asked_the_same():
    asked = []
    language.ask(line(3), lambda texts: asked.extend(texts) or ["1"] * len(texts), count=3)
    case = line(3)

    def predict(x_BTD, y_FBT):
        assert x_BTD.shape[0] == y_FBT.shape[1] == len(asked) == 3
        for x_TD, y_T, text in zip(x_BTD, y_FBT[0], asked, strict=True):
            assert language.write(x_TD[:, 0], y_T) in text
        return y_FBT + 2

    found = language.compare(case, predict, count=3)
    assert (found.error, found.error_of_zero, found.failures) == (4, 25, 0)


def test_an_endpoint(monkeypatch):
    monkeypatch.setenv(answering.KEY, "word")
    with server() as (found, url):
        answer = answering.endpoint(url, "some-model", temperature=0.6)
        answers = language.ask(line(), answer, count=2, examples=1)
    assert answers.error == 0 and answers.failures == 0
    path, key, body = found.seen[0]
    assert len(found.seen) == 2 and path == "/v1/chat/completions" and key == "Bearer word"
    assert body["model"] == "some-model" and body["temperature"] == 0.6
    assert body["messages"][0]["content"].endswith("2.00]\nAnswer:")


def test_an_endpoint_without_a_key(monkeypatch):
    monkeypatch.delenv(answering.KEY, raising=False)
    with server(content=None) as (found, url):
        assert answering.endpoint(url, "m")(["hello"]) == [""]
    assert found.seen[0][1] is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"status": 401}, "answered 401 .*OPENAI_API_KEY"),
        ({"status": 500}, "answered 500"),
        ({"reply": b"<html>"}, "OpenAI-compatible"),
        ({"reply": b'{"choices": []}'}, "OpenAI-compatible"),
    ],
)
def test_servers_that_fail(how, said):
    with server(**how) as (_, url), pytest.raises(InputError, match=said) as error:
        answering.endpoint(url, "m")(["hello"])
    assert "\n" not in str(error.value)


def test_no_server():
    with server() as (_, url):
        pass
    with pytest.raises(InputError, match="cannot be reached"):
        answering.endpoint(url, "m")(["hello"])
    with pytest.raises(InputError, match="http"):
        answering.endpoint("file:///etc/hosts", "m")


def test_a_local_checkpoint(tmp_path):
    folder = write_model(tmp_path / "model", max_position_embeddings=400)
    answer = answering.checkpoint(str(folder), max_tokens=3, batch=2)
    texts = ["ab: 1", "another, longer: 2", "c"]
    found = answer(texts)
    assert len(found) == 3 and all(isinstance(text, str) and len(text) <= 9 for text in found)
    assert found == answer(texts)
    assert found[2] == answer(["c", texts[1]])[0]  # whatever its neighbours
    with pytest.raises(InputError, match="fewer points"):
        answer(["1" * 500])
