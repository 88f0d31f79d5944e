"""Training: what a step does, what a run learns and tells."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.errors import InputError
from attention.meshes import LogicalRules, make_mesh
from attention.training.checkpoints import load_params
from attention.training.loop import fit
from attention.training.sharding import shard
from attention.training.step import TrainState, make_step, state_shardings

KEY = jax.random.key(0)
ROWS = 12

pytestmark = pytest.mark.usefixtures("compiled_once")


def test_learns_and_leaves_the_callers_parameters_alone(toy, tmp_path):
    params = toy.params()
    state = fit(
        toy.loss, params, optax.adam(3e-2), toy.data, steps=150, key=KEY, directory=tmp_path,
        log_every=1, quiet=True,
    )  # fmt: skip
    losses = [line["loss"] for line in toy.lines(tmp_path)]
    assert int(state.step) == 150
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:3])
    assert toy.same(params, toy.params())
    assert toy.same(load_params(tmp_path, params), state.params)


def test_step_matches_optax_by_hand(toy):
    optimizer = optax.sgd(0.1, momentum=0.9)
    params, momentum = toy.params(), optimizer.init(toy.params())
    for t in range(3):
        key = jax.random.fold_in(KEY, t)
        grads = jax.grad(
            lambda p, t=t, key=key: (lambda total, weight, _: total / weight)(
                *toy.loss(p, toy.data(t), key)
            )
        )(params)
        updates, momentum = optimizer.update(grads, momentum, params)
        params = optax.apply_updates(params, updates)
    got = toy.run(steps=3, optimizer=optimizer).params
    for name in params:
        np.testing.assert_allclose(got[name], params[name], rtol=1e-5, atol=1e-6)


@pytest.mark.quick("3")
@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_made_on_the_device(toy, accumulate, tmp_path):
    """Each step has its own, as if they had been given."""
    every = jax.tree.map(lambda *x: jnp.stack(x), *(toy.data(t) for t in range(6)))
    draw = lambda t: jax.tree.map(lambda x: x[t], every)  # noqa: E731
    how = {"accumulate": accumulate, "loss": toy.noiseless_loss}
    given = toy.run(tmp_path / "given", **how)
    made = toy.run(
        tmp_path / "made", data=None, draw=draw, dispatch=3, log_every=3, save_every=3, **how
    )
    for name in given.params:
        np.testing.assert_allclose(made.params[name], given.params[name], atol=1e-6)
    with pytest.raises(InputError, match="rows does not divide into 5 microbatch"):
        toy.run(data=None, draw=draw, accumulate=5)
    for bad in ({"draw": draw}, {"data": None}, {"dispatch": 3, "log_every": 3, "save_every": 3}):
        with pytest.raises(InputError, match="data or draw"):
            toy.run(**bad)


@pytest.mark.quick("3")
@pytest.mark.parametrize("accumulate", [2, 3, 12])
def test_accumulation_is_the_big_batch(toy, accumulate, tmp_path):
    big, small = tmp_path / "big", tmp_path / "small"
    one = toy.run(big, loss=toy.noiseless_loss, optimizer=optax.sgd(0.1), clip=1.0)
    many = toy.run(
        small, loss=toy.noiseless_loss, optimizer=optax.sgd(0.1), clip=1.0, accumulate=accumulate
    )
    for name in one.params:
        np.testing.assert_allclose(many.params[name], one.params[name], rtol=1e-5, atol=1e-6)
    for a, b in zip(toy.lines(big), toy.lines(small), strict=True):
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


def test_clipping_bounds_the_update_not_the_report(toy, tmp_path):
    free = toy.run(tmp_path / "free", steps=1, optimizer=optax.sgd(1.0))
    clipped = toy.run(tmp_path / "clipped", steps=1, optimizer=optax.sgd(1.0), clip=0.01)

    def moved(state):
        before = toy.params()
        return np.sqrt(sum(((state.params[k] - before[k]) ** 2).sum() for k in before))

    assert moved(clipped) == pytest.approx(0.01, rel=1e-3)
    assert moved(free) > 1
    for name in ("free", "clipped"):
        assert toy.lines(tmp_path / name)[0]["grad_norm"] == pytest.approx(moved(free), rel=1e-4)


def test_metrics(toy, tmp_path):
    schedule = optax.linear_schedule(0.5, 0.0, 10)
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=schedule)
    toy.run(tmp_path, steps=4, optimizer=optimizer)
    assert [line["step"] for line in toy.lines(tmp_path)] == [0, 1, 2, 3]
    assert [line["learning_rate"] for line in toy.lines(tmp_path)] == pytest.approx(
        [0.5, 0.45, 0.4, 0.35]
    )
    assert all(line["rows"] == pytest.approx(3.0) for line in toy.lines(tmp_path))
    assert set(toy.lines(tmp_path)[3]) == {
        "step", "loss", "grad_norm", "learning_rate", "rows", "steps_per_s",
    }  # fmt: skip


def test_log_every(toy, tmp_path, capsys):
    toy.run(tmp_path, steps=8, log_every=3)
    assert [line["step"] for line in toy.lines(tmp_path)] == [0, 3, 6, 7]
    assert capsys.readouterr() == ("", "")
    toy.run(steps=8, log_every=3, quiet=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[1] for line in err.splitlines()] == ["1/8", "4/8", "7/8", "8/8"]


def test_compiles_once(toy, caplog):
    with jax.log_compiles():
        toy.run(accumulate=2)
    compiled = [r for r in caplog.messages if r.startswith("Compiling jit(step)")]
    assert len(compiled) == 1, caplog.messages
