"""Classifiers are trained and explained, and a converted model is fine-tuned: at tiny sizes."""

import re
import shutil

import pytest

from attention.errors import InputError
from attention.explanation import SETS
from attention.files import read_json, read_json_lines


@pytest.mark.nightly
def test_classifiers_are_trained_and_compared(load_script, tmp_path, monkeypatch):
    classifiers = load_script("train_classifiers")
    whole = classifiers.generate_texts
    monkeypatch.setattr(classifiers, "generate_texts", lambda seed, count: whole(seed, 97))
    monkeypatch.setitem(classifiers.STEPS, "demo", 2)
    table = load_script("reproduce_explanation")
    asked = []

    def explain(model, task, out, **given):
        """What ``attn explain`` returns, whose own tests are elsewhere."""
        asked.append((model.name, task, out.name, given["untrained"]))
        flips = {name: {"flip": (0.5, 0.25, 0.75), "attention_tvd": (0.125, 0, 1)}
                 for name in table.INTERVENTIONS}  # fmt: skip
        kinds = ("raw", "effective", "efficient", "gradient × input", "random")
        aopc = {kind: {"comprehensiveness": (0.5, 0.25, 0.75)} for kind in kinds}
        heads = {"support_raw": 7.0, "support_efficient": 3.0, "tvd": 0.25}
        supports = {name: {"tvd": (0.25, 0, 1), "removed_tvd": (0.1 + given["seed"], 0, 1),
                           "necessary": (0.5, 0, 1)} for name in SETS}  # fmt: skip
        context = dict.fromkeys(("shuffled_tvd", "rank_correlation"), (0.5, 0.25, 0.75))
        return {"heads": heads, "interventions": flips, "aopc": aopc, "supports": supports,
                "context": context}  # fmt: skip

    monkeypatch.setattr(table, "explain", explain)
    out, models = tmp_path / "out", tmp_path / "models"
    shown = {"task": "demo", "models": models, "limit": 3, "results": tmp_path / "units"}
    text = table.main(out, kinds=("encoder", "untrained"), **shown)
    assert asked == [
        ("demo-encoder", "demo", "demo-encoder", False),
        ("demo-encoder", "demo", "demo-untrained", True),
    ]
    head, _, *rows = text.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [["demo", "encoder"], ["demo", "untrained"]]
    assert all(len(row) == head.count("|") - 1 for row in cells)
    assert cells[0][2] in (models / "demo-encoder" / "README.md").read_text()
    assert (out / "table.md").read_text() == text + "\n" and (out / "flips.png").stat().st_size
    monkeypatch.setattr(table, "train", lambda *args, **given: pytest.fail("is there already"))
    (models / "demo-encoder").rename(models / "demo-encoder-seed1")
    shutil.copytree(models / "demo-encoder-seed1", models / "demo-encoder")
    table.main(out, kinds="encoder", seeds=2, **shown)
    assert asked[2:] == [("demo-encoder-seed1", "demo", "demo-encoder-seed1", False)]  # the other
    # is a finished unit
    (line,) = (out / "claims.md").read_text().splitlines()[2:]
    assert line.startswith("| demo, encoder") and "| 0.600 ± 6.353 |" in line  # t · s/√2 = 12.7/2
    labels = read_json(models / "demo-encoder" / "config.json")["id2label"]
    assert sorted(labels) == ["0", "1"]
    with pytest.raises(InputError, match="exists"):
        classifiers.main("demo", models, kinds="encoder")


@pytest.mark.nightly
def test_a_converted_model_learns_beside_its_original(write_model, load_script, tmp_path, capsys):
    converted = load_script("finetune_converted")
    model = write_model(tmp_path / "tiny", num_hidden_layers=2)
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat. " * 40)
    given = {"model": str(model), "steps": 3, "batch": 2, "length": 17}
    converted.main(out=tmp_path / "out", text=file, **given)
    shown = capsys.readouterr().out
    losses = {name: re.findall(r"\d+\.\d+", line) for name in ("softmax", "converted")
              for line in shown.splitlines() if line.startswith(name)}  # fmt: skip
    assert all(len(numbers) == 2 for numbers in losses.values()) and len(losses) == 2
    assert all(float(after) < float(before) for before, after in losses.values())
    assert (tmp_path / "out" / "learned.png").stat().st_size
    lines = read_json_lines(tmp_path / "out" / "converted" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 2]
    with pytest.raises(InputError, match="give a --text"):
        converted.main(out=tmp_path / "other", **given)
    file.write_text("too short")
    with pytest.raises(InputError, match="are too few"):
        converted.main(out=tmp_path / "other", text=file, **given)
