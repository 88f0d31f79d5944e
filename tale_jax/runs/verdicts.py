"""The summary of a run, and its verdict in sentences: what a search may claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attention.files import Record
from attention.statistics import wilson_interval
from tale_jax.elimination import Candidate, Result
from tale_jax.runs.strata import measure, measure_answers, strata_of
from tale_jax.tasks import Answer
from tale_jax.units import HALVES, Dropped, Unit, count_layers, has_halves

LABELS = {"baseline": "baseline", "best": "BEST", "bsba": "BSBA"}
PICKS = tuple(LABELS)
MOST_SHOWN, MOST_LETTERS = 30, 160  # of the questions that changed
NOISE = 0.05
"""A p-value of at least this is called noise."""


def beside_chance(correct: int, total: int, fixed: int | None, by_letter: bool) -> str | None:
    """One line for a model that beats no fixed answer: its interval reaches down to that.

    Args:
        correct: answers of the model.
        total: of the examples.
        fixed: right answers of the best choice to name every time; None: there are no choices.
        by_letter: whether the choices are letters.

    Returns:
        The line; None for a model that is above, or where there is nothing to compare with.
    """
    if fixed is None or wilson_interval(correct, total)[0] * total > fixed:
        return None
    hint = "; --choices text asks a benchmark in words" if by_letter else ""
    return f"not above one fixed answer, which gets {fixed} of {total}{hint}"


def summarise(
    settings: Record,
    result: Result,
    test: Mapping[Dropped, Sequence[bool]] | None = None,
    search: Mapping[Dropped, Sequence[bool]] | None = None,
    **facts: Any,
) -> Record:
    """The contents of `summary.json`.

    Args:
        settings: of the run; needs `model, task, protocol, num_layers, epsilon, floor`.
        result: of the search.
        test: for each of the three picks, by its dropped layers, whether it answers each test
            example correctly; None without test examples.
        search: the same on the search examples, for a search for several tasks.
        facts: further keys, such as `compilations`, `seconds` and `too_long`.
    """
    names = ["model", "task", "protocol", "num_layers", "epsilon", "floor"]
    picks = {name: getattr(result, name) for name in PICKS}
    strata, examples = strata_of(settings, "search"), result.total
    if strata is not None:
        names.append("objective")
        examples = sum(strata.sizes.values())

    def measured(pick: Candidate) -> Record:
        held_out = None
        if test is not None:
            given = test[pick.dropped], test[result.baseline.dropped]
            held_out = measure_answers(*given, strata_of(settings, "test"))
        found = measure(pick.correct, result.total)
        if strata is not None and search is not None:
            found = strata.measure_answers(search[pick.dropped])
        return {"dropped": list(pick.dropped), **found, "test": held_out}

    return {
        **{name: settings[name] for name in names},
        "examples": examples,
        "stop_reason": result.stop_reason,
        **facts,
        **{name: measured(pick) for name, pick in picks.items()},
    }


def changes(
    answers: Mapping[tuple[str, str], Sequence[Answer]], questions: Mapping[str, Sequence[str]]
) -> list[Record]:
    """The examples that BEST and BSBA answer otherwise than the baseline.

    They are those of the test split, or of the search split if there is no other.

    Args:
        answers: to every example, by split and pick.
        questions: the text of every example, by split.

    Returns:
        For each pick the numbers of examples ``gained`` and ``lost``, and the first of them,
        ``shown`` with their questions and answers.
    """
    split, found = "test" if ("test", "baseline") in answers else "search", []
    texts = questions.get(split, ())
    for pick in PICKS[1:]:
        pairs = zip(
            answers.get((split, "baseline"), ()), answers.get((split, pick), ()), strict=False
        )
        rows = [
            {
                "example": number,
                "question": texts[number][-MOST_LETTERS:] if number < len(texts) else "",
                "before": str(before.prediction)[:MOST_LETTERS],
                "after": str(after.prediction)[:MOST_LETTERS],
                "gained": after.correct,
            }
            for number, (before, after) in enumerate(pairs)
            if before.correct != after.correct
        ]
        gained = sum(row["gained"] for row in rows)
        counts = {"gained": gained, "lost": len(rows) - gained}
        found.append({"pick": pick, "split": split, **counts, "shown": rows[:MOST_SHOWN]})
    return found


def verdict(summary: Record) -> list[str]:
    """The verdict of a search, in sentences for the terminal and the report.

    Args:
        summary: the contents of `summary.json`.
    """
    baseline, best, bsba = (summary[name] for name in PICKS)
    start = "the model it started from" if baseline["dropped"] else "the full model"
    if best["dropped"] == baseline["dropped"]:
        why = "no accepted candidate answered more search examples correctly"
        lines = [f"BEST is {start}: {why}."]
    else:
        lines = [_claim("BEST", best, summary, start)]
    if bsba["dropped"] == best["dropped"]:
        lines.append("BSBA (deepest with at least baseline accuracy) is the same as BEST.")
    elif bsba["dropped"] == baseline["dropped"]:
        lines.append(f"BSBA is {start}.")
    else:
        lines.append(_claim("BSBA", bsba, summary, start))
    if (control := summary.get("null_control")) is not None:
        lines.append(control_line(control))
    if baseline["test"] is None:
        lines.append(
            f"There are no held-out examples: the layers were chosen on the same "
            f"{summary['examples']} examples, so these figures are optimistic."
        )
    return lines


def control_line(control: Record) -> str:
    """A sentence on the gain of a search, and the gains of searches on shuffled answers."""
    gains, count = [100 * gain for gain in control["gains"]], control["shuffles"]
    return (
        f"Null control: on the search examples BEST gains {100 * control['gain']:.1f} points; "
        f"the same search on shuffled answers gains {100 * control['mean_gain']:.1f} on average "
        f"({min(gains):.1f} to {max(gains):.1f} in {count} search{'es' if count > 1 else ''}), "
        f"by selection alone; {p_text(control['p_value'])}."
    )


def _claim(name: str, pick: Record, summary: Record, start: str) -> str:
    """A sentence that compares a pick with the baseline, on the test examples if there are any."""
    baseline, dropped, layers = summary["baseline"], pick["dropped"], summary["num_layers"]
    what = (
        f"{name} drops {_kind(dropped)} {layer_list(dropped)} "
        f"({layers - count_layers(dropped):g} of {layers} remain)"
    )
    if pick["test"] is None:
        return f"{what}: search accuracy {percent(pick)} against {percent(baseline)} of {start}."
    p_value = pick["test"]["p_value"]
    change = pick["test"]["correct"] - baseline["test"]["correct"]
    noise = (
        "within noise" if p_value >= NOISE else f"a {'gain' if change > 0 else 'loss'} beyond noise"
    )
    test = "permutation within tasks" if "tasks" in pick["test"] else "McNemar"
    return (
        f"{what}: test accuracy {percent(pick['test'])} against {percent(baseline['test'])} of "
        f"{start}; {test} {p_text(p_value)}: {noise}."
    )


def _kind(dropped: Sequence[Unit]) -> str:
    """The word for what is dropped."""
    return ("half-layer" if has_halves(dropped) else "layer") + "s" * (len(dropped) > 1)


def layer_list(layers: Sequence[Unit]) -> str:
    """`3, 5`, or `3, 5; attention of 1, 4; MLP of 2`, or `none`."""
    halves = [unit.split(".") for unit in layers if isinstance(unit, str)]
    groups = {"": [str(unit) for unit in layers if isinstance(unit, int)]}
    groups |= {
        f"{word} of ": [layer for layer, kind in halves if kind == half]
        for word, half in zip(("attention", "MLP"), HALVES, strict=True)
    }
    return "; ".join(word + ", ".join(found) for word, found in groups.items() if found) or "none"


def percent(measured: Record) -> str:
    """`81.2 % [77.0, 85.1]`: an accuracy with its interval, for sentences."""
    return interval(measured).replace(" [", " % [")


def interval(measured: Record) -> str:
    """`81.2 [77.0, 85.1]`: an accuracy in per cent with its interval, for tables."""
    middle, low, high = (f"{100 * measured[each]:.1f}" for each in ("accuracy", "low", "high"))
    return f"{middle} [{low}, {high}]"


def p_text(p_value: float) -> str:
    """`p = 0.21` or `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _perplexity_text(value: float | None) -> str:
    """`12.35`, `985,900` or `3e+12`."""
    if value is None:
        return "not finite"
    return f"{value:.2f}" if value < 1000 else f"{value:,.0f}" if value < 1e9 else f"{value:.1g}"


def damage_rows(damage: Record) -> list[list[str]]:
    """Make the rows of the table of general damage: a label, and a cell for each pick.

    Args:
        damage: of ``summary.json``; ``text`` and ``untouched``.
    """
    text = damage["text"]
    losses = [text[name]["perplexity"] for name in PICKS]
    label = f"perplexity of {text['tokens']} tokens ({text['source']})"
    rows = [[label, *map(_perplexity_text, losses)]]
    for task, found in damage["untouched"].items():
        cells = []
        for name in PICKS:
            star = name != "baseline" and found[name].get("p_value", 1) < NOISE
            cells.append(interval(found[name]) + "*" * star)
        rows.append([f"accuracy on {task} ({found['split']})", *cells])
    return rows
