"""Training: resume, seeds at once, what a run directory refuses."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.training import for_training
from icl.cli import main
from icl.training import (
    Experiment,
    Updates,
    draw_of,
    init,
    load,
    load_all,
    loss_of,
    parts_of,
    predict,
    train,
)


def leaves(state):
    return jax.tree.leaves(state.params)


def metrics(directory):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "steps_per_s": None} for line in lines]


def test_resumes_to_the_identical_result(run, tiny, updates, tmp_path):
    train(tiny, tmp_path / "run", updates(6), quiet=True)
    state = train(tiny, tmp_path / "run", updates(), quiet=True)
    for ours, theirs in zip(leaves(load(run)), leaves(state), strict=True):
        assert np.array_equal(ours, theirs)
    lines = metrics(run)
    assert [line["step"] for line in lines] == [0, 3, 6, 9, 11]
    assert lines[-1]["loss"] < 10 and lines[-1]["loss"] != lines[0]["loss"]


def test_the_loss_of_seeds_at_once_is_their_mean(pair, run):
    for line, alone in zip(metrics(pair), metrics(run), strict=True):
        each = [line[f"loss_{seed}"] for seed in (11, 12)]
        assert line["loss"] == pytest.approx(np.mean(each), rel=1e-5) and len({*each}) == 2
        assert each[0] == pytest.approx(alone["loss"], rel=1e-4)


def test_seeds_at_once_are_separate_runs(pair, run, tiny, updates):
    found = load_all(pair)
    assert list(found) == ["pair#11", "pair#12"]
    other = leaves(train(dataclasses.replace(tiny, seed=12), None, updates(), quiet=True))
    for ours, alone in zip(found.values(), (leaves(load(run)), other), strict=True):
        for one, theirs in zip(leaves(ours), alone, strict=True):
            np.testing.assert_allclose(one, theirs, atol=1e-5)
    one, two = map(leaves, found.values())
    assert any(abs(a - b).max() > 1e-2 for a, b in zip(one, two, strict=True))  # not one twice
    with pytest.raises(InputError, match="seeds 11 to 12, not 3"):
        load(pair, 3)


def test_points_beyond_a_curriculum_do_not_count(tiny):
    task = dataclasses.replace(tiny, point_curriculum="2:5:1:4").task()
    prompts = draw_of(task, 7, range(1))(4)  # three points by now
    params, loss = init(tiny.config(), 0), loss_of(tiny.config(), task, range(1))
    total, count, _ = loss(params, prompts, None)
    other = prompts._replace(y_BT=prompts.y_BT.at[:, 3:].add(100))
    assert count == 7 * 3 and total > 0
    assert loss(params, other, None)[0] == pytest.approx(float(total), rel=1e-5)


def test_causal(trained):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 5, 1)).astype("f4"), rng.normal(size=(1, 5)).astype("f4")
    whole = lambda x, y: np.asarray(predict(trained.config, trained.params, x, y))  # noqa: E731
    later_x, later_y = x.copy(), y.copy()
    later_x[:, 3:], later_y[:, 2:] = 9, 9
    assert np.array_equal(whole(x, y)[:, :3], whole(later_x, later_y)[:, :3])
    assert not np.allclose(whole(x, y)[:, 3:], whole(later_x, later_y)[:, 3:])


@pytest.mark.quick("ssa-6")
@pytest.mark.parametrize(
    ("normalizer", "batch"), [("softmax", 5), ("softmax", 6), ("ssa", 6), ("entmax", 6)]
)  # an odd number of rows has no halves
def test_a_cpu_trains_the_same_model(normalizer, batch, tiny):
    """Loss and gradients by its own means, in parts, against the plain ones."""
    experiment = dataclasses.replace(
        tiny, preset="linear-2l3ah", hidden_size=12, normalizer=normalizer, points=29, batch=batch
    )
    task, seeds, config = experiment.task(), range(3, 4), experiment.config()
    params = init(config, 3)
    assert jax.default_backend() != "cpu" or for_training(config) != config
    prompts = draw_of(task, batch, seeds)(5)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: x.astype(np.float64) if x.dtype.kind == "f" else x, prompts)
        params = jax.tree.map(lambda x: x.astype(np.float64), params)
        config = dataclasses.replace(config, dtype="float64")
        expected, found = (
            jax.jit(jax.value_and_grad(lambda p, c=each: c(p, wide, None)[0]))(params)
            for each in (
                plain_loss(config, task),
                loss_of(config, task, seeds),
            )
        )
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-11 * max(1, np.abs(one).max()))


def plain_loss(config, task):
    def loss(params, prompts, key):
        predicted = predict(config, params, prompts.x_BTD, prompts.y_BT)
        return task.loss.total(predicted, prompts)

    return loss


@pytest.mark.nightly  # attention/training/test_fit.py adds parts up
def test_parts_of_a_batch_add_up(tiny):
    two = dataclasses.replace(tiny, seeds=2, batch=6)
    three = Updates(3, 3, 3, 3)
    whole, parts = (
        leaves(train(two, None, dataclasses.replace(three, accumulate=n), quiet=True))
        for n in (1, 3)
    )
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
    with pytest.raises(InputError, match="6 prompts has no 4 equal parts"):
        train(two, None, dataclasses.replace(three, accumulate=4))


@pytest.mark.nightly
def test_eight_devices_train_as_one_does(tmp_path):
    words = (
        "train --preset linear-1l1ah --hidden-size 6 --points 7 --batch 16 --steps 3 --dispatch 3"
    )
    words = [*words.split(), "--save-every", "3", "--log-every", "3", "--accumulate", "2", "--out"]
    main([*words, str(tmp_path / "1")])
    code = """
from icl import cli
from icl.training import fitting
fit = fitting.fit
def watched(*given, **how):
    state = fit(*given, **how)
    assert len(state.step.sharding.device_set) == 8
    return state
fitting.fit = watched
cli.main()
"""
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    env = {**os.environ, "XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", code, *words, str(tmp_path / "8")], check=True, env=env)
    one, eight = (leaves(load(tmp_path / devices)) for devices in ("1", "8"))
    for ours, theirs in zip(one, eight, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
    words[words.index("16")] = "12"
    refused = subprocess.run(
        [sys.executable, "-c", code, *words, str(tmp_path / "12")],
        check=False, capture_output=True, text=True, env=env,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "12 prompts has no 2 equal parts on 8 device(s)" in refused.stderr
    assert not (tmp_path / "12").exists()


def test_parts_fill_the_cache():
    each = {name: parts_of(Experiment(f"linear-{name}")) for name in ("1l1ah", "12l8ah", "18l8ah")}
    assert each == {"1l1ah": 1, "12l8ah": 4, "18l8ah": 4}
    assert parts_of(Experiment("linear-12l8ah", batch=7)) == 1  # a part of one prompt is too small
    assert parts_of(Experiment("linear-12l8ah", batch=22)) == 1
    assert parts_of(Experiment("linear-1l1ah", seeds=8)) == 8


def test_the_directory_of_another_experiment(run, tiny, updates, tmp_path):
    other = dataclasses.replace(tiny, normalizer="ssa")
    with pytest.raises(InputError, match='normalizer was "softmax" and is now "ssa"'):
        train(other, run, updates())
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="holds no run"):
        train(tiny, tmp_path, updates())
    with pytest.raises(InputError, match="holds no run"):
        load(tmp_path)
    with pytest.raises(InputError, match="seeds 11 to 11"):
        load(run, seed=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "linear"},
        {"preset": "cubic-1l1ah"},
        {"preset": "linear-1x"},
        {"preset": "linear-1l7ah"},
        {"functions": "gauss:0,1"},
        {"inputs": "normal:0"},
        {"design": "rare"},
        {"labels": False},
        {"normalizer": "softmin"},
        {"functions": "polynomial:degree=x"},
        {"batch": 0},
        {"seed": -1},
        {"hidden_size": -4},
        {"learning_rate": float("nan")},
    ],
)
def test_bad_experiments(changes, tiny, updates, tmp_path):
    with pytest.raises(InputError) as error:
        bad = dataclasses.replace(tiny, **{"hidden_size": None, **changes})
        train(bad, tmp_path / "r", updates())
    assert "\n" not in str(error.value) and not (tmp_path / "r").exists()
