"""The states of all layers in one pass, and what is left of a model: what analyses run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.likelihood import Arrays, RowBatches
from attention.processes import gathered
from attention.transformer import Transformer, TransformerConfig, keep_halves
from tale_jax.units import Keep, Unit, kept_halves


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
    how = {"where": where_BT, "capture": ("hidden_states",), "logits": False}
    last_and_captured: Any = model.apply(variables, tokens_BT, **how)
    states_LBTD = last_and_captured[1]["hidden_states"]
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
    """The model's own halves that are not dropped."""
    keep = kept_halves(dropped, config.num_hidden_layers)
    pairs = zip(keep, config.halves, strict=True)
    return tuple((a and has_a, m and has_m) for (a, m), (has_a, has_m) in pairs)


def last_states(
    config: TransformerConfig,
    params: Mapping[str, Any],
    dropped: Sequence[Unit],
    rows: RowBatches,
    advance: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "E L+1 D"]:
    """State of the last token of each row, before the first layer and after each layer kept.

    Args:
        config: of the model.
        params: stacked.
        dropped: layers and half-layers to leave out.
        rows: the texts.
        advance: is called when a batch has been read.
    """
    shorter, kept_params = without_layers(config, params, dropped)

    @jax.jit
    def read(params, tokens_BT, where_BT):
        states_LBTD = layer_states(shorter, params, tokens_BT, where_BT)
        last_B = jnp.sum(where_BT, axis=1) - 1
        states_LBD = jnp.take_along_axis(states_LBTD, last_B[None, :, None, None], axis=2)[:, :, 0]
        return states_LBD.swapaxes(0, 1).astype(jnp.float32)

    def program(arrays: Arrays) -> np.ndarray:
        states_BLD = np.asarray(gathered(read(kept_params, arrays.tokens, arrays.where)))
        advance()
        return states_BLD

    return rows.run(program)
