"""The search against recorded ones, brute-force references of every strategy and its journal."""

import dataclasses
import doctest
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tale_jax.elimination import loop
from tale_jax.elimination.early_rejection import AtMost, race
from tale_jax.elimination.loop import eliminate
from tale_jax.elimination.options import SearchOptions
from tale_jax.units import place

LLAMA_ARC_E = "19:.8818 18:.8800 20:.8818 28:.9000 31:.9055 21:.8964 24:.8964 26:.8782"
TUNED_ARC_C = "21 20 29 19 18 24 23 26:.8621 14 25:.8103"
# name: examples, layers, baseline, accepted layers with their accuracy where it was recorded,
# the best candidate of the round that stopped (None: the record ends before), BEST, BSBA (depths)
RECORDED = {
    "llama arc-e": (550, 32, 0.8745, LLAMA_ARC_E, None, 5, 8),
    "llama arc-c": (290, 32, 0.7586, "18:.7897 26:.7828 19:.7759", None, 1, 3),
    "llama csqa": (1000, 32, 0.647, "18:.737 27:.747 22:.753", None, 3, 3),
    "llama math500": (100, 32, 0.44, "27:.49 23:.45 28:.36", None, 1, 2),
    "llama gsm8k": (89, 32, 0.6067, "27:.5843 26:.5730", None, 0, 0),
    "mistral math500": (100, 32, 0.08, "27:.16 15:.12 13:.13 10:.10", None, 1, 4),
    "tuned arc-c": (290, 32, 0.8414, TUNED_ARC_C, 0.7586, 8, 8),
    "tuned again": (290, 28, 0.8000, "20 19:.8138 22 27 21:.8000", 0.7, 2, 5),
}


@pytest.mark.parametrize("name", RECORDED)
def test_replays_recorded_searches(name, oracle):
    total, layers, baseline, accepted, refused, best, bsba = RECORDED[name]
    base = round(baseline * total)
    table, dropped, chosen = {(): base}, (), []
    for entry in accepted.split():
        layer, _, accuracy = entry.partition(":")
        chosen.append(int(layer))
        dropped = tuple(sorted((*dropped, int(layer))))
        # unrecorded accuracies: between the floor and the baseline
        table[dropped] = round(float(accuracy) * total) if accuracy else base - 2
    if name == "llama arc-e":
        table[(24,)] = table[(31,)] = table[(19,)]
    if refused is not None:
        extra = next(layer for layer in range(layers) if layer not in dropped)
        table[tuple(sorted((*dropped, extra)))] = round(refused * total)

    limit = len(chosen) if refused is None else None
    result = eliminate(oracle(table), layers, total, SearchOptions(max_drops=limit))

    assert [step.layer for step in result.steps] == chosen
    assert len(result.best.dropped) == best
    assert len(result.bsba.dropped) == bsba
    assert result.best.correct == max([base, *(step.correct for step in result.steps)])
    assert result.stop_reason == ("max drops" if limit else "below floor")
    rounds = len(chosen) + (not limit)
    assert len(result.candidates) == sum(layers - depth for depth in range(rounds))


def with_layer(dropped, layer):
    return tuple(sorted({*dropped, layer}))


class Reference:
    """Every strategy word for word, over the counts of all subsets and in fractions."""

    def __init__(self, table, layers, total, epsilon, floor, max_drops, **_):
        self.table, self.layers, self.total = table, layers, total
        self.epsilon, self.floor, self.max_drops = Fraction(str(epsilon)), floor, max_drops
        self.path, self.asked = [()], [()]

    def share(self, dropped):
        return Fraction(self.table[dropped], self.total)

    def reaches(self, dropped, reference):
        return self.share(dropped) >= self.share(reference) - self.epsilon

    def ranked(self, candidates):
        self.asked += candidates
        return sorted(candidates, key=lambda dropped: (-self.table[dropped], dropped))

    def run(self, width, floating):
        models = [()]
        while len(models[0]) < self.layers - 1 and len(models[0]) != self.max_drops:
            parent = models[0] if self.floor == "current" else ()
            children = {
                with_layer(model, x) for model in models for x in set(range(self.layers)) - {*model}
            }
            ranked = self.ranked(sorted(children))
            models = [dropped for dropped in ranked if self.reaches(dropped, parent)][:width]
            if not models:
                return "below floor"
            self.path.append(models[0])
            if floating:
                models = [self.floated(models[0])]
        full = len(models[0]) == self.layers - 1
        return "no layer left to drop" if full else "max drops"

    def floated(self, dropped):
        while len(dropped) > 1:
            shallower = [dropped[:i] + dropped[i + 1 :] for i in range(len(dropped))]
            record = max(self.table[d] for d in self.path if len(d) == len(dropped) - 1)
            self.asked += shallower
            best = max(shallower, key=lambda d: self.table[d])
            if self.table[best] <= record:
                break
            dropped = best
            self.path.append(dropped)
        return dropped

    def picks(self):
        best = min(self.path, key=lambda d: (-self.table[d], len(d)))
        good = [d for d in self.path if self.table[d] >= self.table[()]]
        return best, max(good, key=lambda d: (len(d), self.table[d]))


STRATEGIES = {"greedy": (1, False), "beam:1": (1, False), "beam:2": (2, False),
              "beam:9": (9, False), "floating": (1, True)}  # fmt: skip


@st.composite
def searches(draw):
    layers, total = draw(st.integers(1, 5)), draw(st.sampled_from([1, 7, 12, 50]))
    subsets = [s for k in range(layers + 1) for s in itertools.combinations(range(layers), k)]
    counts = st.integers(max(0, total - 12), total)
    table = {s: draw(counts) for s in subsets}
    options = {
        "epsilon": draw(st.sampled_from([0, 0.08, 0.1, 0.25, 1])),
        "floor": draw(st.sampled_from(["baseline", "current"])),
        "max_drops": draw(st.none() | st.integers(0, 5)),
        "strategy": draw(st.sampled_from(sorted(STRATEGIES))),
    }
    return layers, total, table, options


@settings(deadline=None, max_examples=3 * settings.default.max_examples)
@given(searches())
def test_agrees_with_brute_force(oracle, search):
    layers, total, table, options = search
    reference = Reference(table, layers, total, **options)
    reason = reference.run(*STRATEGIES[options["strategy"]])
    score = oracle(table)
    found = eliminate(score, layers, total, SearchOptions(**options))
    assert [step.dropped for step in (found.baseline, *found.steps)] == reference.path
    assert (found.best.dropped, found.bsba.dropped) == reference.picks()
    assert found.stop_reason == reason
    assert score.asked == reference.asked == [(), *(c.dropped for c in found.candidates)]
    assert all(c.correct == table[c.dropped] for c in (found.baseline, *found.candidates))
    if options["strategy"] in ("greedy", "beam:1"):
        assert [step.iteration for step in found.steps] == list(range(1, len(found.steps) + 1))
        other = {"greedy": "beam:1", "beam:1": "greedy"}[options["strategy"]]
        options = SearchOptions(**options | {"strategy": other})
        assert eliminate(oracle(table), layers, total, options) == found


def verdicts_race(total, seed):
    """Random verdicts on each model: a function that counts them, and a race over them."""
    number, verdicts, parts = np.random.default_rng(seed), {}, [5, 5, 3, 7]
    edges, skill = np.cumsum([0, *parts]), number.random(9)
    assert edges[-1] == total

    def verdict(dropped):
        if dropped not in verdicts:
            share = np.prod(skill[[place(unit)[0] for unit in dropped]]) ** 0.2
            verdicts[dropped] = number.random(total) < share
        return verdicts[dropped]

    def score(candidates):
        return [int(verdict(dropped).sum()) for dropped in candidates]

    def raced(candidates, parents, floor, winners):
        def ask(candidate, part):
            return int(verdict(candidates[candidate])[edges[part] : edges[part + 1]].sum())

        return race(len(candidates), parts, ask, int, floor=floor, winners=winners)

    return score, raced


@st.composite
def raced_searches(draw):
    granularity = draw(st.sampled_from(["layer", "attention", "sublayer"]))
    return draw(st.integers(0, 2**20)), {
        "epsilon": draw(st.sampled_from([0, 0.1, 0.3, 1])),
        "floor": draw(st.sampled_from(["baseline", "current"])),
        "strategy": draw(st.sampled_from(sorted(STRATEGIES))),
        "granularity": granularity,
        "initial": draw(st.sampled_from([(), (1,)])),
    }


@settings(deadline=None, max_examples=settings.default.max_examples * 3 // 2)
@given(raced_searches())
def test_a_race_finds_what_counting_finds_and_resumes_to_the_same(search):
    seed, options = search
    layers = 3 if options["granularity"] == "sublayer" else 5
    score, raced = verdicts_race(20, seed)
    whole = eliminate(score, layers, 20, SearchOptions(**options))
    journal = []
    given = SearchOptions(**options)
    quick = eliminate(score, layers, 20, given, race=raced, on_candidate=journal.append)
    for name in ("baseline", "steps", "best", "bsba", "stop_reason"):
        assert getattr(whole, name) == getattr(quick, name)
    for exact, found in zip(whole.candidates, quick.candidates, strict=True):
        assert found.correct >= exact.correct if found.bound else found == exact
        assert dataclasses.replace(found, correct=0, bound=False) == dataclasses.replace(
            exact, correct=0
        )
    patient = SearchOptions(**options, exhaustive=True)
    assert eliminate(score, layers, 20, patient, race=raced) == whole
    for cut in range(0, len(journal) + 1, 3):
        known = {(c.iteration, c.dropped): as_count(c) for c in journal[:cut]}
        again = []
        resumed = eliminate(
            score, layers, 20, given, race=raced, known=known, on_candidate=again.append
        )
        assert resumed == quick
        assert again == journal


def as_count(candidate):
    return AtMost(candidate.correct) if candidate.bound else candidate.correct


@settings(deadline=None)
@given(searches())
def test_resumes_from_every_prefix(oracle, search):
    layers, total, table, options = search
    journal, accepted, given = [], [], SearchOptions(**options)
    whole = eliminate(
        oracle(table),
        layers,
        total,
        given,
        on_candidate=journal.append,
        on_accepted=accepted.append,
    )
    assert journal == [whole.baseline, *whole.candidates]
    assert accepted == list(whole.steps)
    for cut in range(len(journal) + 1):
        known = {(c.iteration, c.dropped): c.correct for c in journal[:cut]}
        again, score = [], oracle(table)
        resumed = eliminate(score, layers, total, given, known=known, on_candidate=again.append)
        assert resumed == whole
        assert again == journal
        assert score.asked == [candidate.dropped for candidate in journal[cut:]]


def test_the_example_of_the_docstring():
    assert doctest.testmod(loop) == (0, 4)
