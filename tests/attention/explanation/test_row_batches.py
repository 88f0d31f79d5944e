"""How the solver keeps account of rows that are done, and of those that are left."""

import jax
import numpy as np

from attention.explanation.solver import smallest_norm

TOKENS, RANK = 19, 5


def test_widths_and_places():
    assert [smallest_norm._width(most, 50) for most in (1, 9, 50)] == [50, 50, 50]
    found = [smallest_norm._width(most, 100) for most in (1, 2, 3, 9, 16, 17, 33, 97, 100)]
    assert found == [2, 2, 4, 16, 16, 32, 48, 100, 100]
    assert smallest_norm.together(9, 10, 3, 2) == 9
    assert smallest_norm.together(9, smallest_norm.BLOCK // 400, 100, 5) == 4
    assert smallest_norm.together(9, smallest_norm.BLOCK // 400, 5, 10) == 4
    assert smallest_norm.together(9, smallest_norm.BLOCK, 100, 100) == 1
    left = np.array([[False, True, False, True], [False, False, False, True]])
    np.testing.assert_array_equal(smallest_norm._front(left), [[1, 3, 0, 2], [3, 0, 1, 2]])
    old, new = np.array([[4, 0, 2, 9]]), np.array([[9, 4, 2]])
    np.testing.assert_array_equal(smallest_norm._places(old, new), [[3, 0, 2]])


def test_what_is_found_is_written_to_its_rows():
    rng = np.random.default_rng(13)
    target, norms = rng.normal(size=(2, 3, RANK)), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
    basis, where = rng.normal(size=(2, TOKENS, RANK)), np.ones((2, 1, TOKENS), bool)
    with jax.enable_x64(True):
        chunk = smallest_norm._Chunk(target, norms, basis, where)
    np.testing.assert_array_equal(chunk.done, [[False] * 3, [False, False, True]])
    index, wanted = (
        np.array([[2, 0], [1, 0]]),
        np.array([[True, False, True], [False, True, False]]),
    )
    mu, b = np.arange(20.0).reshape(2, 2, RANK), np.ones((2, 2, TOKENS))
    good = chunk.keep(index, wanted, mu=mu, b=b, good=np.array([[True, False], [True, True]]))
    np.testing.assert_array_equal(good, [[False, False, True], [False, True, False]])
    np.testing.assert_array_equal(chunk.mu[[0, 0, 1], [2, 0, 1]], mu[[0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(chunk.mu[1, 0], target[1, 0])  # not wanted
    assert chunk.found[0, 2].all() and not chunk.found[1, 0].any()
    assert not chunk.keep(index, wanted, mu=mu).any()
