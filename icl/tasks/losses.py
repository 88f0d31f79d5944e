"""The distance of a prediction from a value: the loss of training, and the error of tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from icl.tasks.prompts import Prompts


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss for training and an error for tables.

    Attributes:
        training: the loss of each prediction p of a value y, on JAX arrays of one shape.
        error: the error of each prediction, on NumPy arrays of one shape.
    """

    training: Callable[[Array, Array], Array]
    error: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def total(
        self, predicted_BT: Float[Array, "B T"], prompts: Prompts
    ) -> tuple[Float[Array, ""], Int[Array, ""]]:
        """The sum of the training losses over the points that count, and their number."""
        each_BT = self.training(predicted_BT, prompts.y_BT)
        where_BT = jnp.broadcast_to(prompts.where_BT, each_BT.shape)
        return jnp.sum(jnp.where(where_BT, each_BT, 0)), jnp.sum(where_BT)


SQUARED = Loss(lambda p, y: jnp.square(p - y), lambda p, y: np.square(p - y))
"""``(p − y)²``, in training and in the tables."""
LOGISTIC = Loss(lambda p, y: jax.nn.softplus(-p * y), lambda p, y: np.abs(np.sign(p) - y) / 2)
"""For labels y = ±1: ``log(1 + e^(−p y))`` in training, and in the tables the share of wrong signs,
where p = 0 is half wrong."""
