import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from orbax.checkpoint import v1 as ocp

from attention.errors import InputError
from attention.meshes import LogicalRules, make_mesh
from attention.training.checkpoints import load_params
from attention.training.late_metrics import NonFiniteError
from attention.training.loop import fit
from attention.training.sharding import shard
from attention.training.step import TrainState, make_step, state_shardings

KEY = jax.random.key(0)
ROWS = 12


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Most tests train the same program: compile it once."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.mktemp("jax")), 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def toy_params():
    up, down = jax.random.split(jax.random.key(1))
    return {"up": jax.random.normal(up, (3, 7)), "down": jax.random.normal(down, (7, 2))}


def toy_loss(params, batch, key):
    """Weighted squared error; the noise makes the randomness of a step visible."""
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
    error = (jnp.tanh(x @ params["up"]) @ params["down"] - batch["y"]) ** 2
    total = (error.sum(1) * batch["weight"]).sum()
    return total, batch["weight"].sum(), {"rows": batch["weight"].sum() * 3.0}


def noiseless_loss(params, batch, key):
    error = (jnp.tanh(batch["x"] @ params["up"]) @ params["down"] - batch["y"]) ** 2
    return (error.sum(1) * batch["weight"]).sum(), batch["weight"].sum()


def toy_data(t):
    rng = np.random.default_rng(t)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return {"x": x, "y": x[:, :2] ** 2, "weight": rng.uniform(0.1, 2, ROWS).astype(np.float32)}


def run(directory=None, steps=6, data=toy_data, loss=toy_loss, optimizer=None, **options):
    options = {"key": KEY, "log_every": 1, "quiet": True, **options}
    optimizer = optimizer or optax.adam(1e-2)
    return fit(loss, toy_params(), optimizer, data, steps=steps, directory=directory, **options)


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), a, b))


class Counter:
    """An iterator of toy batches that knows its position."""

    def __init__(self):
        self.position = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return toy_data(self.position - 1)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


class Dataset:
    """An iterable that keeps the position of its latest iterator, like datasets'."""

    def __init__(self):
        self.start = self.position = 0

    def __iter__(self):
        for t in range(self.start, 100):
            self.position = t + 1
            yield toy_data(t)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.start = self.position = state["position"]


def test_learns_and_leaves_the_callers_parameters_alone(tmp_path):
    params = toy_params()
    state = fit(
        toy_loss, params, optax.adam(3e-2), toy_data, steps=150, key=KEY, directory=tmp_path,
        log_every=1, quiet=True,
    )  # fmt: skip
    losses = [line["loss"] for line in lines(tmp_path)]
    assert int(state.step) == 150
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:3])
    assert same(params, toy_params())
    assert same(load_params(tmp_path, params), state.params)


def test_step_matches_optax_by_hand():
    optimizer = optax.sgd(0.1, momentum=0.9)
    params, momentum = toy_params(), optimizer.init(toy_params())
    for t in range(3):
        key = jax.random.fold_in(KEY, t)
        grads = jax.grad(
            lambda p, t=t, key=key: (lambda total, weight, _: total / weight)(
                *toy_loss(p, toy_data(t), key)
            )
        )(params)
        updates, momentum = optimizer.update(grads, momentum, params)
        params = optax.apply_updates(params, updates)
    got = run(steps=3, optimizer=optimizer).params
    for name in params:
        np.testing.assert_allclose(got[name], params[name], rtol=1e-5, atol=1e-6)


@pytest.mark.quick("3")
@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_made_on_the_device(accumulate, tmp_path):
    """Each step has its own, as if they had been given."""
    every = jax.tree.map(lambda *x: jnp.stack(x), *(toy_data(t) for t in range(6)))
    draw = lambda t: jax.tree.map(lambda x: x[t], every)  # noqa: E731
    how = {"accumulate": accumulate, "loss": noiseless_loss}
    given = run(tmp_path / "given", **how)
    made = run(
        tmp_path / "made", data=None, draw=draw, dispatch=3, log_every=3, save_every=3, **how
    )
    for name in given.params:
        np.testing.assert_allclose(made.params[name], given.params[name], atol=1e-6)
    with pytest.raises(InputError, match="rows does not divide into 5 microbatch"):
        run(data=None, draw=draw, accumulate=5)
    for bad in ({"draw": draw}, {"data": None}, {"dispatch": 3, "log_every": 3, "save_every": 3}):
        with pytest.raises(InputError, match="data or draw"):
            run(**bad)


@pytest.mark.quick("3")
@pytest.mark.parametrize("accumulate", [2, 3, 12])
def test_accumulation_is_the_big_batch(accumulate, tmp_path):
    big, small = tmp_path / "big", tmp_path / "small"
    one = run(big, loss=noiseless_loss, optimizer=optax.sgd(0.1), clip=1.0)
    many = run(
        small, loss=noiseless_loss, optimizer=optax.sgd(0.1), clip=1.0, accumulate=accumulate
    )
    for name in one.params:
        np.testing.assert_allclose(many.params[name], one.params[name], rtol=1e-5, atol=1e-6)
    for a, b in zip(lines(big), lines(small), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)


def test_microbatches_have_different_randomness():
    def loss(params, batch, key):
        noise = jax.random.normal(key, ())
        return params["w"] * noise, 1.0, {"squares": noise**2}

    step = make_step(loss, optax.sgd(1.0), accumulate=2)
    params = {"w": jnp.zeros(())}
    state, _ = start(params, optax.sgd(1.0))
    _, metrics = step(state, {"x": jnp.zeros((2, 1))}, KEY)
    # of two equal draws the mean's square is the mean square
    assert float(metrics["squares"]) != pytest.approx(float(metrics["grad_norm"]) ** 2, rel=1e-3)


def start(params, optimizer):
    mesh = make_mesh(data=1)
    _, shardings = state_shardings(params, optimizer, mesh, LogicalRules(), None)
    state = TrainState(jnp.int32(0), params, optimizer.init(params))
    return shard(state, shardings), shardings


def test_clipping_bounds_the_update_not_the_report(tmp_path):
    free = run(tmp_path / "free", steps=1, optimizer=optax.sgd(1.0))
    clipped = run(tmp_path / "clipped", steps=1, optimizer=optax.sgd(1.0), clip=0.01)

    def moved(state):
        before = toy_params()
        return np.sqrt(sum(((state.params[k] - before[k]) ** 2).sum() for k in before))

    assert moved(clipped) == pytest.approx(0.01, rel=1e-3)
    assert moved(free) > 1
    for name in ("free", "clipped"):
        assert lines(tmp_path / name)[0]["grad_norm"] == pytest.approx(moved(free), rel=1e-4)


def test_metrics(tmp_path):
    schedule = optax.linear_schedule(0.5, 0.0, 10)
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=schedule)
    run(tmp_path, steps=4, optimizer=optimizer)
    assert [line["step"] for line in lines(tmp_path)] == [0, 1, 2, 3]
    assert [line["learning_rate"] for line in lines(tmp_path)] == pytest.approx(
        [0.5, 0.45, 0.4, 0.35]
    )
    assert all(line["rows"] == pytest.approx(3.0) for line in lines(tmp_path))
    assert set(lines(tmp_path)[3]) == {
        "step", "loss", "grad_norm", "learning_rate", "rows", "steps_per_s",
    }  # fmt: skip


def test_log_every(tmp_path, capsys):
    run(tmp_path, steps=8, log_every=3)
    assert [line["step"] for line in lines(tmp_path)] == [0, 3, 6, 7]
    assert capsys.readouterr() == ("", "")
    run(steps=8, log_every=3, quiet=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[1] for line in err.splitlines()] == ["1/8", "4/8", "7/8", "8/8"]


def test_compiles_once(caplog):
    with jax.log_compiles():
        run(accumulate=2)
    compiled = [r for r in caplog.messages if r.startswith("Compiling jit(step)")]
    assert len(compiled) == 1, caplog.messages


@pytest.mark.quick("Dataset", "Counter")
@pytest.mark.parametrize("kind", [lambda: toy_data, Counter, Dataset])
def test_resume_is_bitwise_the_uninterrupted_run(tmp_path, kind):
    whole = run(data=kind(), steps=9)
    for steps in (2, 5, 9):
        parts = run(tmp_path, data=kind(), steps=steps, save_every=2)
    assert same(whole, parts)
    assert [line["step"] for line in lines(tmp_path)] == list(range(9))


def test_resume_drops_the_lines_after_the_checkpoint(tmp_path):
    run(tmp_path, steps=3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    run(tmp_path, steps=5)
    assert [line["step"] for line in lines(tmp_path)] == [0, 1, 2, 3, 4]


def test_finished_run_returns_at_once(tmp_path):
    done = run(tmp_path, steps=3)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert same(done, run(tmp_path, steps=3, data=lambda t: pytest.fail("asked for data")))
    assert (tmp_path / "metrics.jsonl").read_text() == before
    with pytest.raises(InputError, match="past steps=2"):
        run(tmp_path, steps=2)


def poisoned(t):
    batch = toy_data(t)
    return {**batch, "x": batch["x"] * (np.nan if t == 5 else 1)}


def test_nan_stops_after_saving_and_resumes_from_the_last_good(tmp_path):
    with pytest.raises(NonFiniteError, match=r"step 5 .*nonfinite/5"):
        run(tmp_path, steps=9, data=poisoned, save_every=4)  # step 6 is on its way by then
    assert lines(tmp_path)[-1]["step"] == 5
    assert lines(tmp_path)[-1]["loss"] == "nan"
    assert issubclass(NonFiniteError, FloatingPointError)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["4"]
    aside = ocp.load(str(tmp_path / "nonfinite" / "5"), toy_params(), checkpointable_name="params")
    assert same(aside, run(steps=5).params)  # exactly what step 5 started from
    assert same(run(tmp_path, steps=9, save_every=2), run(steps=9))  # with the data mended
    assert [line["step"] for line in lines(tmp_path)] == list(range(9))


@pytest.mark.parametrize("step", [3, 4])  # just before, and at, a checkpoint
def test_a_bad_state_is_never_a_checkpoint(tmp_path, step):
    rate = lambda count: jnp.where(count == step, jnp.inf, 0.1)  # noqa: E731
    with pytest.raises(NonFiniteError, match=f"step {step} "):  # loss and gradient are still finite
        run(tmp_path, steps=9, optimizer=optax.sgd(rate), save_every=1)
    assert np.isfinite(load_params(tmp_path, toy_params())["up"]).all()


def test_interrupt_saves_and_reraises(tmp_path):
    def interrupting(t):
        if t == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return toy_data(t)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, steps=9, data=interrupting)
    assert signal.getsignal(signal.SIGINT) is handler
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["5"]
    assert same(run(tmp_path, steps=9), run(steps=9))
    assert [line["step"] for line in lines(tmp_path)] == list(range(9))


def test_user_errors_are_one_line(tmp_path):
    run(tmp_path, steps=2)
    wrong = [
        ({"key": jax.random.key(1)}, "random key"),
        ({"optimizer": optax.sgd(0.1)}, "another experiment"),
        ({"clip": 1.0}, "another experiment"),
        ({"data": Counter()}, "kind of data"),
        ({"accumulate": 5}, "12 rows"),
        ({"save_every": 0}, "at least 1"),
    ]
    for options, words in wrong:
        with pytest.raises(InputError, match=words) as error:
            run(tmp_path, **options)
        assert "\n" not in str(error.value)
    short = Dataset()
    short.load_state_dict({"position": 98})
    with pytest.raises(InputError, match="ended at step 2"):
        run(data=short)
    with pytest.raises(TypeError):
        run(data=[toy_data(0)])


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
