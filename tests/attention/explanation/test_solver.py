"""The parts of the solver, each against what it says, without the parts that would mend it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from attention.explanation.solver import min_support, newton, path, smallest_norm
from attention.explanation.solver.active_set import by_active_set
from attention.explanation.solver.newton import Rows

HEADS, QUERIES, TOKENS, RANK = 2, 3, 19, 5


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def problem(seed=0, sharp=1.0):
    """Rows of attention, in the solver's form; the last tokens are not seen by the first rows."""
    rng = np.random.default_rng(seed)
    stacked = np.concatenate(
        [rng.normal(size=(HEADS, TOKENS, RANK - 1)), np.ones((HEADS, TOKENS, 1))], 2
    )
    where = np.arange(TOKENS) < np.array([11, 15, TOKENS])[:, None]
    where = np.broadcast_to(where, (HEADS, QUERIES, TOKENS))
    basis = np.linalg.qr(stacked)[0]
    a = np.where(where, np.exp(sharp * rng.normal(size=where.shape)), 0)
    a /= a.sum(-1, keepdims=True)
    return Rows(*map(jnp.asarray, (basis, where, a @ basis, np.linalg.norm(a, axis=-1)))), a


def solved(rows):
    """The smallest norm by a general program, a row at a time."""
    found = np.zeros(rows.where.shape)
    for m, r in np.ndindex(HEADS, QUERIES):
        seen = np.flatnonzero(rows.where[m, r])
        basis, c = np.asarray(rows.basis[m])[seen], np.asarray(rows.target[m, r])
        dual = scipy.optimize.minimize(
            lambda mu, q=basis, c=c: 0.5 * np.sum(np.maximum(q @ mu, 0) ** 2) - c @ mu,
            c, jac=lambda mu, q=basis, c=c: q.T @ np.maximum(q @ mu, 0) - c,
            method="BFGS", options={"gtol": 1e-12, "maxiter": 10_000},
        )  # fmt: skip
        found[m, r, seen] = np.maximum(basis @ dual.x, 0)
    return found


def test_the_projection_of_a_row_and_how_far_it_is():
    rows, _ = problem()
    b, off = newton.projected(rows)
    expected = np.maximum(rows.target @ rows.basis.swapaxes(1, 2), 0) * rows.where
    np.testing.assert_allclose(b, expected, atol=1e-14)
    np.testing.assert_allclose(off, np.abs(expected @ rows.basis - rows.target).max(-1), atol=1e-14)


def test_the_smoothed_kink_and_its_derivative():
    z, tau = jnp.array([-30.0, -1.0, -1e-3, 0.0, 2e-3, 1.5, 40.0]), jnp.array([0.01])
    b, slope = newton.smoothed(z, tau)
    np.testing.assert_allclose(b, (z + np.sqrt(z**2 + 0.04)) / 2, atol=1e-13)
    np.testing.assert_allclose(b * newton.smoothed(-z, tau)[0], tau[0], rtol=1e-12)
    steps = newton.smoothed(z + 1e-6, tau)[0] - newton.smoothed(z - 1e-6, tau)[0]
    np.testing.assert_allclose(slope, steps / 2e-6, atol=1e-8)


def test_the_level_is_a_share_of_the_norm():
    rows, _ = problem()
    tau = newton.level(rows._replace(size=rows.size.at[0, 1].set(0)), 0.3)
    expected = (0.3 * np.asarray(rows.size)) ** 2 / TOKENS
    expected[0, 1] = 0.09 / TOKENS
    np.testing.assert_allclose(tau[..., 0], expected, rtol=1e-12)


def test_directions_solve_the_systems_of_rows():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(TOKENS, RANK)))[0].astype(np.float32)
    weights, gradient = rng.uniform(0.2, 1, (4, TOKENS)), 7 * rng.normal(size=(4, RANK))
    gradient[2] = 0
    live = jnp.array([True, True, True, False])
    given = (basis, basis.T, jnp.asarray(weights), jnp.asarray(gradient), live)
    found = newton._direction(*given, 30, 1e-6)
    for r in (0, 1):
        exact = np.linalg.solve(basis.T @ (weights[r][:, None] * basis), gradient[r])
        np.testing.assert_allclose(found[r], exact, rtol=2e-4)
    assert not np.asarray(found)[2:].any()
    first = newton._direction(*given, 1, 1e-6)  # one step of steepest descent
    for r in (0, 1):
        curved = basis.T @ (weights[r] * (basis @ gradient[r]))
        length = gradient[r] @ gradient[r] / (gradient[r] @ curved)
        np.testing.assert_allclose(first[r], length * gradient[r], rtol=1e-4)
    easy = newton._direction(*given, 30, 0.5)  # stops as half of the gradient is left
    for r in (0, 1):
        left = gradient[r] - basis.T @ (weights[r] * (basis @ np.asarray(easy[r])))
        assert 1e-3 < np.linalg.norm(left) / np.linalg.norm(gradient[r]) <= 0.5


def test_the_step_on_a_line_is_the_root(monkeypatch):
    monkeypatch.setattr(newton, "SEARCH", 60)
    rng = np.random.default_rng(2)
    z, along = rng.normal(size=(31, TOKENS)), rng.normal(size=(31, TOKENS))
    z[:7] -= 3  # nothing is active at first
    slope = lambda t, r: np.sum(along[r] * np.maximum(z[r] + t * along[r], 0))  # noqa: E731
    roots = rng.uniform(0.05, 9, 31)
    gain = np.array([slope(t, r) for r, t in enumerate(roots)])
    found = np.asarray(newton._exact_step(jnp.asarray(z), jnp.asarray(along), jnp.asarray(gain)))
    for r in range(31):
        assert slope(found[r], r) == pytest.approx(gain[r], abs=1e-8)
    monkeypatch.setattr(newton, "SEARCH", 2)  # without a kink between, Newton's step is the root
    z = np.full((1, TOKENS), 50.0)
    gain = np.sum(along[:1] * (z + 0.4 * along[:1]), -1)
    found = newton._exact_step(jnp.asarray(z), jnp.asarray(along[:1]), jnp.asarray(gain))
    np.testing.assert_allclose(found, 0.4, rtol=1e-9)


@pytest.mark.parametrize("sharp", [0.7, 2.0])
def test_newton_comes_to_the_smallest_norm_in_a_few_steps(sharp):
    rows, _ = problem(3, sharp)
    tolerance = 1e-9 * rows.size
    how = {"iterations": 40, "share": 1e-5}
    mu, good = newton.newton(rows, rows.target, tolerance, steps=12, **how)
    assert good.all()
    b = np.maximum(mu @ rows.basis.swapaxes(1, 2), 0) * rows.where
    np.testing.assert_allclose(b, solved(rows), atol=1e-6)
    still, near = newton.newton(rows, mu, tolerance, steps=5, **how)
    np.testing.assert_array_equal(still, mu)  # what is good does not move
    assert near.all()
    none, good = newton.newton(rows, rows.target, tolerance, steps=0, **how)
    np.testing.assert_array_equal(none, rows.target)
    z = np.maximum(rows.target @ rows.basis.swapaxes(1, 2), 0) * rows.where
    off = np.abs(z @ rows.basis - rows.target).max(-1)
    np.testing.assert_array_equal(good, off <= tolerance)


def test_the_approach_comes_near(monkeypatch):
    rows, _ = problem(4, 2.0)
    single = Rows(*(x.astype(np.float32) if x.dtype == np.float64 else x for x in rows))
    run = newton.approach.__wrapped__  # not jitted: it sees other levels
    mu, off = run(single)

    def relative(mu, share):
        b, _ = newton.smoothed(mu @ rows.basis.swapaxes(1, 2), newton.level(rows, share))
        gradient = rows.target - (b * rows.where) @ rows.basis
        return np.linalg.norm(gradient, axis=-1) / rows.size

    monkeypatch.setattr(newton, "LEVELS", newton.LEVELS[:-1])
    before, _ = run(single)
    np.testing.assert_allclose(off, relative(before, 0.02), rtol=1e-3)
    assert (relative(mu, 0.02) < 0.5 * relative(before, 0.02)).all()
    assert (relative(mu, 0.02) < 0.1 * relative(rows.target, 0.02)).all()


def test_one_head_is_mapped_like_many():
    rows, _ = problem(5)
    one = Rows(*(part[:1] for part in rows))
    for found, expected in zip(newton.projected(one), newton.projected(rows), strict=True):
        np.testing.assert_allclose(found[0], expected[0], atol=1e-14)


@pytest.mark.parametrize("rank", [1, 2, 3, 6, 7])
def test_systems_are_products_of_the_basis(rank):
    rng = np.random.default_rng(rank)
    basis, w = rng.normal(size=(HEADS, TOKENS, rank)), rng.uniform(size=(HEADS, QUERIES, TOKENS))
    given = path.problem_of(jnp.asarray(basis), jnp.ones((HEADS, 1, TOKENS), bool))
    assert given.products_MSP.shape[-1] == rank * (rank + 1) // 2
    expected = np.einsum("msr,mqs,mst->mqrt", basis, w, basis)
    np.testing.assert_allclose(np.tril(path._systems(given, w)), np.tril(expected), atol=1e-12)
    right = rng.normal(size=(HEADS, QUERIES, rank))
    found = path._factored(given, jnp.asarray(w), 0.25)(right)
    exact = np.linalg.solve(expected + 0.25 * np.eye(rank), right[..., None])[..., 0]
    np.testing.assert_allclose(found, exact, atol=1e-11)


def test_a_column_of_zeros_does_not_break_a_system():
    basis = np.random.default_rng(0).normal(size=(1, TOKENS, 3))
    basis[:, :, 2] = 0
    given = path.problem_of(jnp.asarray(basis), jnp.ones((1, 1, TOKENS), bool))
    right = np.array([[[1.0, -2.0, 0.0]]])
    found = np.asarray(path._factored(given, jnp.ones((1, 1, TOKENS)), 0.0)(right))
    part = basis[0, :, :2]
    np.testing.assert_allclose(found[0, 0, :2], np.linalg.solve(part.T @ part, right[0, 0, :2]))
    assert found[0, 0, 2] == 0


def test_one_exact_step_ends_where_the_tokens_are_known():
    rows, _ = problem(6)
    b = solved(rows)
    given = path.problem_of(rows.basis, rows.where)
    mu, good = newton.newton(
        rows, rows.target, 1e-3 * rows.size, steps=9, iterations=30, share=1e-3
    )
    assert good.all()
    for _ in range(2):
        mu, found, off = path.exact_step(given, mu, rows.target)
    np.testing.assert_allclose(found, b, atol=1e-7)
    np.testing.assert_allclose(off, np.abs(found @ rows.basis - rows.target).max(-1), atol=1e-15)
    assert (off <= path.RESIDUAL).all()


def test_starts_of_the_path_meet_all_but_the_constraint():
    rows, _ = problem(7)
    given = path.problem_of(rows.basis, rows.where)
    b, mu, s = path.start(given, rows.size.at[1, 0].set(0), RANK)
    expected = np.where(np.arange(6).reshape(HEADS, QUERIES) == 3, 0.3, 0.3 * rows.size)
    np.testing.assert_allclose(b, np.broadcast_to(expected[..., None], b.shape), rtol=1e-12)
    np.testing.assert_array_equal(b, s)
    assert not mu.any() and mu.shape == rows.target.shape
    b, mu, s = path.start_near(given, rows, rows.target, 0.5)
    np.testing.assert_array_equal(mu, rows.target)
    np.testing.assert_allclose(b - s, mu @ rows.basis.swapaxes(1, 2), atol=1e-12)
    tau = np.broadcast_to(newton.level(rows, 0.5), b.shape)
    np.testing.assert_allclose(b * s, tau, rtol=1e-10)


@pytest.mark.parametrize("near", [False, True])
def test_the_path_ends_at_the_smallest_norm_within_its_steps(near):
    rows, _ = problem(8, 2.5)
    given = path.problem_of(rows.basis, rows.where)
    begin = (
        path.start_near(given, rows, rows.target, 1.0)
        if near
        else path.start(given, rows.size, RANK)
    )
    end, found, good = path.follow(given, begin, rows.target, rows.size, 11)
    assert good.all()
    np.testing.assert_allclose(found, solved(rows), atol=1e-7)
    np.testing.assert_allclose(found @ rows.basis, rows.target, atol=1e-11)
    assert not found[~rows.where].any()
    again, _, good = path.follow(given, end, rows.target, rows.size, 4)  # what is done stays
    for after, before in zip(again, end, strict=True):
        np.testing.assert_array_equal(after, before)
    _, _, early = path.follow(given, begin, rows.target, rows.size, 3)
    assert not early.all()


def test_a_step_of_the_path_keeps_the_dual_condition_and_shrinks_the_gap():
    rows, _ = problem(9, 1.5)
    given = path.problem_of(rows.basis, rows.where)
    b, mu, s = path.start_near(given, rows, rows.target, 1.0)
    gap = (b * s * rows.where).sum(-1)
    for _ in range(3):
        (b, mu, s), _, _ = path.follow(given, path.Path(b, mu, s), rows.target, rows.size, 1)
        off = (b - s - mu @ rows.basis.swapaxes(1, 2)) * rows.where
        np.testing.assert_allclose(off, 0, atol=1e-10)
        assert (np.where(rows.where, b, 1) > 0).all() and (np.where(rows.where, s, 1) > 0).all()
        after = (b * s * rows.where).sum(-1)
        assert (after < 0.6 * gap).all()
        gap = after


def test_the_last_resort_is_the_smallest_norm():
    rows, _ = problem(10, 2.0)
    expected = solved(rows)
    for m, r in np.ndindex(HEADS, QUERIES):
        given = (np.asarray(part) for part in (rows.target[m, r], rows.basis[m], rows.where[m, r]))
        np.testing.assert_allclose(by_active_set(*given), expected[m, r], atol=1e-6)


def test_the_reduction_alone_keeps_the_output_and_ends_at_a_vertex():
    """Without the least squares that follow it."""
    rng = np.random.default_rng(11)
    for tokens in (4, 5, 13, 29):
        vectors = rng.normal(size=(7, tokens, RANK))
        weights = rng.uniform(size=(7, tokens))
        weights[:2, -2:] = 0
        vectors[3, 1] = vectors[3, 0]  # twins
        vectors[4, :, -1] = 0  # of a smaller rank
        found = np.asarray(min_support._reduce(vectors, weights))
        assert found.min() >= 0
        np.testing.assert_allclose(
            np.einsum("rs,rst->rt", found, vectors),
            np.einsum("rs,rst->rt", weights, vectors),
            atol=1e-9,
        )
        for row, kept in zip(vectors, found > 0, strict=True):
            assert np.linalg.matrix_rank(row[kept]) == kept.sum() <= RANK


def test_rows_are_reduced_alike_in_blocks_of_any_size(monkeypatch):
    rows, a = problem(12)
    given = (a, *(np.asarray(x) for x in (rows.target, rows.basis, rows.where)))
    monkeypatch.setattr(min_support.scipy.optimize, "nnls", None)  # nothing is left to mend
    whole = min_support.reduced(*given)
    sizes = []
    reduce = min_support._reduce
    monkeypatch.setattr(min_support, "_reduce", lambda v, w: sizes.append(len(v)) or reduce(v, w))
    monkeypatch.setattr(min_support, "BLOCK", 4 * RANK * RANK)
    np.testing.assert_allclose(min_support.reduced(*given), whole, atol=1e-13)
    assert sizes == [4, 4]  # of six rows; the second block is filled up
    refined = min_support._refined(
        np.maximum(whole[0] * 1.01, 0), np.broadcast_to(given[2][0], (3, TOKENS, RANK)), given[1][0]
    )
    np.testing.assert_allclose(refined, whole[0], atol=1e-12)
    assert not min_support._refined(np.zeros((1, 2)), np.ones((1, 2, 3)), np.ones((1, 3))).any()


@pytest.mark.parametrize("sharp", [0.5, 2.0, 6.0])
def test_all_parts_together(sharp, monkeypatch):
    """Newton's method solves almost all, and the last resort is not asked."""
    rows, _ = problem(14, sharp)
    monkeypatch.setattr(smallest_norm, "by_active_set", None)
    found, done = smallest_norm.min_norm(
        *(np.asarray(x) for x in (rows.target, rows.size, rows.basis, rows.where))
    )
    assert done.all()
    np.testing.assert_allclose(found, solved(rows), atol=1e-6)
