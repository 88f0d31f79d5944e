"""What a criterion goes with, what it proposes, and a criterion from outside the package."""

import math
import types

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax.criteria import CRITERIA, Criterion, RankingOptions, check_criterion, propose_by
from tale_jax.elimination import SearchOptions
from tale_jax.units import Units


@pytest.mark.parametrize(
    ("name", "search", "null_control", "message"),
    [
        ("cosine", {"granularity": "mlp"}, 0, "cosine measures whole layers"),
        ("perplexity", {"strategy": "beam:2"}, 0, "perplexity proposes one layer at a time"),
        ("last", {"strategy": "floating"}, 0, "--strategy greedy alone, not floating"),
        ("loglikelihood", {}, 2, "--null-control shuffles the answers"),
        ("luck", {}, 0, "unknown criterion 'luck'"),
    ],
)
def test_what_a_criterion_does_not_go_with(name, search, null_control, message):
    with pytest.raises(InputError, match=message):
        check_criterion(name, SearchOptions(**search), null_control)


def test_what_a_criterion_goes_with():
    check_criterion("accuracy", SearchOptions(granularity="mlp", strategy="floating"), 3)
    check_criterion("perplexity", SearchOptions(granularity="sublayer"), 3)
    check_criterion("loglikelihood", SearchOptions())


def test_text_that_nobody_reads_is_refused(tmp_path):
    assert RankingOptions("perplexity", str(tmp_path)).calibration == tmp_path
    for name in ("accuracy", "last"):
        with pytest.raises(InputError, match=f"{name} reads no text: leave out --calibration"):
            RankingOptions(name, tmp_path)
    with pytest.raises(InputError, match=r"unknown criterion 'luck'.*accuracy, loglikelihood"):
        RankingOptions("luck")


def propose(losses, known=None, on_loss=lambda *_: None, num_layers=4):
    CRITERIA["test"] = Criterion("…", lambda basis: losses)
    try:
        basis = types.SimpleNamespace(units=Units(num_layers))
        return propose_by("test", basis, known, on_loss)
    finally:
        del CRITERIA["test"]


def test_ties_go_to_the_lowest_layer_and_nan_is_worst():
    losses, asked, seen = {(0,): math.nan, (1,): 2.0, (2,): 1.0, (3,): 1.0}, [], []

    def measure(models):
        for model in models:
            asked.append(model)
            yield losses[model]

    assert propose(measure, {(1,): 2.0}, lambda *pair: seen.append(pair))(()) == [2]
    assert asked == [(0,), (2,), (3,)]
    assert seen == [((0,), math.inf), ((1,), 2.0), ((2,), 1.0), ((3,), 1.0)]


def test_an_order_is_followed():
    assert propose(np.array([3, 1, 0, 2]))((1, 3)) == [0]
    for order in ([3, 1, 2], [3, 1, 0, 2, 1], [4, 1, 0, 2]):
        with pytest.raises(InputError, match="must order every layer once"):
            propose(order)


OWN = """
from tale_jax.criteria import Criterion

def odd_first(basis):
    "the odd layers before the even ones"
    return sorted(basis.units.every, key=lambda layer: (layer % 2 == 0, layer))

ROW = Criterion("the same", odd_first, halves=False)
"""


def test_a_criterion_from_outside(tmp_path, monkeypatch):
    (tmp_path / "my_criteria.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    basis = types.SimpleNamespace(units=Units(5))
    for name in ("my_criteria:odd_first", "my_criteria:ROW"):
        assert RankingOptions(name).criterion == name
        next_after = propose_by(name, basis)
        assert [next_after(dropped) for dropped in ((), (1,), (1, 3))] == [[1], [3], [0]]
    assert CRITERIA.pick("my_criteria:odd_first").description.startswith("the odd layers")
    with pytest.raises(InputError, match="null-control"):
        check_criterion("my_criteria:odd_first", SearchOptions(), 1)
    check_criterion("my_criteria:ROW", SearchOptions(), 1)
    with pytest.raises(InputError, match="whole layers"):
        check_criterion("my_criteria:ROW", SearchOptions(granularity="mlp"))
