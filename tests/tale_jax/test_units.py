"""Layers and halves of layers as units of a search, on names and on tables of counts."""

import pytest

from attention.errors import InputError
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.units import (
    Units,
    check_layers,
    count_layers,
    is_unit,
    kept_halves,
    kept_layers,
    missing_halves,
    ordered,
    parse_unit,
    units_of,
)


def test_names():
    assert [parse_unit(text) for text in ("7", " 10.mlp ", "0.attention")] == [
        7,
        "10.mlp",
        "0.attention",
    ]
    for text in ("", "x", "7.", "7.mlps", "-1", "1.5", "7.mlp.mlp"):
        with pytest.raises(ValueError, match="neither"):
            parse_unit(text)
    assert all(map(is_unit, (0, 7, "7.mlp")))
    assert not any(map(is_unit, (True, None, 1.0, "7", "mlp", ["7.mlp"])))
    units = ["10.mlp", 11, "10.attention", 2, "9.mlp", 2]
    assert ordered(units) == (2, "9.mlp", "10.attention", "10.mlp", 11)
    assert count_layers(units[:5]) == 3.5


def test_what_is_left():
    keep = kept_halves(["0.mlp", 1, "2.attention", "2.mlp"], 4)
    assert keep == ((True, False), (False, False), (False, False), (True, True))
    assert units_of(keep) == ("0.attention", 3)
    assert kept_layers(["0.mlp", 1, "2.attention", "2.mlp"], 4) == [0, 3]
    assert missing_halves(keep[:2]) == ("0.mlp", "1.attention", "1.mlp")


def test_both_halves_are_a_layer():
    assert check_layers(["2.mlp", 0, "2.attention", "1.mlp"], 4) == (0, "1.mlp", 2)
    assert check_layers(["2.mlp", 2], 4) == (2,)
    for layers, missing, message in (
        (["4.mlp"], (), "no layer 4.mlp"),
        (["0.mlp", "0.attention", 1, 2, 3], (), "at least one"),
        (["1.mlp"], ("1.mlp",), "without it already"),
        ([0, 1, 2, "3.attention"], ("3.mlp",), "at least one"),
    ):
        with pytest.raises(InputError, match=message):
            check_layers(layers, 4, missing)


@pytest.mark.parametrize(
    ("granularity", "missing", "every", "most"),
    [
        ("layer", (), (0, 1), 1),
        ("attention", (), ("0.attention", "1.attention"), 2),
        ("mlp", ("1.mlp",), ("0.mlp",), 1),
        ("mlp", ("0.attention", "1.attention"), ("0.mlp", "1.mlp"), 1),
        ("sublayer", (), ("0.attention", "0.mlp", "1.attention", "1.mlp"), 3),
        ("layer", ("0.mlp",), (0, 1), 1),
    ],
)
def test_units_of_a_granularity(granularity, missing, every, most):
    units = Units(2, granularity, missing)
    assert (units.every, units.most) == (every, most)
    dropped = ()
    for left in range(most, 0, -1):
        assert units.left(dropped)
        dropped = ordered((*dropped, units.left(dropped)[left % 2 - 1]))
    assert units.left(dropped) == []


def test_what_a_search_starts_from():
    assert Units(3).start([2, 0]) == (0, 2)
    assert Units(3, "mlp").start([2, "0.mlp"]) == ("0.mlp", "2.attention", "2.mlp")
    assert Units(3, "mlp", ("2.mlp",)).start([2]) == ("2.attention",)
    with pytest.raises(InputError, match="--granularity"):
        Units(3).start(["0.mlp"])


def test_every_half_may_go_but_the_last():
    for granularity, most in (("attention", 3), ("sublayer", 5)):
        units = Units(3, granularity)
        options = SearchOptions(epsilon=1, granularity=granularity)
        result = eliminate(lambda models: (7 for _ in models), 3, 40, options)
        assert len(result.steps) == most
        assert result.stop_reason == "no half-layer left to drop"
        assert result.bsba.dropped == units.every[:most]


def test_a_search_knows_what_the_model_is_without():
    options = SearchOptions(epsilon=1, granularity="mlp")
    result = eliminate(lambda models: (7 for _ in models), 3, 40, options, missing=("1.mlp",))
    assert [step.layer for step in result.steps] == ["0.mlp", "2.mlp"]
