"""Runs of pretraining with their probing, as arms of several seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files import SETTINGS, check_shape, read_json, read_settings, read_table
from attention.language.run_files import Paradigm as ParadigmRow
from attention.language.run_files import Pretrained, Probing, Summary

SUMMARY, PROBE = "summary.json", "probe"
SAME = "recipe objective corpus_hash tokenizer_hash vocabulary steps batch length".split()
"""Settings that all runs of a comparison share."""
PERPLEXITIES = {"perplexity": "in_domain", "perplexity_elsewhere": "out_of_domain"}
Paradigm = tuple[str, str, str]
"""Task, phenomenon and name."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """What one run reached.

    Attributes:
        path: of the run.
        perplexities: by measure.
        accuracies: of paradigms, from 0 to 1.
        pairs: number of pairs of each paradigm.
        floors: of each floor, the perplexity in the domain, and its mean accuracy on each task in
            per cent.
        probing: settings of the probing that decide its results; None: it was not probed.
    """

    path: Path
    perplexities: dict[str, float]
    accuracies: dict[Paradigm, float]
    pairs: dict[Paradigm, int]
    floors: dict[str, dict[str, float]]
    probing: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Arm:
    """The runs of one normalizer.

    Attributes:
        name: specification of the normalizer.
        runs: by seed.
    """

    name: str
    runs: dict[int, Scores]


def read_arms(runs: Sequence[Path], reference: str) -> list[Arm]:
    """Read runs, and put those of one normalizer into an arm.

    Args:
        runs: directories of ``attn pretrain``, with one seed or with several.
        reference: normalizer of the arm that the others are compared with.

    Returns:
        The arms; the reference is the first.

    Raises:
        InputError: a directory is no run, two runs are the same arm and seed, the runs differ in
            more than normalizer and seed, or no run has the reference's normalizer.
    """
    folders = [folder for run in runs for folder in _of_seeds(run)]
    settings = {folder: read_settings(folder) for folder in folders}
    _check_alike(settings)
    arms: dict[str, dict[int, Scores]] = {}
    for folder, values in settings.items():
        check_shape(values, Pretrained, folder / SETTINGS)
        own = arms.setdefault(values["normalizer"], {})
        if (seed := values["seed"]) in own:
            both = f"{own[seed].path} and {folder}"
            raise InputError(f"{both} are the same arm and seed: leave one out")
        own[seed] = _scores(folder)
    if reference not in arms:
        known = ", ".join(arms)
        raise InputError(
            f"no run has the normalizer {reference!r} (--reference); there are {known}"
        )
    _check_probing([scores for own in arms.values() for scores in own.values()])
    names = [reference, *(name for name in arms if name != reference)]
    if len(names) < 2:
        raise InputError(f"all runs have the normalizer {reference}: give a --run of another")
    return [Arm(name, arms[name]) for name in names]


def _of_seeds(run: Path) -> list[Path]:
    """The directories of a run's seeds; the run itself if it has one.

    Raises:
        InputError: the directory holds no run.
    """
    seeds = sorted(run.glob(f"seed-*/{SETTINGS}"))
    if seeds:
        return [file.parent for file in seeds]
    read_settings(run)
    return [run]


def _check_alike(settings: Mapping[Path, Mapping[str, Any]]) -> None:
    (first, values), *others = settings.items()
    for folder, theirs in others:
        for field in SAME:
            if values.get(field) != theirs.get(field):
                raise InputError(
                    f"{first} and {folder} differ in {field} ({values.get(field)} and "
                    f"{theirs.get(field)}): only normalizer and seed may differ"
                )


def _scores(run: Path) -> Scores:
    summary = read_json(run / SUMMARY) if (run / SUMMARY).is_file() else {}
    check_shape(summary, Summary, run / SUMMARY)
    perplexities = {
        name: summary[key]["perplexity"] for name, key in PERPLEXITIES.items() if summary.get(key)
    }
    floors = {"perplexity": below} if (below := summary.get("floors")) else {}
    probe = run / PROBE
    if not (probe / "paradigms.csv").is_file():
        if not perplexities:
            raise InputError(f"{run} has no results: finish it, or attn probe --model {run}")
        return Scores(run, perplexities, {}, {}, floors, None)
    rows = read_table(probe / "paradigms.csv")
    check_shape(rows, list[ParadigmRow], probe / "paradigms.csv", texts=True)
    key = [(row["task"], row["phenomenon"], row["paradigm"]) for row in rows]
    found = read_json(probe / SUMMARY)
    check_shape(found, Probing, probe / SUMMARY)
    asked = read_settings(probe)
    return Scores(
        run,
        perplexities,
        {k: float(row["accuracy"]) for k, row in zip(key, rows, strict=True)},
        {k: int(row["pairs"]) for k, row in zip(key, rows, strict=True)},
        floors
        | {
            task: {name: 100 * floor["accuracy"] for name, floor in row["floors"].items()}
            for task, row in found["tasks"].items()
            if row.get("floors")
        },
        {name: asked.get(name) for name in ("tasks", "rule", "limit")},
    )


def _check_probing(scores: Sequence[Scores]) -> None:
    """Raise InputError if the runs were not all asked the same."""
    first, *others = scores
    for other in others:
        if (first.probing is None) != (other.probing is None):
            lacks = first if first.probing is None else other
            raise InputError(f"{lacks.path} was not probed: attn probe --model {lacks.path}")
        if first.probing != other.probing or first.pairs != other.pairs:
            raise InputError(
                f"{first.path} and {other.path} were not asked the same: probe both with the same "
                "--task, --rule and --limit"
            )
