"""Networks and trees, from the suite of Garg et al. (2022)."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from icl.tasks.distributions import Distribution
from icl.tasks.functions.classes import Degree, FunctionClass, product

Network = tuple[Float[Array, "d F"], Float[Array, " F"]]
Tree = tuple[Int[Array, " splits"], Float[Array, " leaves"]]


@dataclasses.dataclass(frozen=True)
class ReluNetwork(FunctionClass[Network]):
    """``f(x) = sqrt(2/hidden) · v·relu(W x)``."""

    name: ClassVar[str] = "relu-network"
    d: int = 20
    hidden: int = 100

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Network:
        inner, outer = jax.random.split(key)
        return of.sample(inner, (self.d, self.hidden)), of.sample(outer, (self.hidden,))

    def value(self, coefficients: Network, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        inner_DF, outer_F = coefficients
        hidden_TF = jax.nn.relu(jnp.einsum("TD,DF->TF", x_TD, inner_DF, precision="highest"))
        return product(hidden_TF, outer_F) * math.sqrt(2 / self.hidden)


@dataclasses.dataclass(frozen=True)
class DecisionTree(FunctionClass[Tree]):
    """A full binary tree; each split looks at the sign of one coordinate.

    Attributes:
        depth: number of splits between the root and a leaf.
    """

    name: ClassVar[str] = "tree"
    d: int = 20
    depth: int = 4

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Tree:
        splits, leaves = jax.random.split(key)
        coordinates = jax.random.randint(splits, (2**self.depth - 1,), 0, self.d)
        return coordinates, of.sample(leaves, (2**self.depth,))

    def value(self, coefficients: Tree, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        coordinates, leaves = coefficients
        node_T = jnp.zeros(x_TD.shape[0], int)  # node i has the children 2i + 1 and 2i + 2
        for _ in range(self.depth):
            split_T = jnp.take_along_axis(x_TD, coordinates[node_T][:, None], axis=1)[:, 0]
            node_T = 2 * node_T + 1 + (split_T > 0)
        return leaves[node_T - (2**self.depth - 1)]
