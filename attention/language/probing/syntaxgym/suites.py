"""SyntaxGym: what a suite predicts of the surprisals of its regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.files import check_shape, read_json_lines
from attention.language.probing.measured import Found, Subject, TableRow, paradigm_row
from attention.language.probing.opening import OpenedModel
from attention.language.probing.sentences import encode_sentences, left_to_right, target_log_probs
from attention.language.probing.syntaxgym.predictions import ALL, Prediction, read_prediction
from attention.language.text_lines import SuiteItem, SuiteLine

CIRCUITS = {
    "center": "center embedding",
    "cleft": "long-distance dependencies",
    "fgd": "long-distance dependencies",
    "mvrr": "garden-path effects",
    "nn": "garden-path effects",
    "npz": "garden-path effects",
    "npi": "licensing",
    "reflexive": "licensing",
    "number": "agreement",
    "subordination": "gross syntactic state",
}
"""The circuit that a suite belongs to, by the first word of its name. Source: Hu, Gauthier, Qian,
Wilcox and Levy (2020), "A systematic assessment of syntactic generalization in neural language
models"."""
DRAWS, CHANCE_SEED = 20_000, 0
_MARKS = re.compile(r"\s+([.,?!;])")


class Suite(NamedTuple):
    """A suite, as its file says.

    Attributes:
        name: of the suite.
        predictions: formulas that should hold in every item.
        conditions: the regions of each condition, item by item.
        items: number of each item.
    """

    name: str
    predictions: list[Prediction]
    conditions: dict[str, list[list[str]]]
    items: list[str]


class Region(NamedTuple):
    """Where a region of a sentence stands.

    Attributes:
        condition: of the sentence.
        item: place of the item in the suite.
        number: of the region, from 1; ``ALL`` for the whole sentence.
        start: its first letter, or the space before it.
        end: letter behind the last.
    """

    condition: str
    item: int
    number: int
    start: int
    end: int


def measure_suites(task: str, subject: Subject) -> Found:
    """Compute the surprisal of every region, and the share of items in which a prediction holds.

    A suite with several predictions has a row for each. A prediction that asks for equal surprisals
    is left out: no two sums of real numbers are equal but by accident.

    Args:
        task: name of the folder.
        subject: a causal model, the options and the floors.

    Raises:
        InputError: there is no suite, or one is not what it should be.
    """
    model, asked = subject.model, subject.asked
    suites = read_suites(asked.folder / task, asked.limit)
    placed = [place_regions(suite) for suite in suites]
    texts = [text for found, _ in placed for text in found]
    encoded = encode_sentences(model, texts)
    rows = [left_to_right(sentence) for sentence in encoded]
    log_probs = target_log_probs(model, rows, False, asked.batch_tokens, subject.steps)
    own = [np.zeros(len(s.tokens)) for s in encoded]
    for surprisals, found in zip(own, log_probs, strict=True):
        surprisals[len(surprisals) - len(found) :] = -found  # without a marker the first has none
    found = Found()
    offsets = _offsets(model, texts)
    found.paradigms, found.regions = _rows(task, suites, placed, own, offsets)
    for name, ngrams in subject.floors.items():
        theirs = [-each for each in ngrams.log_probs([np.array(s.tokens) for s in encoded])]
        each, _ = _rows(task, suites, placed, theirs, offsets)
        found.floors += [{"floor": name, **row} for row in each]
    if left := sum(p.equalities for suite in suites for p in suite.predictions):
        found.notes.append(f"{task}: {left} prediction of equal surprisals is left out")
    return found


def read_suites(folder: Path, limit: int | None = None) -> list[Suite]:
    """Read the suites of a folder: a line about the suite, then a line for each item.

    Args:
        folder: with files ``SUITE.jsonl[.gz]``.
        limit: how many items of each suite are read; None: all.

    Raises:
        InputError: there is no suite, or a line is not what it should be.
    """
    files = sorted(f for f in folder.glob("*.jsonl*") if f.name.endswith((".jsonl", ".jsonl.gz")))
    if not files:
        raise InputError(f"{folder}: no files *.jsonl or *.jsonl.gz")
    return [_suite(file, limit) for file in files]


def _suite(file: Path, limit: int | None) -> Suite:
    about, *items = read_json_lines(file)
    if not items:
        raise InputError(f"{file}: no items")
    check_shape(about, SuiteLine, f"{file}:1")
    check_shape(items, list[SuiteItem], file)
    try:
        predictions = [read_prediction(text) for text in about["predictions"]]
        names = list(items[0]["conditions"])
        chosen = items[:limit]
        conditions = {name: [item["conditions"][name] for item in chosen] for name in names}
        suite = Suite(about["suite"], predictions, conditions, [str(i["item"]) for i in chosen])
        for prediction in predictions:
            for name, number in prediction.regions:
                if min(len(regions) for regions in conditions[name]) < number:
                    raise ValueError(f"{prediction.text!r} asks for a region that is not there")
    except KeyError as error:
        raise InputError(f"{file}: no {error} in the suite or in an item") from None
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None
    return suite


def place_regions(suite: Suite) -> tuple[list[str], list[list[Region]]]:
    """Join the regions of each sentence by spaces, and say where they stand.

    A space that would stand before ``. , ? ! ;`` is left out. An empty region has no letters, and
    a surprisal of zero.

    Args:
        suite: the suite.

    Returns:
        The sentences of all conditions and items, and the regions of each.
    """
    texts, regions = [], []
    for condition, items in suite.conditions.items():
        for number, parts in enumerate(items):
            text, found = "", []
            for place, part in enumerate(map(str.strip, parts), start=1):
                start, part = len(text), _MARKS.sub(r"\1", part)
                space = " " if part and text and part[0] not in ".,?!;" else ""
                text += space + part
                found.append(Region(condition, number, place, start, len(text)))
            texts.append(text)
            regions.append([*found, Region(condition, number, ALL, 0, len(text))])
    return texts, regions


def _offsets(model: OpenedModel, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """The letters of each token.

    Raises:
        InputError: the tokenizer cannot say.
    """
    if not model.tokenizer.is_fast:
        raise InputError(f"{model.name}: its tokenizer does not say which letters a token has")
    encoded = model.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    offsets: Any = encoded["offset_mapping"]
    return offsets


def region_surprisals(
    regions: Sequence[Region],
    surprisals: Float[np.ndarray, " T"],
    offsets: Sequence[tuple[int, int]],
) -> dict[int, float]:
    """Sum the surprisals of the tokens of each region; a token belongs to where its last letter is.

    Args:
        regions: of a sentence.
        surprisals: of its tokens.
        offsets: of their letters.
    """
    ends = np.array([end - 1 for _, end in offsets])
    return {
        region.number: float(surprisals[(ends >= region.start) & (ends < region.end)].sum())
        for region in regions
    }


def _rows(
    task: str,
    suites: Sequence[Suite],
    placed: Sequence[tuple[list[str], list[list[Region]]]],
    surprisals: Sequence[Float[np.ndarray, " T"]],
    offsets: Sequence[Sequence[tuple[int, int]]],
) -> tuple[list[TableRow], list[TableRow]]:
    """Rows of ``paradigms.csv`` and of ``regions.csv.gz``."""
    rows, regions_of, number = [], [], 0
    for suite, (texts, regions) in zip(suites, placed, strict=True):
        table: dict[tuple[str, int], np.ndarray] = {}
        for own in regions:
            found = region_surprisals(own, surprisals[number], offsets[number])
            number += 1
            for region in own:
                key, value = (region.condition, region.number), found[region.number]
                table.setdefault(key, np.zeros(len(suite.items)))[region.item] = value
                regions_of.append(
                    {
                        "task": task, "paradigm": suite.name, "id": suite.items[region.item],
                        "condition": region.condition, "region": region.number,
                        "surprisal": value,
                    }
                )  # fmt: skip
        assert len(texts) == len(regions)
        rows += _suite_rows(task, suite, table)
    return rows, regions_of


def _suite_rows(
    task: str, suite: Suite, table: dict[tuple[str, int], np.ndarray]
) -> list[TableRow]:
    kept = [(i, p) for i, p in enumerate(suite.predictions, start=1) if not p.equalities]
    circuit = CIRCUITS.get(re.split(r"[_-]", suite.name)[0], suite.name)
    return [
        paradigm_row(
            task, circuit, suite.name if len(kept) == 1 else f"{suite.name}:{number}",
            prediction.holds(table).astype(np.float64), chance_of(prediction),
        )
        for number, prediction in kept
    ]  # fmt: skip


def chance_of(prediction: Prediction) -> float:
    """How often a prediction holds where surprisals are independent, normal and alike."""
    draw: Any = np.random.default_rng(CHANCE_SEED)
    drawn = {key: draw.normal(size=DRAWS) for key in sorted(prediction.regions)}
    return float(np.mean(prediction.holds(drawn)))
