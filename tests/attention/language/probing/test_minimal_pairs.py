"""Readers of BLiMP, its supplement and Zorro."""

from pathlib import Path

import pytest

from attention.errors import InputError
from attention.language.probing import PAIR_SETS, Asked, Pair, PairSet, read_paradigms


def test_paradigms_phenomena_and_pairs(pairs):
    first, second = read_paradigms("blimp", pairs)
    assert (first.phenomenon, first.name, len(first.pairs)) == ("order", "first", 3)
    assert first.pairs[2] == Pair("fed bad", "fed dab", "14", "order")
    assert (second.phenomenon, second.pairs[0].id) == ("second", "0")
    (zorro,) = read_paradigms("zorro", pairs, 1)
    assert zorro.phenomenon == "long-words"
    assert zorro.pairs == [Pair("a dad fed", "dad a fed", "0")]


def test_the_sample_has_each_paradigm():
    found = {t: read_paradigms(t, Asked(Path("sample")).folder) for t in ("blimp", "zorro")}
    assert {task: len(each) for task, each in found.items()} == {"blimp": 67, "zorro": 23}
    assert len({each.phenomenon for each in found["blimp"]}) == 12
    assert all(pair.good != pair.bad for each in found.values() for p in each for pair in p.pairs)


@pytest.mark.nightly
def test_real_sets(shared):
    sizes = {
        task: (
            len(found),
            len({each.phenomenon for each in found}),
            sum(len(p.pairs) for p in found),
        )
        for task in PAIR_SETS
        for found in [read_paradigms(task, shared)]
    }
    assert sizes["blimp"] == (67, 12, 67_000)
    assert sizes["zorro"][0::2] == (23, 46_000)
    assert sizes["blimp_supplement"] == (5, 5, 5_218)


def test_another_set_is_one_row(pairs, monkeypatch):
    read = PAIR_SETS["blimp"].read
    monkeypatch.setitem(PAIR_SETS, "blimp", PairSet(".jsonl", read, lambda name: f"about {name}"))
    assert read_paradigms("blimp", pairs)[1].phenomenon == "about second"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"sentence_good": "a"}', "bad.jsonl:1: Object missing required field `sentence_bad`"),
        ('{"sentence_good": 3, "sentence_bad": "b"}', "Expected `str`, got `int`"),
        ('{"sentence_good": "\\ud800", "sentence_bad": "b"}', "surrogate"),
        ("", "no pairs"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, why):
    (tmp_path / "blimp").mkdir()
    (tmp_path / "blimp" / "bad.jsonl").write_text(line)
    with pytest.raises(InputError, match=why) as error:
        read_paradigms("blimp", tmp_path)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="--data is the folder that holds zorro/"):
        read_paradigms("zorro", tmp_path)
