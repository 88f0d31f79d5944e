"""The script that eliminates layers of models that learn in context."""

import json

import jax
import numpy as np
import pytest

from icl.training import Experiment, Trained, init


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("eliminate_in_context")


def untrained(preset, **fields):
    experiment = Experiment(preset, hidden_size=8, points=5, **fields)
    config = experiment.config()
    return Trained(experiment, experiment.task(), config, init(config, 3))


def test_a_prompt_counts_by_its_error(script):
    model = untrained("linear-1l1ah")
    case = script.drawn(model, 3, 7, 1)
    assert case.y_FBT.shape == (1, 7, 5) and case.setting["sigma"] == 3
    slopes = [
        np.polyfit(x, y, 1)[0] for x, y in zip(case.x_BTD[..., 0], case.y_FBT[0], strict=True)
    ]
    assert len(set(np.round(slopes, 3))) == 7  # each prompt has inputs and a function of its own
    assert len({tuple(x) for x in case.x_BTD[..., 0]}) == 7
    silent = Trained(
        model.experiment, model.task, model.config, jax.tree.map(np.zeros_like, model.params)
    )
    found = script.errors(silent, case)  # it answers 0
    wanted = np.square(case.y_FBT)[0][:, case.where_BT[0]].mean(axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert script.threshold_of(silent, 11) == pytest.approx(
        1.1 * np.median(script.errors(silent, script.drawn(silent, 1, 11, 2)))
    )


def test_a_quantifier_has_one_answer(script):
    model = untrained("every-1l1ah")
    case = script.drawn(model, 1, 7, 0)
    assert (case.where_BT.sum(axis=1) == 1).all() and script.threshold_of(model, 3) == 0.25
    assert set(script.errors(model, case)) <= {0.0, 0.5, 1.0}


@pytest.mark.parametrize("granularity", ["layer", "sublayer"])
def test_models_without_mlps_lose_attention_alone(script, granularity):
    model = untrained("linear-2al8ah")
    rows = script.examine(model, granularity, 3)
    whole, gone = ((), (0,)) if granularity == "layer" else ((), ("0.attention",))
    assert {tuple(row["dropped"]) for row in rows} <= {whole, gone, (1,), ("1.attention",)}
    assert len(rows) == 3 * 2
    assert script.pruned(model, gone).config.halves == ((True, False),)


def test_every_seed_of_a_run_is_a_unit(script, tmp_path, monkeypatch):
    model = untrained("every-1l1ah")
    monkeypatch.setattr(script, "load_all", lambda run: {"mine#1": model, "mine#2": model})
    found = script.main(models=("runs/mine",), data=tmp_path, prompts=3)
    units = [f"mine-{seed}-{part}-3" for seed in (1, 2) for part in ("layer", "sublayer")]
    assert list(found) == units == sorted(file.stem for file in tmp_path.glob("*.json"))


@pytest.mark.nightly
def test_the_steps_of_a_search(script, tmp_path):
    how = {"models": ("zoo:linear-2l2ah-quick-seed0",), "data": tmp_path, "prompts": 11}
    first = script.main(**how)
    by_layer, by_half = first.values()
    assert len(by_layer) == 3 * 2 and len(by_half) == 3 * 4  # a layer, or a half, stays
    for row in (*by_layer, *by_half):  # c+ and c− are read from what no elimination removes
        np.testing.assert_allclose(row["observed_limits"], row["limits_from_weights"], rtol=0.05)
    kept = sorted(tmp_path.glob("*.json"))
    before = [json.loads(file.read_text()) for file in kept]
    assert script.main(**how) == first
    assert [json.loads(file.read_text()) for file in kept] == before
