"""Rows in batches: how they are padded, and what happens when memory runs out."""

import jax
import jax.numpy as jnp
import pytest

from attention.errors import InputError
from attention.likelihood import (
    Row,
    RowBatches,
    Shape,
    bucket,
    check_vocabulary,
    choose_shapes,
    load_batches,
)


def test_buckets_pad_a_quarter_at_most():
    for length in range(1, 3000):
        assert length <= bucket(length) <= max(8, length * 1.25, length + 8)


def test_batches_of_one_shape_have_few_empty_rows():
    rows = [Row.text([1] * 11, [2])] * 53
    (shape,) = choose_shapes(
        [rows], 11 * 13
    )  # five batches of 11 leave two rows empty, six of 9 one
    assert (shape.rows, shape.length) == (9, 11)
    (shape,) = choose_shapes([rows[:26]], 11 * 13)
    assert shape.rows == 13


def test_a_long_row_is_filled_to_a_multiple_of_eight():
    texts = [Row.text([1] * length, [2]) for length in (61, 61, 163, 163)]
    assert [shape.length for shape in choose_shapes([texts], 4096)] == [61, 168]


def test_an_order_puts_the_most_wanted_rows_for_their_tokens_first():
    rows = [Row.text([1] * length, [2]) for length in (3, 11, 3, 11, 3, 3)]
    shapes = [Shape(2, 3, 1, 1), Shape(1, 11, 1, 1)]
    asked = [batch.rows.tolist() for batch in load_batches(rows, shapes)]
    assert asked == [[1], [3], [0, 2], [4, 5]]  # long ones first
    order = [5, 3, 0, 4, 1, 2]  # worth 6, 5, 4, 3, 2, 1
    asked = [batch.rows.tolist() for batch in load_batches(rows, shapes, order=order)]
    assert asked == [[5, 0], [4, 2], [3], [1]]  # 10/6, 4/6, 5/11, 2/11


def test_choices_of_one_token_are_read_at_one_place():
    row = Row.choices([([5, 7, 11, letter], 1) for letter in (2, 3)] + [([5, 7, 11, 4, 6], 2)])
    assert row.read_at == [2, 2, 2, 3] and row.targets == [2, 3, 4, 6]
    assert row.places == [2, 3] and row.reads == [0, 0, 0, 1]
    assert row.without(2).places == [0, 1] and row.without(2).reads == row.reads


def test_tokens_beyond_the_vocabulary_are_named():
    rows = [Row.text([9, 0], [7]), Row.text([9, 6], [6])]
    check_vocabulary(rows, 10)
    check_vocabulary(rows, None)
    with pytest.raises(InputError, match=r"token ids 7, 9, but .* has 7 tokens, 0 to 6"):
        check_vocabulary(rows, 7)


@pytest.mark.parametrize(
    "words", ["RESOURCE_EXHAUSTED: allocating 7 bytes", "INTERNAL: Out of memory on the host"]
)
def test_batches_are_halved_where_memory_runs_out(words):
    """A device that holds 40 tokens, and one that holds none."""
    text = [Row.text(range(2, 5 + i % 5), range(3, 6 + i % 5)) for i in range(13)]
    rows = RowBatches(text, 200)

    def run(room):
        def program(arrays):
            if arrays.tokens.size > room:
                raise jax.errors.JaxRuntimeError(words)
            return jnp.sum(jnp.where(arrays.where, arrays.tokens, 0), axis=1)

        return rows.run(program)

    expected = [sum(row.tokens) for row in text]
    assert run(10**6).tolist() == expected
    assert rows.batch_tokens == 200
    assert run(40).tolist() == expected
    assert rows.batch_tokens < 80
    with pytest.raises(jax.errors.JaxRuntimeError):
        run(0)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: broken"):
        rows.run(lambda *_: (_ for _ in ()).throw(jax.errors.JaxRuntimeError("INTERNAL: broken")))
