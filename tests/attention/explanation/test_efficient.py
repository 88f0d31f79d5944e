"""The guarantees of efficient attention, on heads of every kind."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings

from attention.errors import InputError
from attention.explanation import effective_attention, efficient_attention
from attention.explanation.solver import smallest_norm

SETTINGS = settings(
    max_examples=settings.default.max_examples * 3 // 10, deadline=None, derandomize=True
)
QUERIES, TOKENS, SIZE = 7, 23, 5


def softmax(scores, where=None):
    scores = scores if where is None else np.where(where, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def head(seed, *, queries=QUERIES, tokens=TOKENS, size=SIZE, sharp=1.0, rank=None, where=None):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(tokens, size))
    if rank is not None:
        values = rng.normal(size=(tokens, rank)) @ rng.normal(size=(rank, size))
    return softmax(sharp * rng.normal(size=(queries, tokens)), where), values


def oracle(a, values):
    """NNLS on the stacked system, as a penalty of the constraints."""
    constraints = np.column_stack([values, np.ones(len(values))]).T
    stacked = np.vstack([1e5 * constraints, np.eye(len(values))])
    target = np.concatenate([1e5 * constraints @ a, np.zeros(len(values))])
    return scipy.optimize.nnls(stacked, target, maxiter=100 * len(values))[0]


def check(weights, values, found, where=None):
    """All that the docstring promises."""
    a = np.asarray(weights, np.float64)
    a = a / np.where(a.sum(-1) > 0, a.sum(-1), 1)[..., None]
    assert found.dtype == np.float64 and found.shape == a.shape
    scale = max(1.0, np.abs(values).max())
    np.testing.assert_allclose(found @ values, a @ values, atol=1e-8 * scale, rtol=0)
    assert found.min() >= -1e-12
    np.testing.assert_allclose(found.sum(-1), a.sum(-1), atol=1e-10, rtol=0)
    if where is not None:
        assert not found[~np.broadcast_to(where, found.shape)].any()


KIND_OF_HEAD = st.sampled_from(
    ["plain", "rank", "twins", "one token", "one mass", "padded", "causal", "constant", "short"]
)


@SETTINGS
@given(st.integers(0, 10**6), KIND_OF_HEAD, st.sampled_from([0.1, 1.0, 4.0, 20.0]))
def test_guarantees_hold_for_heads_of_every_kind(seed, which, sharp):
    where = None
    if which == "padded":
        where = np.arange(TOKENS) < 3 + seed % (TOKENS - 3)
    if which == "causal":
        where = np.tri(QUERIES, TOKENS, TOKENS - QUERIES, dtype=bool)
        where[:, 0] = True
    a, values = head(seed, sharp=sharp, rank=2 if which == "rank" else None, where=where)
    if which == "twins":
        values[1:8] = values[0]
    if which == "one token":
        a, values = a[:, :1] / a[:, :1], values[:1]
    if which == "one mass":
        a = np.eye(TOKENS)[np.arange(QUERIES)]
    if which == "constant":
        values[:] = values[:1]
    if which == "short":
        a, values = softmax(np.log(a[:, :SIZE])), values[:SIZE]
    small = efficient_attention(a, values, where)
    check(a, values, small, where)
    assert (np.linalg.norm(small, axis=-1) <= np.linalg.norm(a, axis=-1) + 1e-12).all()
    np.testing.assert_allclose(efficient_attention(small, values, where), small, atol=1e-8)
    vertex = efficient_attention(a, values, where, kind="min_support")
    check(a, values, vertex, where)
    for row in vertex:
        tokens = np.column_stack([values, np.ones(len(values))])[row > 0]
        assert np.linalg.matrix_rank(tokens) == len(tokens)  # none can be removed


@SETTINGS
@given(st.integers(0, 10**6), st.sampled_from([0.3, 1.0, 3.0]))
def test_the_smallest_norm_is_that_of_scipy(seed, sharp):
    a, values = head(seed, sharp=sharp)
    found = efficient_attention(a, values)
    expected = np.stack([oracle(row, values) for row in a])
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("early", [smallest_norm.EARLY_ROUNDS, ()])
def test_the_path_alone_ends_at_the_smallest_norm(monkeypatch, early):
    """It is the way of few rows: here all take it, without the float32 part too."""
    monkeypatch.setattr(smallest_norm, "_by_newton", lambda chunk: None)
    monkeypatch.setattr(smallest_norm, "by_active_set", lambda target, *_: np.zeros(TOKENS))
    monkeypatch.setattr(smallest_norm, "EARLY_ROUNDS", early)
    a, values = head(11, sharp=3.0)
    found = efficient_attention(a, values)
    check(a, values, found)
    expected = np.stack([oracle(row, values) for row in a])
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_a_vertex_is_as_good_as_one_of_linear_programming():
    a, values = head(3)
    constraints = np.column_stack([values, np.ones(TOKENS)])
    vertex = efficient_attention(a, values, kind="min_support")
    for row, b in zip(a, vertex, strict=True):
        target = constraints.T @ row
        # the program that prefers the tokens kept finds the same vertex
        best = scipy.optimize.linprog(
            np.where(b > 0, 0.0, 1.0), A_eq=constraints.T, b_eq=target, method="highs-ds"
        )
        np.testing.assert_allclose(best.x, b, atol=1e-6)
        assert (b > 0).sum() <= np.linalg.matrix_rank(constraints)
        for token in np.flatnonzero(b):
            rest = np.flatnonzero((b > 0) & (np.arange(TOKENS) != token))
            _, off = scipy.optimize.nnls(constraints[rest].T, target)
            assert off > 1e-9


def test_short_inputs_are_their_own_efficient_attention():
    a, values = head(5, tokens=SIZE + 1)
    for kind in ("min_norm", "min_support"):
        np.testing.assert_allclose(efficient_attention(a, values, kind=kind), a, atol=1e-12)
    assert np.abs(effective_attention(a, values) - a).max() > 1e-3


def test_twins_share_their_weight():
    a, values = head(7)
    values[1] = values[0]
    found = efficient_attention(a, values)
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-9)


def test_effective_attention_is_the_projection_and_no_distribution():
    a, values = head(11, tokens=41)
    found = effective_attention(a, values)
    np.testing.assert_allclose(found, a @ values @ np.linalg.pinv(values), atol=1e-12)
    assert found.min() < -1e-3 and np.abs(found.sum(-1) - 1).max() > 1e-2
    efficient = efficient_attention(a, values)
    assert efficient.min() >= 0 and np.abs(efficient.sum(-1) - 1).max() < 1e-10


def test_padding_changes_nothing():
    a, values = head(13, tokens=19)
    padded = np.concatenate([a, np.full((QUERIES, 3), 0.1)], -1)
    longer = np.concatenate([values, 9 * np.ones((3, SIZE))])
    where = np.arange(22) < 19
    for decompose in (efficient_attention, effective_attention):
        found = decompose(padded, longer, where)
        np.testing.assert_allclose(found[:, :19], decompose(a, values), atol=1e-8)
        assert not found[:, 19:].any()


def test_causal_rows_see_only_their_past():
    where = np.tri(TOKENS, dtype=bool)
    a, values = head(17, queries=TOKENS, where=where)
    for found in (efficient_attention(a, values, where), effective_attention(a, values, where)):
        assert not found[~where].any()
        np.testing.assert_allclose(found @ values, a @ values, atol=1e-8)
    found = efficient_attention(a, values, where)
    np.testing.assert_allclose(found[: SIZE + 1], a[: SIZE + 1], atol=1e-12)  # independent tokens
    row = np.stack([oracle(a[t, : t + 1], values[: t + 1])[-1] for t in (11, 20)])
    np.testing.assert_allclose(found[[11, 20], [11, 20]], row, atol=1e-6)


def test_query_heads_share_value_heads():
    rng = np.random.default_rng(19)
    weights = softmax(rng.normal(size=(2, 6, QUERIES, TOKENS)))
    values = rng.normal(size=(2, 3, TOKENS, SIZE))
    found = efficient_attention(weights, values)
    for b, n in ((0, 1), (1, 4)):
        alone = efficient_attention(weights[b, n], values[b, n // 2])
        np.testing.assert_allclose(found[b, n], alone, atol=1e-9)


def test_any_sum_is_made_one_and_jax_arrays_are_welcome():
    a, values = head(23)
    scaled = jnp.asarray(3 * a, jnp.float32)
    found = efficient_attention(scaled, jnp.asarray(values, jnp.float32))
    assert found.dtype == np.float64 and not jax.config.read("jax_enable_x64")
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-10)
    blind = efficient_attention(np.zeros((2, TOKENS)), values)
    assert not blind.any()


@pytest.mark.parametrize(
    ("weights", "values", "kind", "message"),
    [
        (np.full((2, 3), np.nan), np.ones((3, 2)), "min_norm", "not finite"),
        (np.ones((2, 3)), np.full((3, 2), np.inf), "min_norm", "values are not finite"),
        (np.ones((2, 3)), np.ones((4, 2)), "min_norm", r"\[\.\.\., S, H\]"),
        (-np.ones((2, 3)), np.ones((3, 2)), "min_norm", "below zero"),
        (np.ones((2, 3)), np.ones((3, 2)), "least", "unknown kind"),
        (np.ones((3, 2, 3)), np.ones((2, 3, 2)), "min_norm", "do not share"),
    ],
)
def test_bad_input_is_one_line(weights, values, kind, message):
    with pytest.raises(InputError, match=message):
        efficient_attention(weights, values, kind=kind)


def test_a_row_of_almost_one_token_converges():
    """Other weights down to 1e-14: float32 alone loses its way here."""
    rng = np.random.default_rng(29)
    scores = rng.normal(size=(QUERIES, TOKENS)) * 5
    scores[:, 3] += 25
    a, values = softmax(scores), rng.normal(size=(TOKENS, SIZE))
    check(a, values, efficient_attention(a, values))
    check(a, values, efficient_attention(a, values, kind="min_support"))


def test_effective_attention_where_every_row_sees_other_tokens():
    """Windows, of which none holds another: A V V⁺ of the tokens seen, row by row."""
    draw = np.random.default_rng(5)
    where = (np.arange(11) >= np.arange(7)[:, None]) & (np.arange(11) < np.arange(7)[:, None] + 5)
    weights, values = np.where(where, draw.random((7, 11)), 0), draw.normal(size=(11, 3))
    weights /= weights.sum(-1, keepdims=True)
    found = effective_attention(weights, values, where)
    for row, seen in enumerate(where):
        expected = weights[row, seen] @ values[seen] @ np.linalg.pinv(values[seen])
        np.testing.assert_allclose(found[row, seen], expected, atol=1e-12)
        assert not found[row, ~seen].any()
