"""What runs on the device, a few programs a batch shape, for every candidate of a search.

A candidate that is read (log-likelihood) goes through *embed* → *advance* → *finish*, and may enter
*advance* at any layer with the states of another model that is the same below.  The last layer is
run at the places that are read alone.  A candidate that writes has one program, *write*.  The text
that all rows begin with is run once a candidate by *prefix*.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.transformer import Transformer, TransformerConfig
from attention.transformer.depth import init_cache, run_last, run_segment
from attention.transformer.layers import Context, KeyValues
from attention.transformer.rotary import rotation
from tale_jax.batching import Arrays


class Programs:
    """Compiled once, side by side, and counted.

    Attributes:
        compilations: programs compiled so far.
    """

    def __init__(
        self,
        config: TransformerConfig,
        params: Mapping[str, Any],
        protocol: Any,
        shared: np.ndarray,
    ):
        """Prepare the programs of a model.

        Args:
            config: of the model.
            params: stacked.
            protocol: that has ``read`` or ``write``.
            shared: the text ``[1, P]`` before every row.
        """
        self.compilations = 0
        self._config, self._params, self._protocol = config, params, protocol
        self._shared = shared
        self._compiled: dict[Any, concurrent.futures.Future[Any]] = {}
        self._begun: set[Any] = set()
        self._compiler = concurrent.futures.ThreadPoolExecutor(2, "compiler")

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Run ``embed``, ``advance``, ``finish``, ``write`` or ``prefix``; does not wait."""
        return self._program(name, arguments).result()(self._params, *arguments)

    def compile_reading(self, arrays: Arrays) -> None:
        """Begin to compile all that a batch to be read needs; needs no state of it."""
        if (shape := (arrays.tokens.shape, arrays.targets.shape)) in self._begun:
            return
        self._begun.add(shape)
        keep, layer = np.ones((self._config.num_hidden_layers, 2), bool), np.int32(0)
        hidden = jax.eval_shape(self._embed, self._params, arrays)
        prefix = None
        if self._shared.size:
            prefix = jax.eval_shape(self._prefix, self._params, keep)
            self._program("prefix", (keep,))
        self._program("embed", (arrays,))
        self._program("finish", (arrays, hidden, keep, layer, prefix))
        self._program("advance", (arrays, hidden, keep, layer, layer, prefix))

    def _program(self, name: str, arguments: Any) -> concurrent.futures.Future[Any]:
        leaves, tree = jax.tree.flatten(arguments)
        key = (name, tree, tuple(np.shape(leaf) for leaf in leaves))
        if key not in self._compiled:
            function = jax.jit(getattr(self, f"_{name}"))
            self._compiled[key] = self._compiler.submit(
                lambda: function.lower(self._params, *arguments).compile()
            )
            self.compilations += 1
        return self._compiled[key]

    def _context(self, params: Any, arrays: Arrays) -> Context:
        """A branch sees the shared text, the prompt and itself; nothing sees what comes later."""
        shared, (rows, length) = self._shared.shape[1], arrays.tokens.shape
        branches, places = arrays.branches, jnp.arange(length)
        positions = jnp.asarray(arrays.positions)
        same = branches[:, None, :] == branches[:, :, None]
        mask = (same | (branches[:, None, :] == 0)) & (places[None, :] <= places[:, None])[None]
        front = jnp.ones((rows, length, shared), bool)
        before = jnp.broadcast_to(jnp.arange(shared)[None], (rows, shared))
        turns = None
        if self._config.position_embedding == "rope":
            turns = rotation(self._config, positions)
        return Context(
            jnp.concatenate([front, mask], 2),
            positions,
            jnp.concatenate([before, positions], 1),
            turns,
            normalizer=params.get("normalizer"),
        )

    def _embed(self, params: Any, arrays: Arrays) -> jax.Array:
        model, context = Transformer(self._config), self._context(params, arrays)
        variables = {"params": params}
        found: Any = model.apply(variables, arrays.tokens, context=context, method="embed_inputs")
        return found[0]

    def _advance(self, params, arrays, hidden, keep, first, end, prefix):
        context = self._context(params, arrays)
        return run_segment(
            self._config, params["layers"], hidden, context, keep, first, end, prefix
        )

    def _finish(self, params, arrays, hidden, keep, layer, prefix):
        context = self._context(params, arrays)
        hidden = run_last(
            self._config, params["layers"], hidden, context, keep, layer, arrays.read_at, prefix
        )
        return self._protocol.read(params, hidden, arrays)

    def _write(self, params, arrays, keep):
        return self._protocol.write(params, keep, arrays)

    def _prefix(self, params: Any, keep: jax.Array) -> KeyValues:
        length = self._shared.shape[1]
        cache = init_cache(self._config, 1, length, stacked=True)
        model, none = Transformer(self._config), np.zeros((1, 1), int)
        variables = {"params": params}
        found: Any = model.apply(
            variables, self._shared, cache, keep=keep, read_at=none, method="decode"
        )
        return found[1].layers
