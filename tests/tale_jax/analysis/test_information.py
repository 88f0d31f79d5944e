"""What each layer's state tells about the answer: estimates against known truths."""

import csv
import json

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax.analysis import probes
from tale_jax.analysis.information import label_examples, less_the_mean
from tale_jax.analysis.probes import entropy, estimate
from tale_jax.commands.information import information
from tale_jax.models import load_model
from tale_jax.runs import load_run
from tale_jax.tasks import load_task


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_estimates_know_and_know_not():
    number = np.random.default_rng(0)
    labels = np.arange(90) % 3
    blind = estimate(number.normal(size=(90, 2)), labels)
    assert blind.low < 0.1
    assert blind.cross_validated < 0.15
    seeing = estimate(np.eye(3)[labels] + 0.01 * number.normal(size=(90, 3)), labels)
    assert entropy(labels) == pytest.approx(np.log2(3))
    assert seeing.cross_validated > 1.2
    assert seeing.low <= seeing.cross_validated <= seeing.high


@pytest.mark.nightly
def test_where_there_is_nothing_to_know():
    """On noise in more dimensions than examples the paper's probe finds what is not there.

    The regularised one finds next to nothing, and loses next to nothing.
    """
    number = np.random.default_rng(0)
    found = [estimate(number.normal(size=(61, 307)), np.arange(61) % 2) for _ in range(7)]
    assert np.mean([bits.same_states for bits in found]) > 0.05
    assert -0.06 < np.mean([bits.cross_validated for bits in found]) < 0.03
    assert max(bits.low for bits in found) < 0.05


def choices_of_questions(count, signal, size, seed=0):
    """States of three choices a question: its subject, and along one direction what is right."""
    number = np.random.default_rng(seed)
    groups, right = np.repeat(np.arange(count), 3), number.integers(3, size=count)
    labels = (np.tile(np.arange(3), count) == right[groups]).astype(int)
    states = number.normal(size=(3 * count, size)) + 9 * number.normal(size=(count, size))[groups]
    states[:, 0] += signal * labels
    return less_the_mean(states[:, None], groups)[:, 0], labels, groups


@pytest.mark.nightly  # two Gaussians are known exactly
def test_whether_a_choice_is_right():
    """Known where it can be known; and shuffled labels, which nobody can know, give nothing."""
    states, labels, groups = choices_of_questions(61, 7.0, 29)
    assert np.allclose(states[groups == 7].mean(0), 0)
    found = estimate(states, labels, groups)
    assert entropy(labels) == pytest.approx(0.918, abs=1e-3)
    assert 0.5 < found.low < found.cross_validated <= found.high < 0.93
    states, number = choices_of_questions(61, 0.0, 307)[0], np.random.default_rng(5)
    shuffled = []
    for _ in range(5):
        right = number.integers(3, size=61)[groups]
        shuffled.append(estimate(states, (np.arange(183) % 3 == right).astype(int), groups))
    assert max(bits.low for bits in shuffled) < 0.05
    assert -0.06 < np.mean([bits.cross_validated for bits in shuffled]) < 0.03


def test_the_cross_validated_estimate_is_the_information_of_two_gaussians():
    """x ~ N(±1, 1): I = 1 − E log2(1 + exp(−2x)), x ~ N(1, 1), where logistic regression is right.

    The integral is a sum over a fine grid.
    """
    grid = np.linspace(-9, 11, 20001)
    density = np.exp(-((grid - 1) ** 2) / 2) / np.sqrt(2 * np.pi)
    exact = 1 - np.sum(density * np.log2(1 + np.exp(-2 * grid))) * (grid[1] - grid[0])
    assert exact == pytest.approx(0.486, abs=1e-3)
    number, labels = np.random.default_rng(3), np.arange(1501) % 2
    states = number.normal(size=(1501, 3))
    states[:, 0] += 2 * labels - 1
    bits = estimate(states, labels)
    for estimated in (bits.same_states, bits.cross_validated):
        assert estimated == pytest.approx(exact, abs=0.05)
    assert bits.low < exact < bits.high


@pytest.fixture
def short_fits(monkeypatch):
    """Probes of fewer strengths and folds: here it does not matter how well they are chosen."""
    monkeypatch.setattr(probes, "STRENGTHS", (1e-3, 0.1))
    monkeypatch.setattr(probes, "INNER_FOLDS", 2)


@pytest.mark.usefixtures("short_fits")
def test_information_before_and_after(searched):
    found = information(run=searched / "a", pick="bsba", limit=41)["rows"]
    dropped = load_run(searched / "a").dropped("bsba")
    assert len(found) == 6 + (6 - len(dropped) if dropped else 0)
    assert [row["layer"] for row in found[:6]] == [-1, 0, 1, 2, 3, 4]
    assert len(rows(searched / "a" / "information.csv")) == len(found)
    assert "What each layer knows" in (searched / "a" / "report.html").read_text()
    assert {row["question"] for row in found} == {"answer"}
    with pytest.raises(InputError, match="different answers"):
        information(run=searched / "a", limit=10)
    with pytest.raises(InputError, match="give --run, or both"):
        information(model=str(searched / "tiny"))


@pytest.mark.usefixtures("short_fits")
def test_each_example_has_choices_of_its_own(searched, tmp_path):
    task, number = tmp_path / "cloze.jsonl", np.random.default_rng(1)
    lines = []
    for i in range(23):
        words = ["".join(number.choice(list("abcdefgh"), 3)) + str(i) + end for end in "xyz"]
        lines.append(json.dumps({"prompt": f"q {i}?", "choices": words, "answer": i % 3}))
    task.write_text("\n".join(lines) + "\n")
    rows = information(
        model=str(searched / "tiny"), task=str(task), out=tmp_path / "out", drop=[2], quiet=True
    )["rows"]
    assert {(row["question"], row["examples"]) for row in rows} == {("right", 23)}
    assert [row["layer"] for row in rows] == [-1, 0, 1, 2, 3, 4, -1, 0, 1, 3, 4]
    assert rows[0]["entropy"] == pytest.approx(0.918, abs=1e-3)
    model, examples = load_model(str(searched / "tiny")), load_task(str(task)).search
    asked = label_examples(model, examples, "t")
    assert (
        asked.rows[4].tokens
        == model.tokenizer(f"q 1?{(examples[1].choices or ())[1]}")["input_ids"]
    )
    assert asked.labels_E[3:6].tolist() == [0, 1, 0]
    assert asked.groups_E[3:6].tolist() == [1, 1, 1]
