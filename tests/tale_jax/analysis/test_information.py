"""What each layer's state tells about the answer: estimates against known truths."""

import csv

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax.analysis.information import entropy, estimate
from tale_jax.commands.information import information
from tale_jax.runs import load_run


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


def test_the_papers_estimate_finds_what_is_not_there():
    """On states of noise, more dimensions than examples: far above 0 in the mean, not always."""
    number = np.random.default_rng(0)
    found = [estimate(number.normal(size=(100, 307)), np.arange(100) % 2) for _ in range(7)]
    assert np.mean([bits.same_states for bits in found]) > 0.05
    assert np.mean([bits.cross_validated for bits in found]) < 0
    assert max(bits.low for bits in found) < 0.05


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


def test_information_before_and_after(searched):
    found = information(run=searched / "a", pick="bsba", limit=41)["rows"]
    dropped = load_run(searched / "a").dropped("bsba")
    assert len(found) == 6 + (6 - len(dropped) if dropped else 0)
    assert [row["layer"] for row in found[:6]] == [-1, 0, 1, 2, 3, 4]
    assert len(rows(searched / "a" / "information.csv")) == len(found)
    assert "What each layer knows" in (searched / "a" / "report.html").read_text()
    with pytest.raises(InputError, match="different answers"):
        information(run=searched / "a", limit=10)
    with pytest.raises(InputError, match="give --run, or both"):
        information(model=str(searched / "tiny"))
