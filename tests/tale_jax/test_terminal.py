"""The progress display."""

import types

import pytest
from rich.progress import Progress

from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.runs import terminal


@pytest.mark.parametrize(("max_drops", "initial"), [(None, ()), (2, ()), (3, (1,))])
def test_the_time_left_is_that_of_a_search_nothing_stops(monkeypatch, capsys, max_drops, initial):
    num_layers, clock, said = 7, [100.0], []
    settings = {"num_layers": num_layers, "examples": 5, "max_drops": max_drops}
    run = types.SimpleNamespace(
        settings=settings | {"granularity": "layer"},
        known={},
        candidate=lambda c: None,
        accepted=lambda c: None,
    )
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    bar = Progress(disable=True)
    shown = terminal.SearchProgress(run, bar, terminal.Terminal())
    first = f"baseline: 3/5 = 60.0% ({2 * (num_layers - len(initial))} s, with compilation)"

    def score(candidates):
        for dropped in candidates:
            clock[0] += 2 * (num_layers - len(dropped))  # two seconds a layer
            yield 3

    def show(candidate):
        shown.candidate(candidate)
        said.append((clock[0], bar.tasks[0].fields["whole"]))

    eliminate(
        score,
        num_layers,
        5,
        SearchOptions(max_drops=max_drops, initial=initial),
        on_candidate=show,
        on_accepted=shown.accepted,
    )
    assert capsys.readouterr().err.splitlines()[0] == first
    end = clock[0]
    for now, text in said[1:]:
        minutes, seconds = text.removeprefix("all ≤ 0:").split(":")
        assert 60 * int(minutes) + int(seconds) == end - now
