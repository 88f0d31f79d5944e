"""A run that breaks off goes on to the same end; what it keeps, and refuses."""

import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from orbax.checkpoint import v1 as ocp

from attention.errors import InputError
from attention.training.checkpoints import load_params
from attention.training.late_metrics import NonFiniteError
from attention.training.loop import fit

KEY = jax.random.key(0)
ROWS = 12

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.quick("Dataset", "Counter")
@pytest.mark.parametrize("kind", ["function", "Counter", "Dataset"])
def test_resume_is_bitwise_the_uninterrupted_run(toy, tmp_path, kind):
    make = {"function": lambda: toy.data, "Counter": toy.Counter, "Dataset": toy.Dataset}[kind]
    whole = toy.run(data=make(), steps=9)
    for steps in (2, 5, 9):
        parts = toy.run(tmp_path, data=make(), steps=steps, save_every=2)
    assert toy.same(whole, parts)
    assert [line["step"] for line in toy.lines(tmp_path)] == list(range(9))


def test_resume_drops_the_lines_after_the_checkpoint(toy, tmp_path):
    toy.run(tmp_path, steps=3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    toy.run(tmp_path, steps=5)
    assert [line["step"] for line in toy.lines(tmp_path)] == [0, 1, 2, 3, 4]


def test_finished_run_returns_at_once(toy, tmp_path):
    done = toy.run(tmp_path, steps=3)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert toy.same(done, toy.run(tmp_path, steps=3, data=lambda t: pytest.fail("asked for data")))
    assert (tmp_path / "metrics.jsonl").read_text() == before
    with pytest.raises(InputError, match="past steps=2"):
        toy.run(tmp_path, steps=2)


def test_nan_stops_after_saving_and_resumes_from_the_last_good(toy, tmp_path):
    def poisoned(t):
        batch = toy.data(t)
        return {**batch, "x": batch["x"] * (np.nan if t == 5 else 1)}

    with pytest.raises(NonFiniteError, match=r"step 5 .*nonfinite/5"):
        toy.run(tmp_path, steps=9, data=poisoned, save_every=4)  # step 6 is on its way by then
    assert toy.lines(tmp_path)[-1]["step"] == 5
    assert toy.lines(tmp_path)[-1]["loss"] == "nan"
    assert issubclass(NonFiniteError, FloatingPointError)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["4"]
    aside = ocp.load(str(tmp_path / "nonfinite" / "5"), toy.params(), checkpointable_name="params")
    assert toy.same(aside, toy.run(steps=5).params)  # exactly what step 5 started from
    mended = toy.run(tmp_path, steps=9, save_every=2)
    assert toy.same(mended, toy.run(steps=9))
    assert [line["step"] for line in toy.lines(tmp_path)] == list(range(9))


@pytest.mark.parametrize("step", [3, 4])  # just before, and at, a checkpoint
def test_a_bad_state_is_never_a_checkpoint(toy, tmp_path, step):
    rate = lambda count: jnp.where(count == step, jnp.inf, 0.1)  # noqa: E731
    with pytest.raises(NonFiniteError, match=f"step {step} "):  # loss and gradient are still finite
        toy.run(tmp_path, steps=9, optimizer=optax.sgd(rate), save_every=1)
    assert np.isfinite(load_params(tmp_path, toy.params())["up"]).all()


def test_interrupt_saves_and_reraises(toy, tmp_path):
    def interrupting(t):
        if t == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return toy.data(t)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        toy.run(tmp_path, steps=9, data=interrupting)
    assert signal.getsignal(signal.SIGINT) is handler
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["5"]
    assert toy.same(toy.run(tmp_path, steps=9), toy.run(steps=9))
    assert [line["step"] for line in toy.lines(tmp_path)] == list(range(9))


def test_user_errors_are_one_line(toy, tmp_path):
    toy.run(tmp_path, steps=2)
    wrong = [
        ({"key": jax.random.key(1)}, "random key"),
        ({"optimizer": optax.sgd(0.1)}, "another experiment"),
        ({"clip": 1.0}, "another experiment"),
        ({"data": toy.Counter()}, "kind of data"),
        ({"accumulate": 5}, "12 rows"),
        ({"save_every": 0}, "at least 1"),
    ]
    for options, words in wrong:
        with pytest.raises(InputError, match=words) as error:
            toy.run(tmp_path, **options)
        assert "\n" not in str(error.value)
    short = toy.Dataset()
    short.load_state_dict({"position": 98})
    with pytest.raises(InputError, match="ended at step 2"):
        toy.run(data=short)
    with pytest.raises(TypeError):
        toy.run(data=[toy.data(0)])


def test_evaluates_at_the_same_steps_when_a_run_goes_on(tmp_path):
    params, seen = {"w": jnp.ones(3)}, []

    def loss(params, batch, key):
        return jnp.sum(params["w"] ** 2) + batch.sum(), 1.0

    how = {
        "key": jax.random.key(0),
        "directory": tmp_path,
        "save_every": 2,
        "evaluate": lambda t, params: seen.append((t, float(params["w"][0]))),
        "evaluate_every": 2,
        "quiet": True,
    }
    data = lambda t: np.zeros((1, 1), np.float32)  # noqa: E731
    fit(loss, params, optax.sgd(0.1), data, steps=3, **how)
    assert [t for t, _ in seen] == [0, 2, 3]
    assert seen[0][1] > seen[1][1] > seen[2][1]
    fit(loss, params, optax.sgd(0.1), data, steps=5, **how)
    assert [t for t, _ in seen[3:]] == [4, 5]
    how["save_every"] = 1
    fit(loss, params, optax.sgd(0.1), data, steps=5, **how)  # a kill may have come before the look
    assert seen[-1] == seen[-2]


def test_keeps_the_best_and_one_checkpoint_of_every_hour(tmp_path):
    values, seen = {0: 5.0, 2: 3.0, 4: 4.0, 6: 2.5}, {}

    def look(t, params):
        seen[t] = float(params["w"][0])
        return values[t]

    def loss(params, batch, key):
        return jnp.sum(params["w"] ** 2) + batch.sum(), 1.0

    how = {
        "key": jax.random.key(0), "directory": tmp_path, "save_every": 2, "keep": 1,
        "keep_seconds": 3600, "keep_best": True, "evaluate": look, "evaluate_every": 2,
        "quiet": True,
    }  # fmt: skip
    data = lambda t: np.zeros((1, 1), np.float32)  # noqa: E731
    start = {"w": jnp.ones(3)}
    for steps, best in ((4, 2), (6, 6)):  # the second call goes on, and finds a better one
        fit(loss, start, optax.sgd(0.1), data, steps=steps, **how)
        noted = json.loads((tmp_path / "best.json").read_text())
        assert noted == {"step": best, "value": values[best]}
        assert [folder.name for folder in (tmp_path / "best").iterdir()] == [str(best)]
        assert load_params(tmp_path, start, best=True)["w"][0] == seen[best]
    assert {folder.name for folder in (tmp_path / "checkpoints").iterdir()} == {"2", "6"}
