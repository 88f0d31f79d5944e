"""Stop rules besides the floor: layers left, speed, and hours."""

import pytest

from attention.errors import InputError
from tale_jax.elimination import Gauges, PartTimes, SearchOptions, eliminate

COUNTS = [50, 49, 48, 47, 46, 45, 44]


def score(candidates):
    return [COUNTS[len(dropped)] - (min(dropped, default=0) != 0) for dropped in candidates]


def find(known=None, gauges=None, on_accepted=lambda candidate: None, **rules):
    options = SearchOptions(epsilon=0.5, **rules)
    return eliminate(score, 7, 53, options, known=known, gauges=gauges, on_accepted=on_accepted)


@pytest.mark.parametrize(("target", "drops"), [(7, 0), (6.5, 1), (5, 2), (3, 4)])
def test_a_search_stops_at_so_few_layers(target, drops):
    found = find(target_layers=target)
    assert (len(found.steps), found.stop_reason) == (drops, "target layers")


def test_layers_that_are_missing_or_dropped_at_first_count():
    options = SearchOptions(epsilon=1, granularity="sublayer", target_layers=5, initial=(2,))
    found = eliminate(
        lambda candidates: [3] * len(candidates), 7, 3, options, missing=("1.mlp", "4.attention")
    )
    assert found.stop_reason == "target layers"
    assert len(found.steps) == 0  # seven, less a layer and two halves
    fewer = SearchOptions(epsilon=1, granularity="sublayer", target_layers=4, initial=(2,))
    found = eliminate(
        lambda candidates: [3] * len(candidates), 7, 3, fewer, missing=("1.mlp", "4.attention")
    )
    assert len(found.steps) == 2


def test_times_are_a_sum_over_halves():
    times = PartTimes(whole=10.0, without_attention=6.6, without_mlp=5.9, num_layers=5,
                      missing=("3.mlp",))  # fmt: skip
    attention, mlp = 3.4 / 5, 4.1 / 4
    assert times.seconds(()) == pytest.approx(10)
    assert times.seconds((1, "2.attention")) == pytest.approx(10 - 2 * attention - mlp)
    assert times.seconds((3,)) == pytest.approx(10 - attention)
    assert times.speed_up((0, 1, 2)) == pytest.approx(10 / (10 - 3 * (attention + mlp)))
    noisy = PartTimes(10.0, 10.7, 6.0, num_layers=4)
    assert noisy.seconds(("2.attention",)) == pytest.approx(10)
    assert noisy.seconds((2,)) == pytest.approx(9)
    assert PartTimes(0.0, 0.0, 0.0, num_layers=5).speed_up((1,)) == 0  # a clock that stands still


def test_a_search_stops_when_it_is_fast_enough():
    times = PartTimes(7.0, 4.2, 4.2, num_layers=7)  # a layer takes 0.8, the rest 1.4
    found = find(gauges=Gauges(times.speed_up), target_speedup=1.5)
    assert found.stop_reason == "target speed-up"
    assert len(found.steps) == 3
    assert times.speed_up(found.steps[-2].dropped) < 1.5 <= times.speed_up(found.steps[-1].dropped)


def test_a_search_out_of_time_goes_on_with_more_hours_to_the_same_end():
    whole, clock = find(max_drops=5), [0.0]

    def elapsed():
        return clock[0]

    def tick(candidate):
        clock[0] += 1800

    stopped = find(gauges=Gauges(None, elapsed), on_accepted=tick, max_drops=5, max_hours=1.2)
    assert stopped.stop_reason == "max hours"
    assert stopped.steps == whole.steps[:3]
    known = {(c.iteration, c.dropped): c.correct for c in (stopped.baseline, *stopped.candidates)}
    again = find(known, Gauges(None, elapsed), max_drops=5, max_hours=1.2)
    assert again == stopped  # what the journal has takes no time, and nothing is begun
    more = find(known, Gauges(None, elapsed), on_accepted=tick, max_drops=5, max_hours=9)
    assert more == whole


def test_rules_that_are_not_set_leave_the_settings_as_they_were():
    settings = SearchOptions(max_hours=3).as_settings()
    assert not {"target_layers", "target_speedup", "max_hours"} & set(settings)
    assert SearchOptions(target_layers=4).as_settings()["target_layers"] == 4
    control = SearchOptions(target_layers=4, target_speedup=2, max_hours=1).no_deeper(0)
    assert control == SearchOptions(max_drops=1)
    with pytest.raises(InputError, match="--target-speedup"):
        SearchOptions(target_speedup=1.0)
