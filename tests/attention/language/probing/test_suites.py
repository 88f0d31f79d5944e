"""SyntaxGym: formulas and regions by hand-computed cases."""

import json

import numpy as np
import pytest

from attention.errors import InputError
from attention.language.probing.measured import Subject
from attention.language.probing.options import Asked
from attention.language.probing.syntaxgym.predictions import read_prediction
from attention.language.probing.syntaxgym.suites import (
    chance_of,
    measure_suites,
    place_regions,
    read_suites,
    region_surprisals,
)

VALUES = {
    ("a", 1): np.array([1.0, 5.0]),
    ("a", 2): np.array([2.0, 2.0]),
    ("b-c", 1): np.array([3.0, 3.0]),
    ("b-c", 2): np.array([4.0, 4.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1;%a%) < (1;%b-c%)", [True, False]),
        ("[ (1;%a%) + (2;%a%) ] < [ (1;%b-c%) + (2;%b-c%) ]", [True, False]),  # 3 < 7, 7 < 7
        ("(1;%a%)>(1;%b-c%)", [False, True]),
        # 4 − 2 − 1 = 1 and 4 − 2 − 5 = −3: from left to right
        ("(2;%b-c%) - (2;%a%) - (1;%a%) > 0", [True, False]),
        # 4 − (2 − 1) = 3 and 4 − (2 − 5) = 7
        ("(2;%b-c%) - [(2;%a%) - (1;%a%)] > 3.5", [False, True]),
        ("[(1;%a%) < 2] & [(2;%a%) = 2.0] & [(1;%b-c%) > -1] ", [True, False]),
        ("[[(1;%a%) - (2;%a%)] < (1;%b-c%)]&[(1;%a%)=1]", [True, False]),
    ],
)
def test_formulas(text, expected):
    assert read_prediction(text).holds(VALUES).tolist() == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(1;%a%)", "compares nothing"),
        ("[(1;%a%) < 2", "lacks a ]"),
        ("(1;%a%) < 2)", "ends before"),
        ("(1;%a%) < ", "lacks a region"),
        ("__import__('os')", "cannot be read"),
        ("(1;%a%) < 2 < 3", "ends before"),
    ],
)
def test_bad_formulas(text, why):
    with pytest.raises(ValueError, match=why):
        read_prediction(text)


def test_chance():
    assert chance_of(read_prediction("(1;%a%) < (1;%b%)")) == pytest.approx(1 / 2, abs=0.02)
    both = "[(1;%a%) < (1;%b%)] & [(2;%a%) < (2;%b%)]"
    assert chance_of(read_prediction(both)) == pytest.approx(1 / 4, abs=0.02)
    chain = "[(1;%a%) < (1;%b%)] & [(1;%a%) < (1;%c%)]"  # the least of three
    assert chance_of(read_prediction(chain)) == pytest.approx(1 / 3, abs=0.02)


def write_suite(folder, predictions, regions=("a", "", "bad", ".")):
    folder.mkdir()
    about = {"suite": "number_x", "predictions": predictions}
    item = {"item": 3, "conditions": {"one": list(regions), "two": ["if", " he", "did", ", so."]}}
    lines = [about, item, item | {"item": 4}]
    (folder / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_regions_and_their_tokens(tmp_path):
    (suite,) = read_suites(write_suite(tmp_path / "suites", ["(1;%one%) < (3;%two%)"]), 1)
    texts, regions = place_regions(suite)
    assert texts == ["a bad.", "if he did, so."]
    # One token a letter: the space before a region belongs to it.
    offsets = [(i, i + 1) for i in range(6)]
    found = region_surprisals(regions[0], 2.0 ** np.arange(6), offsets)
    assert found == {1: 1.0, 2: 0.0, 3: 2 + 4 + 8 + 16, 4: 32.0, 0: 63.0}
    # Tokens with the space in front, as byte-level tokenizers have them.
    found = region_surprisals(regions[0], np.array([1.0, 2, 4]), [(0, 1), (1, 5), (5, 6)])
    assert found == {1: 1.0, 2: 0.0, 3: 2.0, 4: 4.0, 0: 7.0}


def test_a_suite_of_a_model(decoder, tmp_path):
    predictions = ["(1;%one%) > 0", "(2;%one%) > 0", "(1;%one%) = (1;%two%)"]
    write_suite(tmp_path / "syntaxgym", predictions)
    found = measure_suites("syntaxgym", Subject(decoder, Asked(tmp_path)))
    rows = [(row["phenomenon"], row["paradigm"], row["accuracy"]) for row in found.paradigms]
    assert rows == [("agreement", "number_x:1", 1.0), ("agreement", "number_x:2", 0.0)]
    assert len(found.regions) == 2 * 2 * 5
    assert "1 prediction of equal surprisals is left out" in found.notes[0]


def test_bad_suites(tmp_path):
    with pytest.raises(InputError, match="no files"):
        read_suites(tmp_path)
    with pytest.raises(InputError, match="region that is not there"):
        read_suites(write_suite(tmp_path / "far", ["(5;%one%) < 3"]))
    with pytest.raises(InputError, match="no 'three' in"):
        read_suites(write_suite(tmp_path / "three", ["(1;%three%) < 3"]))


def test_real_suites(shared):
    suites = read_suites(shared / "syntaxgym")
    assert len(suites) == 34
    assert sum(len(suite.items) for suite in suites) == 842
    assert sum(len(suite.predictions) for suite in suites) == 36
    for suite in suites:
        for text, regions in zip(*place_regions(suite), strict=True):
            assert "  " not in text and text == text.strip()
            assert regions[-1].end == len(text)
