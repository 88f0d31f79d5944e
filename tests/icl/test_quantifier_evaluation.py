"""Scores of quantifiers around a deviant, with models made by hand."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from icl_runs import TINY

from icl import quantifier_evaluation
from icl.quantifier_evaluation import score
from icl.training import Trained


def answers(monkeypatch, kind, answer):
    """The score of ``answer(x, y, labels so far)`` around a deviant that decides nothing."""
    experiment = dataclasses.replace(TINY, preset=f"{kind}-1l1ah", points=11)
    trained = Trained(experiment, experiment.task(), experiment.config(), {})
    monkeypatch.setattr(
        quantifier_evaluation, "_forward", lambda config, params, x, y, labels: answer(x, y)
    )
    size = 1000 if kind == "every" else -1000
    sweeps = ["design=balanced", f"deviant=5:{size},5:{10 * size}"]
    first, second = score(trained, sweeps, prompts=199)
    assert {**first, "deviant": ""} == {**second, "deviant": ""}  # these models look at signs
    return first


@pytest.mark.parametrize("kind", ["every", "some"])
def test_a_deviant_that_decides_nothing(kind, monkeypatch):
    right = answers(monkeypatch, kind, lambda x, y: y)
    assert right["at_deviant"] == right["after_deviant"] == right["balanced_accuracy"] == 1
    constant = answers(monkeypatch, kind, lambda x, y: jnp.full_like(y, -1))
    for name in ("at_deviant", "after_deviant"):  # both labels are there
        assert constant[name] == constant[f"constant_{name}"] == 0.5

    def saturated(x, y):  # right, but for an answer to the deviant that no context changes
        return jnp.where(abs(x[:, :, 0]) > 100, -1, y)

    found = answers(monkeypatch, kind, saturated)
    assert (found["at_deviant"], found["after_deviant"]) == (0.5, 1)
    assert 0.9 < found["balanced_accuracy"] < 1 and found["wrong_prompts"] > 0.2


def test_a_deviant_at_the_end_has_nothing_after_it(monkeypatch):
    experiment = dataclasses.replace(TINY, preset="every-1l1ah", points=7)
    trained = Trained(experiment, experiment.task(), experiment.config(), {})
    monkeypatch.setattr(quantifier_evaluation, "_forward", lambda config, params, x, y, labels: y)
    (row,) = score(trained, ["design=late", "deviant=6:9"], prompts=23)
    assert row["at_deviant"] == 1 and np.isnan(row["after_deviant"])
