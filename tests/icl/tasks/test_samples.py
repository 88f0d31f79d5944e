"""What tasks draw: distributions, functions, prompts, curricula and quantifiers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import PROMPTINGS, Prompts, distribution, with_deviant
from icl.tasks.curricula import curriculum
from icl.tasks.functions import FUNCTIONS, FunctionTask, function_class
from icl.tasks.prompts import interleave
from icl.tasks.quantifiers import Quantifiers, measures

KEY = jax.random.key(3)
SPECS = {  # expectation and standard deviation: within the parts of a mixture, and between them
    "normal:1,2": (1, 2),
    "uniform:-5,5": (0, 10 / 12**0.5),
    "mix:normal:-1,1|normal:1,1": (0, 2**0.5),
    "mix:uniform:0,1|normal:3,2": (1.75, ((1 / 12 + 4) / 2 + 1.25**2) ** 0.5),
}
CLASSES = [
    "affine:d=3",
    "linear:d=3",
    "polynomial:degree=3",
    "polynomial:degrees=1+3+5",
    "chebyshev:degree=4",
    "sparse:d=5,k=2",
    "noisy:d=3,noise=0.5,renormalize=true",
    "quadratic:d=3",
    "relu-network:d=3,hidden=5",
    "tree:d=3,depth=2",
    "classification:d=3",
    "sin",
    "exp",
    "abs",
    "step",
    "smooth:waves=5,length=2",
    "fixed",
    "fixed:number=4",
]


@pytest.mark.parametrize("spec", SPECS)
def test_moments(spec):
    law, (mean, deviation) = distribution(spec), SPECS[spec]
    draws = np.asarray(law.sample(KEY, (40_000,)))
    assert str(law) == spec and distribution(str(law)) == law
    assert draws.mean() == pytest.approx(mean, abs=4 * deviation / 200)
    assert draws.std() == pytest.approx(deviation, rel=0.02)
    doubled = np.asarray(law.scaled(-2).sample(KEY, (40_000,)))
    assert doubled.mean() == pytest.approx(-2 * mean, abs=8 * deviation / 200)
    assert doubled.std() == pytest.approx(2 * deviation, rel=0.02)


def test_a_mixture_has_two_modes():
    draws = np.asarray(distribution("mix:normal:-10,1|normal:10,1").sample(KEY, (1000,)))
    assert (abs(abs(draws) - 10) < 5).all() and 400 < (draws > 0).sum() < 600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "normal",
        "normal:0",
        "normal:0,0",
        "normal:0,-1",
        "uniform:1,1",
        "uniform:2,1",
        "gauss:0,1",
        "normal:0,x",
        "normal:nan,1",
        "mix:normal:0,1",
        "mix:mix:normal:0,1|normal:0,1|normal:0,1",
    ],
)
def test_bad_distributions(text):
    with pytest.raises(InputError):
        distribution(text)


@pytest.mark.parametrize(
    "text",
    [
        "cubic",
        "polynomial:degree=-1",
        "polynomial:degree=x",
        "polynomial:degrees=1+-2",
        "linear:d=0",
        "sparse:d=2,k=3",
        "polynomial:d=2",
        "linear:hidden=3",
        "noisy:renormalize=maybe",
    ],
)
def test_bad_functions(text):
    with pytest.raises(InputError):
        function_class(text)


@pytest.mark.parametrize("text", CLASSES)
def test_functions_are_what_they_say(text):
    functions, law = function_class(text), distribution("normal:0,1")
    assert function_class(str(functions)) == functions
    x = np.asarray(jax.random.normal(KEY, (7, functions.d)))
    c = functions.draw(KEY, law)
    y = np.asarray(functions.value(c, x))
    cs = None if isinstance(c, tuple) else np.asarray(c, np.float64)
    loops = {
        "affine": lambda x: cs[:-1] @ x + cs[-1],
        "polynomial": lambda x: sum(ci * x[0] ** i for i, ci in enumerate(cs)),
        "chebyshev": lambda x: np.polynomial.chebyshev.chebval(x[0], cs),
        "quadratic": lambda x: cs @ x**2 / np.sqrt(3),
        "relu-network": lambda x: np.sqrt(2 / 5) * np.maximum(x @ np.asarray(c[0]), 0) @ c[1],
        "tree": lambda x: _descend(c, x),
        "classification": lambda x: np.sign(cs @ x),
        "sin": lambda x: cs[0] * np.sin(np.pi * x[0]) + cs[1],
        "exp": lambda x: cs[0] * np.exp(x[0]) + cs[1],
        "abs": lambda x: cs[0] * abs(x[0]) + cs[1],
        "step": lambda x: cs[0] * (x[0] >= 0) + cs[1],
        "fixed": lambda x: np.polynomial.polynomial.polyval(x[0], cs),
        "smooth": lambda x: np.sqrt(2 / 5) * np.cos(x[0] * c[1] + c[2]) @ c[0],
    }
    expected = [loops.get(functions.name, lambda x: cs @ x)(each) for each in x]
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)
    noisy = np.asarray(functions.observe(KEY, c, x))
    assert (functions.name == "noisy") == (not np.array_equal(noisy, y))


def _descend(c, x):
    coordinates, leaves = map(np.asarray, c)
    node = 0
    while node < len(coordinates):
        node = 2 * node + (2 if x[coordinates[node]] > 0 else 1)
    return leaves[node - len(coordinates)]


def test_every_class_is_tested():
    assert {text.partition(":")[0] for text in CLASSES} == FUNCTIONS.keys()


def test_degrees_and_sparsity():
    law = distribution("normal:0,1")
    keys = jax.random.split(KEY, 400)
    odd = np.asarray(jax.vmap(lambda k: function_class(CLASSES[3]).draw(k, law))(keys))
    degrees = (odd != 0).sum(axis=1) - 1
    assert set(degrees) == {1, 3, 5} and (np.bincount(degrees)[[1, 3, 5]] > 90).all()
    sparse = np.asarray(jax.vmap(lambda k: function_class("sparse:d=5,k=2").draw(k, law))(keys))
    assert ((sparse != 0).sum(axis=1) == 2).all()
    assert ((sparse != 0).mean(axis=0) > 0.3).all()


def test_a_batch_is_a_loop_and_a_function_of_key_and_step():
    task = FunctionTask(function_class("affine:d=3"), points=5)
    batch = task.sample(KEY, 0, 7)
    again = task.sample(KEY, 0, 7)
    other = task.sample(jax.random.key(4), 0, 7)
    assert np.array_equal(batch.y_BT, again.y_BT) and not np.array_equal(batch.y_BT, other.y_BT)
    keys = jax.random.split(jax.random.split(KEY, 3)[1], 7)
    for i in range(7):
        c = task.functions.draw(keys[i], task.coefficients)
        np.testing.assert_allclose(
            task.functions.value(c, batch.x_BTD[i]), batch.y_BT[i], rtol=1e-6
        )


def test_curricula_change_values_but_no_shape():
    task = FunctionTask(
        function_class("polynomial:degree=3"),
        points=7,
        point_curriculum=curriculum("3:7:2:10"),
        degree_curriculum=curriculum("1:3:2:20"),
    )
    sample = jax.jit(task.sample, static_argnums=2)
    early, later, last = (sample(KEY, step, 5) for step in (9, 10, 10_000))
    assert sample._cache_size() == 1
    assert [int(p.where_BT.sum()) for p in (early, later, last)] == [3, 5, 7]
    slope = lambda p: np.polynomial.polynomial.polyfit(p.x_BTD[0, :, 0], p.y_BT[0], 3)  # noqa: E731
    assert abs(slope(early)[2:]).max() < 1e-3 < abs(slope(last)[2:]).min()
    wide = FunctionTask(function_class("linear:d=5"), dimension_curriculum=curriculum("2:5:1:10"))
    assert ((np.asarray(wide.sample(KEY, 0, 3).x_BTD) != 0).sum(axis=2) == 2).all()


@pytest.mark.parametrize("text", ["1:2:3", "0:3:1:1", "5:3:1:1", "1:3:0:1", "a:b:c:d"])
def test_bad_curricula(text):
    with pytest.raises(InputError):
        curriculum(text)


def test_a_curriculum_beyond_the_task():
    with pytest.raises(InputError, match="points ends at 9, beyond 7"):
        FunctionTask(points=7, point_curriculum=curriculum("3:9:2:10"))


def test_prompts():
    x, y = jnp.arange(12.0).reshape(2, 3, 2), jnp.arange(20.0, 26.0).reshape(2, 3)
    tokens = np.asarray(interleave(x, y))
    assert tokens.shape == (2, 5, 2)
    assert tokens[1].tolist() == [[6, 7], [23, 0], [8, 9], [24, 0], [10, 11]]
    back_x, back_y = PROMPTINGS["sorted"].arrange(x[:, ::-1], y[None, :, ::-1])
    assert np.array_equal(back_x, x) and np.array_equal(back_y[0], y)
    odd = np.asarray(with_deviant(x, 1, 1000.0))
    assert (odd[:, 1] == 1000).all() and np.array_equal(odd[:, ::2], x[:, ::2])
    with pytest.raises(InputError):
        with_deviant(x, 3, 0.0)


def test_inverse_swaps():
    plain, inverse = (
        FunctionTask(points=5, inverse=flag).sample(KEY, 0, 3) for flag in (False, True)
    )
    assert isinstance(inverse, Prompts)
    assert np.array_equal(inverse.x_BTD[:, :, 0], plain.y_BT)
    assert np.array_equal(inverse.y_BT, plain.x_BTD[:, :, 0])


@pytest.mark.parametrize("kind", ["every", "some", "mix"])
@pytest.mark.parametrize("design", ["plain", "balanced", "rare", "late"])
def test_quantifiers(kind, design):
    task = Quantifiers(kind, points=13, design=design, rate=0.1)
    x, y, _ = map(np.asarray, task.sample(KEY, 0, 101))
    positive = x[:, :, 0] > 0
    every, some = np.logical_and.accumulate(positive, 1), np.logical_or.accumulate(positive, 1)
    right = {"every": every, "some": some}
    is_every = (np.where(every, 1, -1) == y).all(axis=1)
    is_some = (np.where(some, 1, -1) == y).all(axis=1)
    if kind == "mix":
        assert (is_every | is_some).all()  # both, where the label never flips
        assert (is_every & ~is_some).sum() > 12 < (is_some & ~is_every).sum()
    else:
        assert np.array_equal(np.where(right[kind], 1, -1), y)
    flips = (y[:, 1:] != y[:, :-1]).sum(axis=1)
    flipped = np.argmax(y[:, 1:] != y[:, :-1], axis=1) + 1
    assert (flips <= 1).all()
    if design == "late":
        assert (flips == 1).all() and (flipped >= 10).all()
    if design == "balanced":
        assert 30 < (flips == 0).sum() < 75


def test_measures_do_not_flatter_a_constant():
    _, y, _ = Quantifiers("every", points=41).sample(KEY, 0, 199)
    found = measures(-np.ones(y.shape), y)
    assert found["accuracy"] > 0.95 and found["balanced_accuracy"] == 0.5
    assert found["constant_accuracy"] == pytest.approx(found["accuracy"])
    _, late, _ = Quantifiers("some", points=41, design="late").sample(KEY, 0, 199)
    assert measures(-np.ones(late.shape), late)["late_flip_accuracy"] == 0
    assert measures(late, late)["late_flip_accuracy"] == 1
    for kind in ("every", "some"):  # around a flip a constant is right on one side
        _, late, _ = Quantifiers(kind, points=41, design="late").sample(KEY, 0, 199)
        found = measures(-np.ones(late.shape), late)
        assert found["late_flip_balanced_accuracy"] == 0.5
        assert found["constant_late_flip_balanced_accuracy"] == 0.5
        assert found["constant_late_flip_accuracy"] == 1
        assert found["constant_wrong_prompts"] == 1
    with pytest.raises(InputError):
        measures(late[:, :3], late[:, :3])


def test_quantifiers_that_nothing_tells_apart():
    with pytest.raises(InputError, match="labels"):
        Quantifiers("mix", labels=False)


@pytest.mark.parametrize("task", [FunctionTask(points=11), Quantifiers("some", points=11)], ids=str)
def test_a_changed_input_changes_what_follows_from_it(task):
    """All else is drawn as without the change."""
    plain = task.sample(KEY, 0, 5)
    found = task.sample(KEY, 0, 5, lambda x_BTD: with_deviant(x_BTD, 5, -100.0))
    changed = np.asarray(plain.x_BTD != found.x_BTD)[:, :, 0]
    assert changed[:, 5].all() and changed.sum() == 5
    others = np.arange(11) != 5
    x, y = np.asarray(found.x_BTD)[:, :, 0], np.asarray(found.y_BT)
    if isinstance(task, Quantifiers):
        expected = np.where(np.logical_or.accumulate(x > 0, axis=1), 1, -1)
        np.testing.assert_array_equal(y, expected)
        return
    np.testing.assert_array_equal(y[:, others], np.asarray(plain.y_BT)[:, others])
    for row in range(5):
        a, b = np.polyfit(x[row, others], y[row, others], 1)
        np.testing.assert_allclose(y[row, 5], -100 * a + b, rtol=1e-3, atol=1e-3)
