"""Programs over rows of tokens, and the states of all layers in one pass: what analyses run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.likelihood import Row, batches, plan
from attention.transformer import Transformer, TransformerConfig, keep_halves
from tale_jax.units import Keep, Unit, kept_halves

# (tokens, where, targets, read_at, target_where) -> arrays [rows, …]
Program = Callable[..., Any]


class RowBatches:
    """Rows in padded batches on the device, ready for any number of programs.

    Attributes:
        batch_tokens: tokens in a batch; halved when the device runs out of memory.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        batch_tokens: int,
        sharding: jax.sharding.Sharding | None = None,
    ):
        """Plan the batches: few shapes, at most ``batch_tokens`` tokens each."""
        self.batch_tokens = batch_tokens
        self._rows, self._sharding = rows, sharding
        self._load()

    def _load(self) -> None:
        multiple = 1 if self._sharding is None else self._sharding.num_devices
        shapes = plan([self._rows], self.batch_tokens, multiple)
        self._smallest = all(shape.rows <= multiple for shape in shapes)
        self._batches = [
            (batch.rows, tuple(jax.device_put(array, self._sharding) for array in arrays))
            for batch in batches(self._rows, shapes)
            for a in [batch.arrays]
            for arrays in [(a.tokens, a.branches >= 0, a.targets, a.read_at, a.owners >= 0)]
        ]
        self._order = np.argsort(np.concatenate([rows for rows, _ in self._batches]))

    def run(self, program: Program) -> Any:
        """What ``program`` makes of every row, in order, on the host.

        Where the device runs out of memory all is done again in batches half as large.
        """
        while True:
            try:
                outputs = [(len(rows), program(*arrays)) for rows, arrays in self._batches]
                fetched = [_first(count, output) for count, output in outputs]
                break
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error) or self._smallest:
                    raise
            largest = max(arrays[0].size for _, arrays in self._batches)
            outputs = self._batches = []  # free what they hold
            self.batch_tokens = largest // 2
            self._load()
        return jax.tree.map(lambda *parts: np.concatenate(parts)[self._order], *fetched)


def _first(count: int, output: Any) -> Any:
    """The rows that are not padding, on the host."""
    return jax.tree.map(lambda array: np.asarray(array)[:count], output)


def layer_states(
    config: TransformerConfig,
    params: Mapping[str, Any],
    tokens_BT: Int[Array, "B T"],
    where_BT: Bool[Array, "B T"],
) -> Float[Array, "L+1 B T D"]:
    """The input of the first layer and the output of each layer, in one pass.

    ``params`` are stacked: a scan, which compiles one layer.
    """
    model, variables = Transformer(config), {"params": params}
    embedded: Any = model.apply(variables, tokens_BT, where_BT, method="embed_inputs")
    logits_and_captured: Any = model.apply(
        variables,
        tokens_BT,
        where=where_BT,
        read_at=jnp.zeros((len(tokens_BT), 1), int),  # the logits themselves are not wanted
        capture=("hidden_states",),
    )
    states_LBTD = logits_and_captured[1]["hidden_states"]
    return jnp.concatenate([embedded[0][None], states_LBTD])


def without_layers(
    config: TransformerConfig, params: Mapping[str, Any], dropped: Sequence[Unit]
) -> tuple[TransformerConfig, Mapping[str, Any]]:
    """The physically shorter model; unstacked parameters hold no half that it is without."""
    if not dropped and not isinstance(params["layers"], tuple):
        return config, params
    keep = halves_left(config, dropped)
    return config.keep_halves(keep), keep_halves(params, keep)


def halves_left(config: TransformerConfig, dropped: Sequence[Unit]) -> Keep:
    """Of the model's own halves those that are not dropped."""
    keep = kept_halves(dropped, config.num_hidden_layers)
    pairs = zip(keep, config.halves, strict=True)
    return tuple((a and has_a, m and has_m) for (a, m), (has_a, has_m) in pairs)


def last_states(
    config: TransformerConfig,
    params: Mapping[str, Any],
    dropped: Sequence[Unit],
    rows: RowBatches,
) -> Float[np.ndarray, "E L+1 D"]:
    """State of the last token of each row, before the first layer and after each layer kept."""
    shorter, kept_params = without_layers(config, params, dropped)

    @jax.jit
    def read(params, tokens_BT, where_BT):
        states_LBTD = layer_states(shorter, params, tokens_BT, where_BT)
        last_B = jnp.sum(where_BT, axis=1) - 1
        states_LBD = jnp.take_along_axis(states_LBTD, last_B[None, :, None, None], axis=2)[:, :, 0]
        return states_LBD.swapaxes(0, 1).astype(jnp.float32)

    return rows.run(lambda tokens, where, *_: read(kept_params, tokens, where))
