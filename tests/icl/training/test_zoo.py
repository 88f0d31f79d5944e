"""Models that come along: a folder that opens as a run, by its name."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from attention.errors import InputError
from icl import zoo
from icl.cli import main
from icl.training import init, load, load_all, predict, read_card, save_model, zoo_names
from icl.training import zoo as bundled

CARD = {
    "name": "tiny",
    "recipe": "Adam",
    "steps": 12,
    "published_steps": 500_000,
    "headline": "error 1.5 at σ = 1",
}


@pytest.fixture
def tiny_zoo(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "zoo")
    save_model(tmp_path / "zoo" / "tiny", trained, CARD)
    return tmp_path / "zoo" / "tiny"


def test_a_bundled_model_predicts_as_the_run_it_was_made_of(tiny_zoo, trained):
    found = load(Path("zoo:tiny"))
    assert found.experiment == trained.experiment and found.config == trained.config
    x_BTD = np.linspace(-1, 1, 35, dtype=np.float32).reshape(7, 5, 1)
    y_BT = 3 * x_BTD[:, :, 0] - 1
    ours, theirs = (predict(m.config, m.params, x_BTD, y_BT) for m in (found, trained))
    assert ours.dtype == np.float32
    assert 0 < np.abs(ours - theirs).max() < 2e-3 * np.abs(theirs).max()  # float16 in the file
    assert list(load_all(Path("zoo:tiny"))) == ["zoo:tiny"]
    assert read_card("tiny") == CARD | {"dtype": "float16"}


def test_every_command_takes_the_name(tiny_zoo, tmp_path, table):
    words = f"evaluate --run zoo:tiny --count 3 --prompts 2 --sweep sigma=1,2 --out {tmp_path}/out"
    main([*words.split(), "--quiet"])
    rows = table(tmp_path / "out" / "errors.csv")
    assert [row["predictor"] for row in rows] == ["zoo:tiny"] * 2
    assert "zoo:tiny" in str(zoo()) and zoo()["models"] == [CARD | {"dtype": "float16"}]


def test_what_is_wrong_is_said(tiny_zoo, trained, capsys):
    with pytest.raises(SystemExit):
        main("saturation --run zoo:tinny --out none".split())
    assert "no model 'tinny' comes along (did you mean tiny?)" in capsys.readouterr().err
    other = dataclasses.replace(trained.experiment, hidden_size=10)
    wide = dataclasses.replace(trained, params=init(other.config(), 0))
    save_model(tiny_zoo, wide, CARD)
    with pytest.raises(InputError, match="parameters of another model"):
        load(Path("zoo:tiny"))
    (tiny_zoo / "params.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        load(Path("zoo:tiny"))


def test_the_bundled_models_are_whole_and_small():
    size = sum(file.stat().st_size for file in bundled.FOLDER.rglob("*") if file.is_file())
    assert size < 6e6
    for name in zoo_names():
        settings = json.loads((bundled.FOLDER / name / "settings.json").read_text())
        card = read_card(name)
        assert card["name"] == name and card["steps"] > 0 and settings["seeds"] == 1
        assert load(Path(f"zoo:{name}")).config.normalizer == settings["normalizer"]
