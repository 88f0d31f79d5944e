import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention.errors import InputError
from attention.training.checkpoints import Checkpoints, load_params, save_once, snapshot


def trees(value=1.0):
    params = {"embed": {"kernel": jnp.full((3, 5), value)}, "layers": ({"w": jnp.ones(7)},) * 2}
    return {"params": params, "training": {"step": jnp.int32(2), "o": optax.adam(1).init(params)}}


def test_round_trip_keeps_the_last_n_and_the_note(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest is None
        for step in (1, 5, 10):
            checkpoints.save(step, trees(float(step)), {"position": step})
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == [5, 10]
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 10
        got, note = checkpoints.restore(jax.eval_shape(trees))
    assert note == {"position": 10}
    assert jax.tree.structure(got) == jax.tree.structure(trees())
    jax.tree.map(np.testing.assert_array_equal, got, trees(10.0))


def test_the_saved_value_is_that_of_the_call_although_the_arrays_are_donated(tmp_path):
    step = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    tree = {"w": jnp.zeros((1000, 1000))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"params": tree})
        for _ in range(5):
            tree = step(tree)
    got = load_params_of(tmp_path, tree)
    assert (np.asarray(got["w"]) == 0).all()


def load_params_of(folder, tree):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore({"params": tree})[0]["params"]


def test_an_unfinished_save_is_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, trees())
    cut = tmp_path / "2.orbax-checkpoint-tmp"
    (cut / "params").mkdir(parents=True)
    with Checkpoints(tmp_path, clean=False) as checkpoints:
        assert checkpoints.latest == 1
        assert cut.exists()  # it may be another process's
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 1
        checkpoints.save(2, trees())
        checkpoints.save(3, trees())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "3"]


def changed(**params):
    return {**trees(), "params": {**trees()["params"], **params}}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (changed(embed={"kernel": jnp.zeros((3, 2))}), r"params/embed/kernel is float32\[3, 5\]"),
        (changed(embed={"kernel": jnp.zeros((3, 5), jnp.bfloat16)}), "bfloat16"),
        (changed(more=jnp.zeros(2)), "params/more is absent there"),
        (changed(layers=({"w": jnp.ones(7)},)), "params/layers/1/w is .* absent here"),
        ({**trees(), "other": {"x": jnp.zeros(2)}}, "other/x is absent there"),
    ],
)
def test_another_experiment_is_refused_in_one_line(tmp_path, other, words):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, trees())
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match=words) as error:
        checkpoints.restore(other)
    assert "\n" not in str(error.value)


def test_errors(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        load_params(tmp_path, {})
    assert list(tmp_path.iterdir()) == []  # looking leaves no trace
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Checkpoints(tmp_path / "file" / "run")
    (tmp_path / "run" / "checkpoints" / "7").mkdir(parents=True)
    with pytest.raises(InputError, match="params/w is absent there"):
        load_params(tmp_path / "run", {"w": jnp.zeros(2)})
    with pytest.raises(InputError, match="must be JSON"):
        snapshot({"position": np.zeros(2)})


def test_save_once_replaces(tmp_path):
    for value in (1.0, 2.0):
        save_once(tmp_path / "5", {"params": trees(value)["params"]})
    got = load_params_of(tmp_path, trees()["params"])
    assert (np.asarray(got["embed"]["kernel"]) == 2.0).all()


def test_paths_that_orbax_misreads_are_refused(tmp_path):
    """It would write checkpoints without their arrays, and say nothing."""
    for name in ("a[b]", "a\\b", "[x"):
        for save in (Checkpoints, lambda path: save_once(path, trees())):
            with pytest.raises(InputError, match="choose another --out"):
                save(tmp_path / name / "run")
    assert list(tmp_path.iterdir()) == []
    for name in ("a*b", "a?b", "a b", "{é}"):
        with Checkpoints(tmp_path / name) as checkpoints:
            checkpoints.save(1, trees(3.0))
        with Checkpoints(tmp_path / name) as checkpoints:
            jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(trees())[0], trees(3.0))


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "run") as checkpoints:
        whole = checkpoints._checkpointer.checkpointables_metadata
        monkeypatch.setattr(
            checkpoints._checkpointer,
            "checkpointables_metadata",
            lambda step: types.SimpleNamespace(metadata=whole(step).metadata | {"params": None}),
        )
        with pytest.raises(InputError, match="does not hold what was saved"):
            checkpoints.save(1, trees())
