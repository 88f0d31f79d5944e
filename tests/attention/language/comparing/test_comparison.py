"""Arms of several seeds: what is paired, what is refused, and the verdicts."""

import json

import numpy as np
import pytest

from attention.commands.compare import compare
from attention.errors import InputError
from attention.files import read_table, write_table
from attention.language.comparing import Margin, compare_arms, read_arms, verdict
from attention.statistics import holm, two_level_interval

PARADIGMS = [("blimp", "order", f"p{i}") for i in range(11)]


def write_run(folder, normalizer, seed, better=0.0, perplexity=50.0, probed=True, **settings):
    """A run whose accuracies are `better` points above those of the seed."""
    folder.mkdir(parents=True)
    values = {"command": "attn pretrain", "normalizer": normalizer, "seed": seed, "steps": 7}
    (folder / "settings.json").write_text(json.dumps(values | settings))
    (folder / "summary.json").write_text(
        json.dumps(
            {
                "in_domain": {"perplexity": perplexity},
                "out_of_domain": None,
                "floors": {"bigram": 104.25},
            }
        )
    )
    if not probed:
        return folder
    draw = np.random.default_rng(seed)
    rows = [
        {"task": t, "phenomenon": f, "paradigm": p, "pairs": 1000,
         "accuracy": 0.6 + 0.01 * draw.normal() + better / 100 + 0.001 * (i % 3)}
        for i, (t, f, p) in enumerate(PARADIGMS)
    ]  # fmt: skip
    write_table(folder / "probe" / "paradigms.csv", rows)
    asked = {"command": "attn probe", "tasks": ["blimp"], "rule": "auto", "limit": 1000}
    (folder / "probe" / "settings.json").write_text(json.dumps(asked))
    floors = {"floors": {"bigram": {"accuracy": 0.52}}}
    (folder / "probe" / "summary.json").write_text(json.dumps({"tasks": {"blimp": floors}}))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Three arms of three seeds; ssa is 4 points better, ssmax the same within 0.1."""
    found = []
    for seed in (1, 2, 3):
        noise = 0.05 * (seed - 2)
        for name, better, perplexity in (("softmax", 0, 50), ("ssa", 4, 48), ("ssmax", 0.1, 50.1)):
            folder = tmp_path / f"{name}-{seed}"
            write_run(folder, name, seed, better + noise * bool(better), perplexity + noise)
            found.append(folder)
    return found


def test_verdicts_tables_and_page(runs, tmp_path):
    summary = compare(runs, tmp_path / "out")
    found = {(row["arm"], row["measure"]): row for row in summary["differences"]}
    assert found["ssa", "blimp"]["verdict"] == "better"
    assert found["ssa", "blimp"]["difference"] == pytest.approx(4, abs=1e-6)
    assert found["ssa", "perplexity"]["verdict"] == "better"
    assert found["ssa", "perplexity"]["difference"] == pytest.approx(-4, abs=0.01)
    assert found["ssmax", "blimp"]["verdict"] == "equivalent"
    assert found["ssmax", "perplexity"]["verdict"] == "equivalent"
    rows = read_table(tmp_path / "out" / "paradigms.csv")
    assert len(rows) == 2 * len(PARADIGMS)
    assert all(float(row["p_holm"]) >= float(row["p"]) for row in rows)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "bigram" in page and "equivalent" in page and "ssa against softmax" in page
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "differences.png",
        "paradigms.png",
    }


def test_one_seed_settles_nothing(runs, tmp_path):
    summary = compare(runs[:2], tmp_path / "out")
    assert {row["verdict"] for row in summary["differences"]} == {"not settled"}
    assert "give at least two" in summary["sentences"][0]


@pytest.mark.parametrize(
    ("low", "high", "equal", "lower", "word"),
    [
        (0.2, 0.8, 1.0, False, "equivalent"),
        (0.2, 1.2, 1.0, False, "better"),
        (0.2, 1.2, 1.0, True, "worse"),
        (-3.0, -0.1, 1.0, False, "worse"),
        (-3.0, 0.1, 1.0, False, "not settled"),
        (-0.1, 0.1, None, False, "not settled"),
        (0.1, 0.2, None, False, "better"),
    ],
)
def test_words(low, high, equal, lower, word):
    assert verdict(low, high, Margin("", "", equal, lower_is_better=lower)) == word


def test_seeds_of_one_directory_and_unpaired_seeds(tmp_path):
    both = tmp_path / "both"
    for seed in (1, 2):
        write_run(both / f"seed-{seed}", "softmax", seed, probed=False)
    write_run(tmp_path / "other", "ssa", 2, probed=False)
    arms = read_arms([both, tmp_path / "other"], "softmax")
    assert [sorted(arm.runs) for arm in arms] == [[1, 2], [2]]
    assert [row.seeds for row in compare_arms(arms)] == [1]


def test_what_cannot_be_compared_is_one_line(runs, tmp_path):
    def refused(folders, why, **options):
        with pytest.raises(InputError, match=why) as error:
            compare(folders, tmp_path / "none", **options)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "none").exists()

    refused(runs, "no run has the normalizer 'entmax'", reference="entmax")
    refused(runs[:1], "give a --run of another")
    again = write_run(tmp_path / "again", "softmax", 1)
    refused([*runs, again], "same arm and seed")
    refused([tmp_path / "nothing"], "holds no run")
    longer = write_run(tmp_path / "longer", "ssa", 9, steps=8)
    refused([*runs, longer], "differ in steps")
    bare = write_run(tmp_path / "bare", "ssa", 9, probed=False)
    refused([*runs, bare], "was not probed: attn probe --model")
    alone = write_run(tmp_path / "alone", "entmax", 9)
    refused([*runs, alone], "no seed in common")


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_two_levels():
    draw = np.random.default_rng(0)
    seeds, items = draw.normal(size=(5, 1)), draw.normal(size=(1, 7))
    low, high = two_level_interval(seeds + items)
    spread = np.sqrt(seeds.var() / 5 + items.var() / 7)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.1)
