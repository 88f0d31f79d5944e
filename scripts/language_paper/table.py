"""What finished units found, as text for ``docs/results/language.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention.files import Record, read_bytes, write_text
from attention.language.comparing import Arm, Scores, compare_arms, margin_of
from attention.language.probing import macro_mean, paradigm_row

BEGIN, END = "<!-- reproduce_language.py writes this part -->", "<!-- until here -->"
_COUNTED = re.compile(r"(\d+) \+ (\d+) of (\d+)")
REFERENCES = ("softmax", "temperature")
"""What others are compared with: the usual function, and one trainable sharpness a layer."""
Rows = list[dict[str, Any]]


def paradigms(found: Mapping[str, str]) -> Rows:
    """The rows of a probe from its short form."""
    rows = []
    for name, counted in found.items():
        task, phenomenon, paradigm = name.split("/")
        match = _COUNTED.fullmatch(counted)
        assert match is not None, counted
        correct, ties, pairs = map(int, match.groups())
        points = np.repeat([1.0, 0.5, 0.0], [correct, ties, pairs - correct - ties])
        rows.append(paradigm_row(task, phenomenon, paradigm, points))
    return rows


def accuracies(each: Sequence[Mapping[str, str]]) -> list[str]:
    """Of each task, the mean over seeds of the mean accuracy of its paradigms, in per cent."""
    tables = [paradigms(found) for found in each]
    shown = []
    for task in dict.fromkeys(row["task"] for rows in tables for row in rows):
        means = [macro_mean([r for r in rows if r["task"] == task])["accuracy"] for rows in tables]
        shown.append(f"{100 * float(np.mean(means)):.1f}")
    return shown


def arms_of(found: Sequence[Record], rule: str, first: str = "softmax") -> list[Arm]:
    """The finished arms of a recipe for a comparison with the first; those with its seeds."""
    runs: dict[str, dict[int, Scores]] = {}
    for each in found:
        rows = paradigms(each["probes"][rule]["model"])
        keys = [(row["task"], row["phenomenon"], row["paradigm"]) for row in rows]
        places = {"perplexity": "in_domain", "perplexity_elsewhere": "out_of_domain"}
        runs.setdefault(each["normalizer"], {})[each["seed"]] = Scores(
            Path(each["unit"]),
            {name: each[key]["perplexity"] for name, key in places.items() if each[key]},
            {key: row["accuracy"] for key, row in zip(keys, rows, strict=True)},
            {key: row["pairs"] for key, row in zip(keys, rows, strict=True)},
            {},
            None,
        )
    reference = runs.pop(first, {})
    others = [Arm(name, own) for name, own in runs.items() if set(own) & set(reference)]
    return [Arm(first, reference), *others]


def recipe_part(recipe: str, arms: Sequence[Record], floors: Record | None) -> list[str]:
    """The tables of a recipe.

    Args:
        recipe: its name.
        arms: contents of finished arms.
        floors: content of the unit of floors, or None.
    """
    rules = list((arms[0] if arms else floors or {})["probes"])
    masked = rules[0] != "sum"
    measure = "loss" if masked else "perplexity"
    columns = ["", "seeds", f"{measure} in domain", f"{measure} out of it"]
    columns += [f"{task}, `{rule}`" for rule in rules for task in ("BLiMP", "Zorro")]
    rows = []
    for name in dict.fromkeys(each["normalizer"] for each in arms):
        own = [each for each in arms if each["normalizer"] == name]
        losses = [
            f"{_mean([each[place][measure] for each in own]):.{3 if masked else 2}f}"
            if own[0][place]
            else ""
            for place in ("in_domain", "out_of_domain")
        ]
        scores = [
            x for rule in rules for x in accuracies([e["probes"][rule]["model"] for e in own])
        ]
        seeds = ", ".join(str(each["seed"]) for each in own)
        rows.append([f"`{name}`", seeds, *losses, *scores])
    if floors is not None:
        perplexities = floors["perplexities"].get("test", {})
        for name in floors["probes"][rules[0]]:
            own = [floors["probes"][rule].get(name) for rule in rules]
            scores = [x for found in own for x in (accuracies([found]) if found else ["", ""])]
            title = "untrained" if name == "model" else name
            known = f"{perplexities[name]:.1f}" if name in perplexities else ""
            rows.append([title, "", known, "", *scores])
    rows.append(["chance", "", "", "", *["50.0"] * (len(columns) - 4)])
    return [f"`{recipe}`:", "", *_markdown(columns, rows), "", *_differences(arms, rules[0])]


def _differences(arms: Sequence[Record], rule: str) -> list[str]:
    """Differences to each reference over the seeds that both have."""
    lines = []
    for first in REFERENCES:
        own = [each for each in arms if first == "softmax" or each["normalizer"] != "softmax"]
        compared = arms_of(own, rule, first) if own else []
        if len(compared) < 2:
            continue
        columns = [f"against `{first}`", "measure", "pairs of seeds", "difference", "verdict"]
        rows = [
            [f"`{d.arm}`", margin_of(d.measure).title, str(d.seeds),
             f"{d.difference:+.2f} {margin_of(d.measure).unit} {d.interval}", d.verdict]
            for d in compare_arms(compared)
        ]  # fmt: skip
        lines += [*_markdown(columns, rows), ""]
    return lines


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def write_page(page: Path, lines: Sequence[str]) -> None:
    """Replace the part of a page between the two marks."""
    text = read_bytes(page).decode()
    before, found, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert found and end, f"{page} lacks the marks {BEGIN} and {END}"
    write_text(page, before + BEGIN + "\n\n" + "\n".join(lines).strip() + "\n\n" + END + after)
