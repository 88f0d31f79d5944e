"""A classifier under study: its predictions, its attention, and both with something replaced."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.errors import InputError
from attention.transformer import (
    Context,
    Transformer,
    TransformerConfig,
    run_layers,
    unstack_layers,
)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """One example as the model reads it, and where its answer is read.

    Attributes:
        tokens: ids, padded at the end.
        where: real tokens.
        types: BERT's segments.
        read: the position whose row of logits counts (of the token heads), or None.
    """

    tokens: Int[np.ndarray, " T"]
    where: Bool[np.ndarray, " T"]
    types: Int[np.ndarray, " T"]
    read: int | None


class Probe:
    """Jitted questions to one model; batches are variants of one example.

    Every replacement goes through the transformer's own tap.

    Args:
        config: of a model with the head ``sequence`` or ``token``.
        params: its parameters.
        x64: compute in float64.
    """

    def __init__(self, config: TransformerConfig, params: Any, x64: bool = False):
        if not config.attention:
            raise InputError("the model has no attention to explain")
        if config.head not in ("sequence", "token"):
            raise InputError(
                f"the model has the head {config.head}; explaining a decision needs a classifier "
                "(sequence or token)"
            )
        self.x64 = x64
        with self._precision():
            if x64:
                config = dataclasses.replace(config, dtype="float64")
                params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
            self.config, self.params = config, unstack_layers(jax.tree.map(jnp.asarray, params))
            self._model = Transformer(config)
            self._run = jax.jit(self._replaced, static_argnames="capture")
            self._grad = jax.jit(jax.vmap(jax.grad(self._scalar), (0, None, None, None, None)))

    def _precision(self):
        return jax.enable_x64(self.x64)

    def _forward(
        self, hidden, context: Context, where, read, tap=None, capture=()
    ) -> tuple[Array, dict[str, Any]]:
        """From input states to logits ``[B, labels]`` at the place that counts."""
        hidden, _, captured = run_layers(
            self.config, self.params["layers"], hidden, context, tap=tap, capture=capture
        )
        logits: Any = self._model.apply(
            {"params": self.params}, hidden, where, method=Transformer.read_out
        )
        if self.config.head == "token":
            logits = jax.lax.dynamic_index_in_dim(logits, read, axis=1, keepdims=False)
        return logits, captured

    def _embed(self, tokens, where, types) -> tuple[Array, Context]:
        kinds = types if self.config.type_vocab_size else None
        found: Any = self._model.apply(
            {"params": self.params}, tokens, where, kinds, method=Transformer.embed_inputs
        )
        return found

    def _replaced(self, tokens, where, types, read, chosen_LN, new_LBNTS, capture=False):
        def tap(layer, weights, values, mask):
            at = chosen_LN[layer][None, :, None, None]
            return jnp.where(at, new_LBNTS[layer].astype(weights.dtype), weights)

        hidden, context = self._embed(tokens, where, types)
        names = ("attention_weights", "values") if capture else ()
        logits, seen = self._forward(hidden, context, where, read, tap, names)
        masks = []
        if capture:
            distance = context.positions_BT[:, :, None] - context.positions_BS[:, None, :]
            for window in self.config.windows:
                mask = context.mask_BTS
                masks.append(mask if window is None else mask & (jnp.abs(distance) < window))
            seen["where"] = jnp.stack(
                [jnp.broadcast_to(m, (tokens.shape[0], *m.shape[1:])) for m in masks]
            )
        return jax.nn.softmax(logits, -1), logits, seen

    def logits(
        self,
        inputs: Inputs,
        new_LBNTS: np.ndarray | None = None,
        chosen_LN: np.ndarray | None = None,
        where_BT: np.ndarray | None = None,
    ) -> Float[np.ndarray, "B C"]:
        """Logits of the example, with attention replaced or with tokens masked out.

        Args:
            inputs: the example.
            new_LBNTS: ``B`` replacements of every layer's weights.
            chosen_LN: which layers and heads get them.
            where_BT: other real tokens than the example's.
        """
        batch = 1 if new_LBNTS is None else new_LBNTS.shape[1]
        batch = batch if where_BT is None else len(where_BT)
        return np.asarray(self._ask(inputs, batch, new_LBNTS, chosen_LN, where_BT, False)[1])

    def attention(
        self, inputs: Inputs
    ) -> tuple[Float[np.ndarray, " C"], dict[str, Float[np.ndarray, ...]]]:
        """Logits, and ``attention_weights [L, N, T, S]``, ``values [L, K, S, H]``, ``where``."""
        _, logits, seen = self._ask(inputs, 1, None, None, None, True)
        arrays = {name: np.asarray(array, np.float64)[:, 0] for name, array in seen.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(f"the model's {name.replace('_', ' ')} are not finite")
        if arrays["attention_weights"].min() < 0:
            raise InputError(
                f"the model's normalizer ({self.config.normalizer}) gives weights below zero: no "
                "distributions, which efficient attention is about"
            )
        seen = arrays["where"].astype(bool)[:, None] & inputs.where[None, None, :, None]
        # What padded queries attend to is read by nobody.
        weights = np.where(seen, arrays["attention_weights"], 0)
        return np.asarray(logits)[0], {**arrays, "attention_weights": weights, "where": seen}

    def _ask(self, inputs, batch, new, chosen, where, capture):
        c = self.config
        length = len(inputs.tokens)
        if new is None:
            new = np.zeros((c.num_hidden_layers, 1, 1, 1, 1))
        if chosen is None:
            chosen = np.zeros((c.num_hidden_layers, c.num_attention_heads), bool)
        where = inputs.where[None] if where is None else where
        spread = lambda row: np.broadcast_to(row, (batch, length))  # noqa: E731
        with self._precision():
            return self._run(
                spread(inputs.tokens), spread(where), spread(inputs.types),
                inputs.read or 0, chosen, new, capture=capture,
            )  # fmt: skip

    def _scalar(self, hidden_TD, context, where, read, label) -> Array:
        logits, _ = self._forward(hidden_TD[None], context, where, read)
        return jax.nn.log_softmax(logits[0])[label]

    def gradients(
        self, inputs: Inputs, label: int, steps: int = 16
    ) -> dict[str, Float[np.ndarray, " T"]]:
        """Per token: ``gradient × input`` and integrated gradients (from zero) of ``log p(label)``.

        Integrated gradients: the mean gradient at ``steps`` midpoints of the line from zero.
        """
        with self._precision():
            where, types = inputs.where[None], inputs.types[None]
            hidden, context = self._embed(inputs.tokens[None], where, types)
            shares = np.concatenate([[1.0], (np.arange(steps) + 0.5) / steps])
            scaled = jnp.asarray(shares, hidden.dtype)[:, None, None] * hidden
            found = self._grad(scaled, context, where, inputs.read or 0, label)
            found, hidden = np.asarray(found, np.float64), np.asarray(hidden[0], np.float64)
        real = inputs.where
        return {
            "gradient × input": np.where(real, (found[0] * hidden).sum(-1), 0),
            "integrated gradients": np.where(real, (found[1:].mean(0) * hidden).sum(-1), 0),
        }

    def leave_one_out(self, inputs: Inputs, label: int) -> Float[np.ndarray, " T"]:
        """``p(label) - p(label | token removed)`` of each token."""
        length = len(inputs.tokens)
        where = inputs.where[None] & ~np.eye(length, dtype=bool)
        everything = softmax(self.logits(inputs))[0, label]
        return np.where(
            inputs.where, everything - softmax(self.logits(inputs, where_BT=where))[:, label], 0
        )

    def adversarial(
        self, inputs: Inputs, seen: dict[str, np.ndarray], chosen_LN: np.ndarray, steps: int = 100
    ) -> Float[np.ndarray, "L N T S"]:
        """Distributions as far from the attention as the output lets them (Jain & Wallace 2019).

        Adam on scores, from the attention's logarithms and noise: ``-JSD(adversary, attention)``,
        mean over rows, ``+ 50 max(0, TVD(output) - 0.01)``.
        """
        import optax

        with self._precision():
            dtype = jnp.dtype(self.config.dtype)
            given = jnp.asarray(seen["attention_weights"], dtype)
            where = jnp.broadcast_to(jnp.asarray(seen["where"]), given.shape)
            sums = jnp.sum(given, -1, keepdims=True)
            target = given / jnp.where(sums > 0, sums, 1)
            optimizer = optax.adam(0.1)
            logits = jax.nn.softmax(self.logits(inputs)[0].astype(dtype))

            def rows(scores):
                return jax.nn.softmax(jnp.where(where, scores, -1e9), -1) * where

            def loss(scores):
                found = rows(scores)
                new = (sums * found)[:, None]
                args = (inputs.tokens[None], inputs.where[None], inputs.types[None])
                output, _, _ = self._replaced(*args, inputs.read or 0, jnp.asarray(chosen_LN), new)
                middle = (found + target) / 2
                part = lambda p: jnp.sum(  # noqa: E731
                    jnp.where(p > 1e-12, p * jnp.log(jnp.maximum(p, 1e-12) / (middle + 1e-12)), 0),
                    -1,
                )
                tvd = 0.5 * jnp.sum(jnp.abs(output[0] - logits))
                return -jnp.mean(part(found) + part(target)) / 2 + 50 * jax.nn.relu(tvd - 0.01)

            def step(_, state):
                scores, moments = state
                updates, moments = optimizer.update(jax.grad(loss)(scores), moments)
                return optax.apply_updates(scores, updates), moments

            noise = jax.random.normal(jax.random.key(0), given.shape, dtype)
            scores = jnp.log(target + 1e-6) + noise
            start = scores, optimizer.init(scores)
            run = jax.jit(lambda state: rows(jax.lax.fori_loop(0, steps, step, state)[0]))
            return np.asarray(sums * run(start), np.float64)


def softmax(logits: Float[np.ndarray, "... C"]) -> Float[np.ndarray, "... C"]:
    """Probabilities, in float64."""
    logits = np.asarray(logits, np.float64)
    grown = np.exp(logits - logits.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)
