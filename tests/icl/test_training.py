"""Training: resume, seeds at once, what a run directory refuses; the model against GPT-2's
start."""

import dataclasses
import functools
import json
import math
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from icl_runs import STEPS, TINY

from attention.errors import InputError
from attention.transformer import Transformer
from icl.cli import main
from icl.tasks.function_task import prediction_loss
from icl.tasks.prompts import inputs_and_places
from icl.training.architectures import model
from icl.training.experiments import Experiment
from icl.training.fitting import (
    draw_of,
    for_training,
    init,
    load,
    loss_of,
    parts_of,
    predict,
    train,
)


def leaves(state):
    return jax.tree.leaves(state.params)


def test_resumes_to_the_identical_result(run, tmp_path):
    whole = load(run)
    train(TINY, tmp_path / "run", steps=6, **STEPS)
    state = train(TINY, tmp_path / "run", steps=12, **STEPS)
    for ours, theirs in zip(leaves(whole), leaves(state), strict=True):
        assert np.array_equal(ours, theirs)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 3, 6, 9, 11]
    assert lines[-1]["loss"] < 10 and lines[-1]["loss"] != lines[0]["loss"]


def test_the_loss_of_seeds_at_once_is_their_mean(tmp_path):
    train(dataclasses.replace(TINY, seeds=3), tmp_path / "run", steps=3, **STEPS)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        each = [line[f"loss_{seed}"] for seed in (11, 12, 13)]
        assert line["loss"] == pytest.approx(np.mean(each), rel=1e-5) and len({*each}) == 3


def test_points_beyond_a_curriculum_do_not_count():
    task = dataclasses.replace(TINY, point_curriculum="2:5:1:4").task()
    prompts = draw_of(task, 7, range(1))(4)  # three points by now
    params, loss = init(TINY.config(), 0), loss_of(TINY.config(), task, range(1))
    total, count, _ = loss(params, prompts, None)
    other = prompts._replace(y_BT=prompts.y_BT.at[:, 3:].add(100))
    assert count == 7 * 3 and total > 0
    assert loss(params, other, None)[0] == pytest.approx(float(total), rel=1e-5)


def test_seeds_at_once_are_separate_runs():
    how = {"steps": 20, "dispatch": 20, "save_every": 20, "log_every": 20, "quiet": True}
    small = dataclasses.replace(TINY, preset="linear-1l1ah")
    together = leaves(train(dataclasses.replace(small, seeds=2), None, **how))
    for i in (0, 1):
        alone = leaves(train(dataclasses.replace(small, seed=TINY.seed + i), None, **how))
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[i], theirs, atol=1e-5)
    assert any(abs(leaf[0] - leaf[1]).max() > 1e-2 for leaf in together)  # not one seed twice


def test_causal(trained):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 5, 1)).astype("f4"), rng.normal(size=(1, 5)).astype("f4")
    apply = jax.jit(functools.partial(predict, trained.config, trained.params))
    whole = lambda x, y: np.asarray(apply(x, y))  # noqa: E731
    later_x, later_y = x.copy(), y.copy()
    later_x[:, 3:], later_y[:, 2:] = 9, 9
    assert np.array_equal(whole(x, y)[:, :3], whole(later_x, later_y)[:, :3])
    assert not np.allclose(whole(x, y)[:, 3:], whole(later_x, later_y)[:, 3:])


@pytest.mark.parametrize("architecture", ["2l1ah", "2al1ah", "2mlp"])
def test_reading_some_positions_is_reading_all(architecture):
    config = model(architecture, hidden_size=6)
    params = init(config, 0)
    x = jax.random.normal(jax.random.key(1), (3, 5, 1))
    tokens, places = inputs_and_places(x, x[:, :, 0])

    def apply(**how):
        read = jax.jit(lambda params: Transformer(config).apply({"params": params}, tokens, **how))
        return np.asarray(read(params))

    every = apply()
    np.testing.assert_allclose(apply(read_at=places), every[:, ::2], atol=1e-5)
    indices = np.array([[0, 3], [2, 8], [1, 1]])
    some = np.take_along_axis(every, indices[:, :, None], axis=1)
    np.testing.assert_allclose(apply(read_at=indices), some, atol=1e-5)


@pytest.mark.parametrize(
    ("normalizer", "batch"), [("softmax", 5), ("softmax", 6), ("ssa", 6), ("entmax", 6)]
)  # an odd number of rows has no halves
def test_a_cpu_trains_the_same_model(normalizer, batch):
    """Loss and gradients by its own means, in parts, against the plain ones."""
    experiment = dataclasses.replace(
        TINY, preset="linear-2l3ah", hidden_size=12, normalizer=normalizer, points=29, batch=batch
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
        return prediction_loss(predicted, prompts, task.loss)

    return loss


def test_parts_of_a_batch_add_up():
    how = {"steps": 3, "dispatch": 3, "save_every": 3, "log_every": 3, "quiet": True}
    two = dataclasses.replace(TINY, seeds=2, batch=6)
    whole, parts = (leaves(train(two, None, accumulate=n, **how)) for n in (1, 3))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
    with pytest.raises(InputError, match="6 prompts has no 4 equal parts"):
        train(two, None, accumulate=4, **how)


@pytest.mark.slow
def test_eight_devices_train_as_one_does(tmp_path):
    words = (
        "train --preset linear-1l1ah --hidden-size 6 --points 7 --batch 16 --steps 3 --dispatch 3"
    )
    words = [*words.split(), "--save-every", "3", "--log-every", "3", "--accumulate", "2", "--out"]
    main([*words, str(tmp_path / "1")])
    code = """
from icl import cli, training
fit = training.fit
def watched(*given, **how):
    state = fit(*given, **how)
    assert len(state.step.sharding.device_set) == 8
    return state
training.fit = watched
cli.main()
"""
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    run = functools.partial(subprocess.run, env={**os.environ, "XLA_FLAGS": flags})
    run([sys.executable, "-c", code, *words, str(tmp_path / "8")], check=True)
    one, eight = (leaves(load(tmp_path / devices)) for devices in ("1", "8"))
    for ours, theirs in zip(one, eight, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
    words[words.index("16")] = "12"
    refused = run(
        [sys.executable, "-c", code, *words, str(tmp_path / "12")],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert refused.returncode == 2
    assert "12 prompts has no 2 equal parts on 8 device(s)" in refused.stderr
    assert not (tmp_path / "12").exists()


def test_parts_fill_the_cache():
    each = {name: parts_of(Experiment(f"linear-{name}")) for name in ("1l1ah", "12l8ah", "18l8ah")}
    assert each == {"1l1ah": 1, "12l8ah": 4, "18l8ah": 4}
    assert parts_of(Experiment("linear-12l8ah", batch=7)) == 1  # a part of one prompt is too small
    assert parts_of(Experiment("linear-12l8ah", batch=22)) == 1
    assert parts_of(Experiment("linear-1l1ah", seeds=8)) == 8


def test_the_start_is_gpt2s():
    config = model("12l8ah")
    params = init(config, 0)
    assert config.hidden_size == 256 and len(params["layers"]) == 12
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    # torch: GPT2Model without its vocabulary, 9,608,704, and two nn.Linear, 512 + 257
    assert count == 9_609_473
    layer = params["layers"][5]
    assert layer["mlp"]["up"]["kernel"].std() == pytest.approx(0.02, rel=0.02)
    for kernel in (layer["mlp"]["down"]["kernel"], layer["attention"]["out"]["kernel"]):
        assert kernel.std() == pytest.approx(0.02 / math.sqrt(24), rel=0.02)
    read_in, read_out = params["embed"], params["head"]["out"]
    assert 0.9 < abs(read_in["kernel"]).max() <= 1 and 0.9 < abs(read_in["bias"]).max() <= 1
    assert 0.055 < abs(read_out["kernel"]).max() <= 1 / 16


def test_the_directory_of_another_experiment(run, tmp_path):
    other = dataclasses.replace(TINY, normalizer="ssa")
    with pytest.raises(InputError, match="normalizer is softmax there and ssa here"):
        train(other, run, steps=12, **STEPS)
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="no run"):
        train(TINY, tmp_path, steps=12, **STEPS)
    with pytest.raises(InputError, match="no run"):
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
    ],
)
def test_bad_experiments(changes, tmp_path):
    with pytest.raises(InputError) as error:
        train(
            dataclasses.replace(TINY, hidden_size=None, **changes), tmp_path / "r", steps=3, **STEPS
        )
    assert "\n" not in str(error.value) and not (tmp_path / "r").exists()
