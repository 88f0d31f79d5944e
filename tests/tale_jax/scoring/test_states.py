"""What is kept between candidates, and what makes room for what."""

import jax.numpy as jnp
import numpy as np

from tale_jax.scoring.states import States, path_of

NO, YES, MLP = (False, False), (True, True), (False, True)
WHOLE = (YES,) * 5


def without(*layers):
    return tuple(NO if i in layers else YES for i in range(5))


def filled(states, keep, batch=0):
    """All states of a model, 28 bytes each, the number of layers run in them."""
    for layer in range(6):
        run = sum(map(any, keep[:layer]))
        states.put(batch, path_of(keep, layer), np.full(7, run, np.float32))


def test_a_path_ends_with_a_layer_that_was_run():
    assert path_of(without(2, 3), 4) == path_of(without(2, 3), 2) == (YES, YES)
    assert path_of(without(2, 3), 5) == without(2, 3)
    assert path_of(without(0), 1) == path_of(WHOLE, 0) == ()
    assert path_of((MLP, NO, YES), 2) == (MLP,) != path_of(WHOLE, 1)


def test_what_is_kept_farthest_up_is_found():
    states = States(1e9)
    assert states.nearest(0, WHOLE, 3) == (None, 0)
    filled(states, without(1))
    found, layer = states.nearest(0, without(1, 3), 5)
    assert found[0] == 2 and layer == 4  # as far as layer 3, which is not run
    found, layer = states.nearest(0, WHOLE, 5)
    assert found[0] == 1 and layer == 1
    assert states.nearest(1, WHOLE, 5)[0] is None  # of another batch there is nothing


def test_what_no_candidate_can_share_goes():
    states = States(1e9)
    for layer in range(5):
        filled(states, without(layer))
    states.set_references([without(3)])
    assert states.nearest(0, without(1, 3), 5)[1] == 4  # tried before, as far as layer 3
    assert states.nearest(0, without(3), 5)[1] == 5
    assert states.get(0, without(1)) is None  # two layers from the reference
    assert states.get(0, without(1)[:3]) is not None
    states.set_references([])
    assert states.get(0, without(3)) is not None  # nobody knows what comes
    states.set_references([without(0, 1, 2)])
    assert states.used == 28 * len(states._kept)


def test_the_reference_pushes_out_candidates_and_nothing_goes_over_the_budget():
    states = States(28 * 7)
    states.set_references([WHOLE])
    filled(states, without(0))
    filled(states, without(1))
    assert states.used == 28 * 7
    assert states.nearest(0, without(1), 5)[1] < 5  # did not all fit
    filled(states, WHOLE)
    assert states.nearest(0, WHOLE, 5)[1] == 5
    assert states.used <= 28 * 7
    filled(states, WHOLE, batch=1)
    assert states.nearest(0, WHOLE, 5)[1] == 5  # a reference does not push out another
    assert states.used <= 28 * 7


def test_no_budget_keeps_nothing():
    states = States(0)
    filled(states, WHOLE)
    assert states.nearest(0, WHOLE, 5) == (None, 0) and states.used == 0


def test_batches_of_two_shapes_may_change_places_too():
    old = [np.array(rows) for rows in ([0, 1], [2, 3], [4, 5], [6, 7])]
    lengths, values = (5, 5, 3, 3), jnp.arange(8.0)
    new = [np.array(rows) for rows in ([6, 4], [3, 1], [7, 5], [0, 2])]
    states, path = States(1e9), WHOLE[:2]
    for batch, rows in enumerate(old):
        states.put(batch, path, values[rows][:, None] * jnp.ones((1, lengths[batch])))
    states.rearrange(old, new)
    for batch, rows in enumerate(new):
        found = np.asarray(states.get(batch, path))
        assert found.shape == (2, (3, 5, 3, 5)[batch]) and found[:, -1].tolist() == rows.tolist()
    assert states.used == 4 * 2 * (5 + 5 + 3 + 3)


def test_rows_that_change_places_take_their_states_along():
    old = [np.array(rows) for rows in ([0, 1, 2], [3, 4], [5, 6, 7])]
    new = [np.array(rows) for rows in ([4, 2, 0], [3, 1], [7, 6, 5])]
    states, path = States(1e9), WHOLE[:2]
    for batch in (0, 1):
        values = [*old[batch], 99][:3]  # a batch has room for three
        states.put(batch, path, jnp.array(values, jnp.float32)[:, None] * jnp.ones((3, 5)))
    states.put(-1, path, jnp.ones(11))  # no such batch: the text before all rows
    states.put(2, WHOLE, jnp.ones((3, 5)))
    states.rearrange(old, new)
    assert states.get(0, path)[:, 0].tolist() == [4, 2, 0]
    assert states.get(1, path)[:2, 3].tolist() == [3, 1]
    assert np.isfinite(states.get(1, path)).all()
    assert states.get(2, path) is None  # nothing was kept of its rows
    assert states.get(2, WHOLE).shape == (3, 5) and states.get(-1, path).shape == (11,)
    assert states.used == 4 * (3 * 15 + 11)
