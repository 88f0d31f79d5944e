"""Boundary values, and the limits that weights predict."""

import jax
import numpy as np
import pytest

from attention.errors import InputError
from icl.analysis import saturation
from icl.analysis.collapse import last_weights, spread


def test_far_inputs_meet_the_limits_from_the_weights(trained):
    predicted = saturation.limits(trained)
    observed = saturation.along_inputs(trained, [1e7, -1e7])
    np.testing.assert_allclose(observed, predicted, atol=1e-5)
    assert abs(predicted[0] - predicted[1]) > 1e-3
    other = saturation.along_inputs(trained, [1e7, -1e7], slope=-40.0)  # whatever the context
    np.testing.assert_allclose(other, predicted, atol=1e-5)


@pytest.mark.parametrize("changes", [{"layer_norm": False}, {"residual": False}])
def test_models_without_limits(changes, untrained):
    with pytest.raises(InputError, match="pre-LN"):
        saturation.limits(untrained(**changes))


def test_the_effective_bound_of_a_model(trained, monkeypatch):
    """One that is exact within ±B, instead of the trained one."""
    clipped = lambda trained: lambda x, y: np.clip(y, -2.5, 2.5)  # noqa: E731
    monkeypatch.setattr(saturation, "model_predictor", clipped)
    assert saturation.bound_of(trained, 20, 8) == pytest.approx(2.5, rel=1e-3)


def test_a_survey_goes_both_ways(trained):
    found = saturation.survey(trained, most=0.5, count=2)
    np.testing.assert_array_equal(found.slopes, [-0.5, 0.5])
    assert sorted(np.abs(found.queries)) == pytest.approx([1e-2, 1e5])
    assert (np.sign(found.queries) == [-1, 1]).all()
    np.testing.assert_allclose(
        found.along_queries, saturation.along_inputs(trained, list(found.queries)), rtol=1e-6
    )
    numbers = found.numbers
    np.testing.assert_allclose(numbers["observed_limits"], saturation.limits(trained), atol=1e-4)
    assert numbers["limits_from_weights"] == saturation.limits(trained)
    assert numbers["effective_bound"] == (saturation.bound_of(trained),)
    assert numbers["plateau_along_x"] == (min(found.along_queries), max(found.along_queries))
    assert found.entropies == saturation.entropies(trained, saturation.MAGNITUDES)


@pytest.mark.parametrize(
    ("most", "count"), [(0.0, 5), (-1.0, 5), (np.inf, 5), (np.nan, 5), (1.0, 1)]
)
def test_a_survey_needs_two_slopes(trained, most, count):
    with pytest.raises(InputError, match="at least 2 slopes"):
        saturation.survey(trained, most, count)


def test_models_of_several_numbers_have_no_survey(untrained):
    for changes in ({"inverse": True}, {"functions": "linear:d=2"}):
        with pytest.raises(InputError, match="of one number"):
            saturation.follow(untrained(**changes), [1.0])
    with pytest.raises(InputError, match="of one number"):
        saturation.limits(untrained(functions="linear:d=2"))


def test_a_model_without_attention_has_a_survey(untrained):
    assert saturation.survey(untrained(preset="linear-2mlp"), count=2).entropies == []


@pytest.mark.nightly  # commands/test_saturation.py surveys
def test_a_survey(trained, untrained):
    found = saturation.survey(trained, count=5)
    assert found.slopes.shape == found.along_slopes.shape == found.along_queries.shape == (5,)
    low, high = found.numbers["plateau_along_slopes"]
    assert (low, high) == (found.along_slopes.min(), found.along_slopes.max())
    assert len(found.entropies) == 6 * 2
    for changes, said in (
        ({"preset": "every-1l1ah"}, "learned functions"),
        ({"inverse": True}, "of one number"),
        ({"functions": "linear:d=2"}, "of one number"),
    ):
        with pytest.raises(InputError, match=said):
            saturation.survey(untrained(**changes))


def test_following_is_what_the_model_says(trained):
    """At f = 0·x the values in the prompt are all 0, so that only inputs are seen."""
    curve = saturation.follow(trained, [0.0, 2.0], query=1.0, prompts=3)
    assert curve.shape == (2,) and curve[0] != curve[1]
    assert saturation.along_inputs(trained, [1.0], slope=2.0, prompts=3)[0] == curve[1]


def test_entropies_lie_between_0_and_that_of_uniform_weights(trained, untrained):
    rows = saturation.entropies(trained, [0.1, 30.0], prompts=3)
    assert [(row["magnitude"], row["layer"]) for row in rows] == [
        (0.1, 0), (0.1, 1), (30.0, 0), (30.0, 1)
    ]  # fmt: skip
    assert all(0 < row["entropy"] <= np.log(9) + 1e-6 for row in rows)
    expected = []
    for magnitude in (0.1, 30.0):
        inputs = trained.task.inputs.sample(jax.random.key(0), (3, trained.task.points))
        far = magnitude * np.asarray(inputs)
        weights = last_weights(trained.config, trained.params, far[:, :, None], far)
        expected += [spread(np.asarray(layer))[1] for layer in weights]
    assert [row["entropy"] for row in rows] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="without attention"):
        saturation.entropies(untrained(preset="linear-2mlp"), [1.0])
