"""The units of reproduce_language.py: their order, what they leave, and the table of it."""

import json
import sys

import pytest

from attention.errors import InputError


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("reproduce_language")


def content(normalizer, seed, perplexity, correct):
    """What a finished arm found, with one paradigm of each task."""
    name = f"mini-decoder_{normalizer}_seed{seed}"
    probes = {"blimp/islands/wh_island": f"{correct} + 2 of 11", "zorro/case/case": "5 + 0 of 7"}
    place = {"perplexity": perplexity, "loss": 1.0}
    return {"unit": name, "normalizer": normalizer, "seed": seed,
            "in_domain": place, "out_of_domain": None,
            "probes": {"sum": {"model": probes}}}  # fmt: skip


def test_arms_that_are_compared_come_together(script, tmp_path):
    found = script.main(plan=True, results=tmp_path)
    names = [unit["unit"] for unit in found["units"]]
    kinds = ("softmax", "ssa", "temperature", "ssmax")
    assert names[:5] == [*(f"mini-decoder_{k}_seed0" for k in kinds), "mini-decoder_floors"]
    assert len(names) == 3 * (4 + 3) + 2
    assert not any(unit["done"] for unit in found["units"])
    with pytest.raises(InputError, match="no such unit"):
        script.main(plan=True, results=tmp_path, units=("nothing",))


def test_the_table_has_means_differences_and_what_is_left(script, tmp_path):
    runs = [("softmax", 0, 50, 3), ("softmax", 1, 60, 4), ("ssa", 0, 49, 5), ("ssa", 1, 58.8, 6),
            ("temperature", 0, 50, 3), ("temperature", 1, 60, 4), ("ssmax", 2, 40, 4)]  # fmt: skip
    for run in runs:
        made = content(*run)
        (tmp_path / f"{made['unit']}.json").write_text(json.dumps({"found": made}))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{script_marks(script)}\nafter\n")
    script.main(plan=True, results=tmp_path, page=page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    # √(50 · 60) = 54.77; BLiMP (3 + 1)/11 and (4 + 1)/11 on average
    assert "| `softmax` | 0, 1 | 54.77 |  | 40.9 | 71.4 |" in text
    assert "| `ssa` | 0, 1 | 53.68 |  | 59.1 | 71.4 |" in text
    assert "| `ssa` | perplexity | 2 | -2.00 % [-2.00, -2.00] | better |" in text
    assert "| `ssa` | Zorro | 2 | +0.00 points [+0.00, +0.00] | equivalent |" in text
    assert "| against `temperature` | measure |" in text and text.count("-2.00 %") == 2
    assert "| `ssmax` | 2 | 40.00" in text and "| `ssmax` | perplexity" not in text
    assert "16 of 23 units" in text and "- `mini-decoder_ssmax_seed0`" in text
    assert "- `mini-decoder_ssa_seed1`" not in text


def script_marks(script):
    table = sys.modules["language_paper.table"]
    return f"{table.BEGIN}\nold\n{table.END}"


@pytest.mark.nightly
def test_an_arm_leaves_a_file_and_is_not_made_again(script, tmp_path):
    for task, ending in (("blimp", "jsonl"), ("zorro", "txt")):
        (tmp_path / task).mkdir()
        lines = [json.dumps({"sentence_good": "The dog runs.", "sentence_bad": "The dog run.",
                             "linguistics_term": "agreement"})]  # fmt: skip
        if task == "zorro":
            lines = ["the dog run .", "the dog runs ."]
        (tmp_path / task / f"agreement-simple.{ending}").write_text("\n".join(lines) + "\n")
    names = ("mini-encoder_softmax_seed0", "mini-encoder_floors")
    how = {"data": tmp_path, "out": tmp_path / "runs", "results": tmp_path / "r", "units": names,
           "steps": 2, "limit": 1, "quiet": True}  # fmt: skip
    script.main(**how)
    file = tmp_path / "r" / f"{names[0]}.json"
    found = json.loads(file.read_text())["found"]
    assert found["steps"] == 2 and found["in_domain"]["loss"] > 0
    assert set(found["probes"]) == {"unmasked", "pll"}
    floors = json.loads((tmp_path / "r" / f"{names[1]}.json").read_text())["found"]
    assert set(floors["probes"]["unmasked"]) == {"model", "unigram", "bigram", "trigram"}
    file.write_text(json.dumps({"found": found | {"seed": 99}}))
    script.main(**how)
    assert json.loads(file.read_text())["found"]["seed"] == 99
