"""The classifier under study: its predictions and attention, as they are and with changes.

A causal language model that answers with one of a few tokens is one too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PyTree

from attention.errors import InputError
from attention.explanation.layer_attention import LayerAttention
from attention.transformer import (
    Context,
    Transformer,
    TransformerConfig,
    run_layers,
    unstack_layers,
)

CAPTURED = ("attention_weights", "values", "mask")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """One text as the model reads it.

    Attributes:
        tokens: ids, padded at the end.
        where: true at real tokens.
        types: BERT's segments.
        read: the position whose logits are the answer of a ``token`` head; None for other heads.
    """

    tokens: Int[np.ndarray, " T"]
    where: Bool[np.ndarray, " T"]
    types: Int[np.ndarray, " T"]
    read: int | None

    @classmethod
    def padded(
        cls,
        tokens: Sequence[int] | np.ndarray,
        length: int,
        types: Sequence[int] | np.ndarray = (),
        read: int | None = None,
    ) -> Inputs:
        """Pad a text at its end; texts of one length share their programs."""
        fill = np.zeros((2, length), np.int32)
        fill[0, : len(tokens)] = tokens
        fill[1, : len(types)] = types
        return cls(fill[0], np.arange(length) < len(tokens), fill[1], read)


class Gradients(NamedTuple):
    """Gradients of ``log p(label)`` by the input state of each token, times that state.

    Attributes:
        times_input: with the gradient at the input state itself.
        integrated: with the mean gradient over the line from zero to the input state, taken at the
            midpoints of equal parts (integrated gradients).
    """

    times_input: Float[np.ndarray, " T"]
    integrated: Float[np.ndarray, " T"]


class Classifier:
    """One model, asked for variants of one text.

    Its programs are those of all models of its config: parameters are arguments.

    Args:
        config: of a model with the head ``sequence`` or ``token``.
        params: of the model.
        dtype: of the parameters and products.

    Attributes:
        config: with that dtype.
        params: with that dtype, unstacked.
        attending: the numbers of the layers that have attention.

    Raises:
        InputError: the model has no attention, or is no classifier.
    """

    def __init__(
        self, config: TransformerConfig, params: Mapping[str, PyTree], dtype: str = "float32"
    ):
        self.attending = config.attending
        if not self.attending:
            raise InputError("the model has no attention to explain")
        if config.head not in ("sequence", "token"):
            raise InputError(
                f"the model has the head {config.head}; explaining a decision needs a classifier "
                "(sequence or token)"
            )
        self.double = dtype == "float64"
        with self.precision():
            if self.double:
                config = dataclasses.replace(config, dtype=dtype)
                params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
            self.config, self.params = config, unstack_layers(jax.tree.map(jnp.asarray, params))

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """Allow float64 in a block, if the classifier computes in it."""
        return jax.enable_x64(self.double)

    def logits(
        self,
        inputs: Inputs,
        new_LBNTS: Float[np.ndarray, "L B N T S"] | None = None,
        chosen_LN: Bool[np.ndarray, "L N"] | None = None,
        where_BT: Bool[np.ndarray, "B T"] | None = None,
    ) -> Float[np.ndarray, "B C"]:
        """Compute the logits of a text, with attention replaced or with tokens masked out.

        Args:
            inputs: the text.
            new_LBNTS: ``B`` replacements of the attention of every layer that has any.
            chosen_LN: the layers and heads in which attention is replaced.
            where_BT: true at the tokens that are not masked out; None: at the text's real tokens.
        """
        batch = 1 if new_LBNTS is None else new_LBNTS.shape[1]
        batch = batch if where_BT is None else len(where_BT)
        return np.asarray(self._ask(inputs, batch, new_LBNTS, chosen_LN, where_BT, ())[0])

    def attention(self, inputs: Inputs) -> tuple[Float[np.ndarray, " C"], list[LayerAttention]]:
        """Compute the logits of a text, and the attention of each layer that has any.

        Raises:
            InputError: attention is not finite, or its weights are not distributions.
        """
        logits, seen = self._ask(inputs, 1, None, None, None, CAPTURED)
        arrays = {name: np.asarray(array, np.float64)[:, 0] for name, array in seen.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(f"the model's {name.replace('_', ' ')} are not finite")
        if arrays["attention_weights"].min() < 0:
            raise InputError(
                f"the model's normalizer ({self.config.normalizer}) gives weights below zero; "
                "efficient attention needs distributions"
            )
        where_LNTS = arrays["mask"].astype(bool)[:, None] & inputs.where[None, None, :, None]
        # Nothing reads the attention of padded queries.
        weights_LNTS = np.where(where_LNTS, arrays["attention_weights"], 0)
        parts = zip(self.attending, weights_LNTS, arrays["values"], where_LNTS, strict=True)
        return np.asarray(logits)[0], [LayerAttention(*each) for each in parts]

    def gradients(self, inputs: Inputs, label: int, steps: int = 16) -> Gradients:
        """Compute the gradients of the log-probability of a label by each token's input state.

        Args:
            inputs: the text.
            label: the label.
            steps: number of parts of the line, for integrated gradients.
        """
        with self.precision():
            shares = np.concatenate([[1.0], (np.arange(steps) + 0.5) / steps])
            hidden, found = _gradients(
                self.config, self.params, inputs.tokens[None], inputs.where[None],
                inputs.types[None], inputs.read or 0, label, shares,
            )  # fmt: skip
            hidden, found = (np.asarray(array, np.float64) for array in (hidden, found))
        parts = (found[0], found[1:].mean(0))
        return Gradients(*(np.where(inputs.where, (part * hidden).sum(-1), 0) for part in parts))

    def leave_one_out(self, inputs: Inputs, label: int) -> Float[np.ndarray, " T"]:
        """Compute ``p(label) − p(label | token removed)`` for each token; zero for padding."""
        where = inputs.where[None] & ~np.eye(len(inputs.tokens), dtype=bool)
        everything = softmax(self.logits(inputs))[0, label]
        without = softmax(self.logits(inputs, where_BT=where))[:, label]
        return np.where(inputs.where, everything - without, 0)

    def _ask(
        self, inputs: Inputs, batch: int, new, chosen, where, capture: tuple[str, ...]
    ) -> tuple[Array, dict[str, Array]]:
        depth, length = len(self.attending), len(inputs.tokens)
        if new is None:
            new = np.zeros((depth, 1, 1, 1, 1))
        if chosen is None:
            chosen = np.zeros((depth, self.config.num_attention_heads), bool)
        where = inputs.where[None] if where is None else where
        spread = lambda row: np.broadcast_to(row, (batch, length))  # noqa: E731
        with self.precision():
            return replaced(
                self.config, self.params, spread(inputs.tokens), spread(where),
                spread(inputs.types), inputs.read or 0, chosen, new, capture,
            )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("config", "capture"))
def replaced(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    tokens_BT: Int[ArrayLike, "B T"],
    where_BT: Bool[ArrayLike, "B T"],
    types_BT: Int[ArrayLike, "B T"],
    read: ArrayLike,
    chosen_LN: Bool[ArrayLike, "L N"],
    new_LBNTS: Float[ArrayLike, "L B N T S"],
    capture: tuple[str, ...] = (),
) -> tuple[Float[Array, "B C"], dict[str, Array]]:
    """Compute the logits with the weights of the chosen heads replaced, by the model's own ``tap``.

    Args:
        config: of the model; ``L`` counts its layers with attention.
        params: of the model, unstacked.
        tokens_BT: ids.
        where_BT: true at real tokens.
        types_BT: BERT's segments.
        read: the position whose logits are the answer, for a ``token`` head.
        chosen_LN: the layers and heads whose weights are replaced.
        new_LBNTS: the new weights.
        capture: what is captured of each layer.

    Returns:
        The logits, and what is captured.
    """

    def tap(layer: int, weights: Array, values: Array, mask: Array) -> Array:
        del values, mask
        place = config.attending.index(layer)
        at = jnp.asarray(chosen_LN)[place][None, :, None, None]
        return jnp.where(at, jnp.asarray(new_LBNTS)[place].astype(weights.dtype), weights)

    hidden, context = _embed(config, params, tokens_BT, where_BT, types_BT)
    return _forward(config, params, hidden, context, where_BT, read, tap, capture)


@functools.partial(jax.jit, static_argnames="config")
def _gradients(config, params, tokens, where, types, read, label, shares) -> tuple[Array, Array]:
    """The input states, and the gradient of the label's log-probability at each share of them."""
    hidden, context = _embed(config, params, tokens, where, types)

    def score(state: Float[Array, "1 T D"]) -> Array:
        logits, _ = _forward(config, params, state, context, where, read)
        return jax.nn.log_softmax(logits[0])[label]

    scaled = jnp.asarray(shares, hidden.dtype)[:, None, None, None] * hidden[None]
    return hidden[0], jax.vmap(jax.grad(score))(scaled)[:, 0]


def _embed(config, params, tokens, where, types) -> tuple[Array, Context]:
    given = tokens, where, types if config.type_vocab_size else None
    model, method = Transformer(config), Transformer.embed_inputs
    found: Any = model.apply({"params": params}, *given, method=method)
    return found


def _forward(
    config, params, hidden, context: Context, where, read, tap=None, capture=()
) -> tuple[Float[Array, "B C"], dict[str, Array]]:
    """Compute the logits from input states, and read them at the place that counts."""
    hidden, _, captured = run_layers(
        config, params["layers"], hidden, context, tap=tap, capture=capture
    )
    logits: Any = Transformer(config).apply(
        {"params": params}, hidden, where, method=Transformer.read_out
    )
    if config.head == "token":
        logits = jax.lax.dynamic_index_in_dim(logits, read, axis=1, keepdims=False)
    return logits, captured


def softmax(logits: Float[np.ndarray, "... C"]) -> Float[np.ndarray, "... C"]:
    """Compute probabilities in float64."""
    logits = np.asarray(logits, np.float64)
    grown = np.exp(logits - logits.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)
