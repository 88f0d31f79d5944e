"""Prompting strategies: how the points of a test's prompt differ from those that are drawn.

A strategy changes the inputs before their values are computed, or the order in which points are
shown.  Source: Garg et al. (2022), "What can transformers learn in-context?", section 4, and for
``sorted`` arXiv 2411.11465.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from attention.choices import Choices
from attention.errors import InputError

Points = Float[Array, "B T d"]


@dataclasses.dataclass(frozen=True)
class Prompting:
    """A prompting strategy.

    Attributes:
        inputs: makes the inputs ``[B, T, d]`` of a key and of those that were drawn; None keeps
            them.  It raises InputError where there are too few coordinates for it.
        places: maps inputs to the places of the points that are shown first, second, …; None
            keeps the points as they are.
        query: whether the last point alone counts, because the others only prepare it.
    """

    inputs: Callable[[Key[Array, ""], Points], Points] | None = None
    places: Callable[[Points], Int[Array, "B T"]] | None = None
    query: bool = False

    def change(self, key: Key[Array, ""], x_BTD: Points) -> Points:
        """The inputs by this strategy.

        Raises:
            InputError: there are too few coordinates, or too many points.
        """
        return x_BTD if self.inputs is None else self.inputs(key, x_BTD)

    def arrange(
        self, x_BTD: Points, y_FBT: Float[Array, "F B T"]
    ) -> tuple[Points, Float[Array, "F B T"]]:
        """The same points in the order of this strategy."""
        if self.places is None:
            return x_BTD, y_FBT
        places_BT = self.places(x_BTD)
        return (
            jnp.take_along_axis(x_BTD, places_BT[:, :, None], axis=1),
            jnp.take_along_axis(y_FBT, places_BT[None], axis=2),
        )


def _transformed(key: Key[Array, ""], x_BTD: Points, eigenvalues_D: Float[Array, " d"]) -> Points:
    """``x R diag(λ) Rᵀ`` with a random rotation R a prompt, and λ scaled to ``Σ λ² = d``."""
    size = x_BTD.shape[2]
    scaled_D = eigenvalues_D * jnp.sqrt(size / jnp.sum(jnp.square(eigenvalues_D)))
    rotations_BDD = jax.random.orthogonal(key, size, (x_BTD.shape[0],))
    return jnp.einsum(
        "BTD,BDE,E,BFE->BTF", x_BTD, rotations_BDD, scaled_D, rotations_BDD, precision="highest"
    )


def _half_subspace(key: Key[Array, ""], x_BTD: Points) -> Points:
    size = _several(x_BTD, "half-subspace")
    return _transformed(key, x_BTD, (jnp.arange(size) < size // 2).astype(x_BTD.dtype))


def _skewed(key: Key[Array, ""], x_BTD: Points) -> Points:
    size = _several(x_BTD, "skewed")
    return _transformed(key, x_BTD, 1 / (1 + jnp.arange(size, dtype=x_BTD.dtype)))


def _several(x_BTD: Points, name: str) -> int:
    if x_BTD.shape[2] < 2:
        raise InputError(f"prompt={name} needs inputs of several numbers, such as d=20")
    return x_BTD.shape[2]


def _other_quadrant(key: Key[Array, ""], x_BTD: Points) -> Points:
    signs_B1D = jax.random.rademacher(key, (x_BTD.shape[0], 1, x_BTD.shape[2]), x_BTD.dtype)
    return (jnp.abs(x_BTD) * signs_B1D).at[:, -1].set(x_BTD[:, -1])


def _orthogonal(key: Key[Array, ""], x_BTD: Points) -> Points:
    if x_BTD.shape[1] > x_BTD.shape[2]:
        raise InputError(
            f"prompt=orthogonal needs fewer earlier points than coordinates, not "
            f"{x_BTD.shape[1] - 1} in {x_BTD.shape[2]}; try --points {x_BTD.shape[2]}"
        )
    query_BD = x_BTD[:, -1]
    basis_BDC = jnp.linalg.qr(x_BTD[:, :-1].swapaxes(1, 2))[0]
    within_BC = jnp.einsum("BD,BDC->BC", query_BD, basis_BDC, precision="highest")
    rest_BD = query_BD - jnp.einsum("BC,BDC->BD", within_BC, basis_BDC, precision="highest")
    norms = jnp.linalg.norm(query_BD, axis=1) / jnp.linalg.norm(rest_BD, axis=1)
    return x_BTD.at[:, -1].set(rest_BD * norms[:, None])


def _query_in_prompt(key: Key[Array, ""], x_BTD: Points) -> Points:
    if x_BTD.shape[1] < 2:
        raise InputError("prompt=query-in-prompt needs at least 2 points")
    which_B = jax.random.randint(key, (x_BTD.shape[0],), 0, x_BTD.shape[1] - 1)
    return x_BTD.at[:, -1].set(x_BTD[jnp.arange(x_BTD.shape[0]), which_B])


PROMPTINGS = Choices(
    "prompting strategy",
    {
        "drawn": Prompting(),
        "sorted": Prompting(places=lambda x_BTD: jnp.argsort(x_BTD[:, :, 0], axis=1, stable=True)),
        "half-subspace": Prompting(_half_subspace),
        "skewed": Prompting(_skewed),
        "other-quadrant": Prompting(_other_quadrant, query=True),
        "orthogonal": Prompting(_orthogonal, query=True),
        "query-in-prompt": Prompting(_query_in_prompt, query=True),
    },
)
"""The strategies for ``--sweep prompt=…``.

- ``drawn``: as the task draws them.
- ``sorted``: by the first coordinate, ascending.
- ``half-subspace``: inputs lie in a random half of the dimensions, with the same mean square.
- ``skewed``: the covariance has eigenvalues ∝ 1/i² in a random basis, with the same mean square.
- ``other-quadrant``: all earlier inputs have one random pattern of signs; the query has its own.
- ``orthogonal``: the query is orthogonal to all earlier inputs, and as long as it was drawn.
- ``query-in-prompt``: the query equals one of the earlier inputs.
"""
