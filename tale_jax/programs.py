"""What runs on the device, a few programs a batch shape, for every candidate of a search.

A candidate that is read (log-likelihood) goes through *embed*, *advance* once a layer, and
*finish*; it may take up the states of another model that is the same so far.  *finish* is the last
layer at the places that are read alone.  The text that all rows begin with goes through *embed* and
*share*, which also gives the layer's keys and values.  A candidate that writes has one program,
*write*.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.transformer import Transformer, TransformerConfig
from attention.transformer.depth import run_layer
from attention.transformer.layers import Context
from attention.transformer.rotary import rotation
from tale_jax.batching import Arrays


class Programs:
    """Compiled once, side by side, and counted.

    Attributes:
        compilations: programs compiled so far.
        shared: the text before every row, as a batch of one row; None: there is none.
    """

    def __init__(
        self,
        config: TransformerConfig,
        params: Mapping[str, Any],
        protocol: Any,
        shared: Arrays | None,
    ):
        """Prepare the programs of a model.

        Args:
            config: of the model.
            params: stacked.
            protocol: that has ``read`` or ``write``.
            shared: the text before every row, as a batch of one row; None: there is none.
        """
        self.compilations = 0
        self._config, self._params, self._protocol = config, params, protocol
        self.shared = shared
        self._compiled: dict[Any, concurrent.futures.Future[Any]] = {}
        self._begun: set[Any] = set()
        self._lock = threading.Lock()
        self._compiler = concurrent.futures.ThreadPoolExecutor(2, "compiler")

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Run ``embed``, ``advance``, ``finish``, ``share`` or ``write``; does not wait."""
        return self._program(name, arguments).result()(self._params, *arguments)

    def compile_reading(self, arrays: Arrays) -> None:
        """Begin to compile all that a batch to be read needs; needs no state of it."""
        shape = arrays.tokens.shape, arrays.targets.shape, arrays.places.shape
        with self._lock:
            if shape in self._begun:
                return
            self._begun.add(shape)
        keep, layer, before = np.ones(2, bool), np.int32(0), None
        hidden = jax.eval_shape(self._embed, self._params, arrays)
        if self.shared is not None:
            text = jax.eval_shape(self._embed, self._params, self.shared)
            _, before = jax.eval_shape(self._share, self._params, self.shared, text, keep, layer)
            self._program("share", (self.shared, text, keep, layer))
            self._program("embed", (self.shared,))
        self._program("embed", (arrays,))
        self._program("finish", (arrays, hidden, keep, layer, before))
        self._program("advance", (arrays, hidden, keep, layer, before))

    def _program(self, name: str, arguments: Any) -> concurrent.futures.Future[Any]:
        leaves, tree = jax.tree.flatten(arguments)
        key = (name, tree, tuple(np.shape(leaf) for leaf in leaves))
        with self._lock:
            if key not in self._compiled:
                function = jax.jit(getattr(self, f"_{name}"))
                self._compiled[key] = self._compiler.submit(
                    lambda: function.lower(self._params, *arguments).compile()
                )
                self.compilations += 1
            return self._compiled[key]

    def _context(self, params: Any, arrays: Arrays, shared: int) -> Context:
        """A branch sees the shared text, the prompt and itself; nothing sees what comes later."""
        rows, length = arrays.tokens.shape
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

    def _behind_shared(self, params: Any, arrays: Arrays) -> Context:
        return self._context(params, arrays, 0 if self.shared is None else self.shared.tokens.size)

    def _embed(self, params: Any, arrays: Arrays) -> jax.Array:
        model, context = Transformer(self._config), self._context(params, arrays, 0)
        variables = {"params": params}
        found: Any = model.apply(variables, arrays.tokens, context=context, method="embed_inputs")
        return found[0]

    def _advance(self, params, arrays, hidden, keep, layer, before):
        context = self._behind_shared(params, arrays)
        return run_layer(
            self._config, params["layers"], hidden, context, keep, layer, prefix=before
        )[0]

    def _finish(self, params, arrays, hidden, keep, layer, before):
        context = self._behind_shared(params, arrays)
        how = {"prefix": before, "read_at": arrays.places}
        hidden, _ = run_layer(self._config, params["layers"], hidden, context, keep, layer, **how)
        return self._protocol.read(params, hidden, arrays)

    def _share(self, params, arrays, hidden, keep, layer):
        context = self._context(params, arrays, 0)
        return run_layer(self._config, params["layers"], hidden, context, keep, layer)

    def _write(self, params, arrays, keep):
        return self._protocol.write(params, keep, arrays)
