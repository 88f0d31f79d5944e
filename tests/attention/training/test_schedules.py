"""Learning rates by name."""

import jax
import numpy as np
import optax
import pytest

from attention.errors import InputError
from attention.training import SCHEDULES, make_schedule


def test_every_schedule_follows_from_rate_and_steps():
    for name in SCHEDULES:
        schedule = make_schedule(name, 0.5, 100)
        assert max(np.asarray(jax.jit(jax.vmap(schedule))(np.arange(101)))) == pytest.approx(
            0.5, rel=1e-3
        ), name
        assert np.isfinite(float(make_schedule(name, 0.5, 1)(0))), name
    given = make_schedule("cosine_decay_schedule:alpha=0.1,decay_steps=50", 2.0, 100)
    expected = optax.cosine_decay_schedule(2.0, 50, 0.1)
    found, wanted = (jax.jit(jax.vmap(each))(np.arange(60)) for each in (given, expected))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up", "unknown"),
        ("constant_schedule:x=1", "no parameter"),
        ("constant_schedule:value=x", "not a number"),
        ("warmup_constant_schedule:warmup_steps=-1", "at least 0"),
        ("cosine_decay_schedule:decay_steps=0", "10 steps"),
    ],
)
def test_what_is_no_schedule(text, message):
    with pytest.raises(InputError, match=message):
        make_schedule(text, 1.0, 10)
