"""What is read from the last hidden states: logits over a vocabulary, labels or values."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.meshes import constrain
from attention.transformer.arithmetic import ACTIVATIONS
from attention.transformer.config import TransformerConfig
from attention.transformer.positionwise import Norm, Projection, parameter

LANGUAGE_MODEL_HEADS = ("causal_lm", "masked_lm")


class Head(nn.Module):
    """Everything after the last layer's norm but the (possibly tied) vocabulary projection.

    ``masked_lm``: ``norm(act(dense(x)))``, as wide as embeddings; its vocabulary bias lives here.
    ``sequence``: one vector a sequence, ``[B, labels]``: of the last real token (causal), or of the
    first one, or of the mean of all, through ``act(dense(x))`` (bidirectional).
    ``token`` and ``regression``: ``[B, T, labels]``.  With ``head_norm``, labels too are read from
    ``norm(act(dense(x)))``.
    """

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        if c.head == "masked_lm":
            width = c.embedding_width
            bias = (width,) if c.head_bias else None
            self.dense = Projection(c, "BTD,DE->BTE", (c.hidden_size, width), bias)
            self.norm = Norm(c, "layernorm")
            self.bias = parameter(
                self, "bias", nn.initializers.zeros, (c.vocab_size or 0,), c.parameter_dtype
            )
        elif c.head in ("sequence", "token", "regression"):
            if self._dense:
                square = (c.hidden_size, c.hidden_size)
                bias = (c.hidden_size,) if c.head_bias else None
                self.dense = Projection(c, "BTD,DE->BTE", square, bias)
            if c.head_norm:
                self.norm = Norm(c, "layernorm")
            bias = None if c.head == "sequence" and c.causal else (c.num_labels,)
            role = "vectors" if c.head == "regression" else "inner"
            self.out = Projection(c, "BTD,DC->BTC", (c.hidden_size, c.num_labels), bias, role=role)

    @property
    def _dense(self) -> bool:
        c = self.config
        return c.head_norm or (c.head == "sequence" and not c.causal)

    def vocabulary(
        self, hidden_BTD: Array, kernel_VD: Float[Array, "V D"]
    ) -> Float[Array, "B T V"]:
        """Logits of the two language-model heads, in float32.

        ``l = (h · kernel + bias) / logits_scaling``, and with a cap ``c · tanh(l / c)``; only the
        masked model has a bias.

        Args:
            hidden_BTD: states behind the final norm.
            kernel_VD: of the head, or the embedding where they are one.
        """
        c = self.config
        hidden_BTD = self.prepared(hidden_BTD)
        logits_BTV = jnp.einsum(
            "BTD,VD->BTV",
            hidden_BTD,
            kernel_VD,
            precision=c.precision,
            preferred_element_type=jnp.promote_types(hidden_BTD.dtype, jnp.float32),
        )
        logits_BTV = constrain(logits_BTV, "batch", None, "vocab")
        if c.head == "masked_lm":
            logits_BTV += self.bias[None, None]
        if c.logits_scaling is not None:
            logits_BTV /= c.logits_scaling
        if (cap := c.final_logit_softcapping) is not None:
            logits_BTV = cap * jnp.tanh(logits_BTV / cap)
        return logits_BTV

    def prepared(self, hidden_BTD: Float[Array, "B T D"]) -> Float[Array, "B T E"]:
        """What is multiplied by the vocabulary: of a masked model ``norm(act(dense(x)))``."""
        c = self.config
        if c.head != "masked_lm":
            return hidden_BTD
        return self.norm(ACTIVATIONS[c.head_act or c.hidden_act](self.dense(hidden_BTD)))

    def labels(self, hidden_BTD: Array, where_BT: Bool[Array, "B T"] | None) -> Array:
        """Scores of the label heads, in float32; see the class for their shapes."""
        c = self.config
        if c.head == "sequence":
            pool = _mean if c.pooling == "mean" else _token_read
            hidden_BTD = pool(hidden_BTD, where_BT, last=c.causal)
        if self._dense:
            hidden_BTD = ACTIVATIONS[c.head_act or "tanh"](self.dense(hidden_BTD))
        if c.head_norm:
            hidden_BTD = self.norm(hidden_BTD)
        scores = self.out(hidden_BTD)
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        return scores[:, 0] if c.head == "sequence" else scores


def _token_read(hidden_BTD: Array, where_BT: Array | None, *, last: bool) -> Float[Array, "B 1 D"]:
    """The first or last real token of each sequence."""
    length = hidden_BTD.shape[1]
    if where_BT is None:
        return hidden_BTD[:, -1:] if last else hidden_BTD[:, :1]
    if last:
        index_B = length - 1 - jnp.argmax(where_BT[:, ::-1], axis=1)
    else:
        index_B = jnp.argmax(where_BT, axis=1)
    return jnp.take_along_axis(hidden_BTD, index_B[:, None, None], axis=1)


def _mean(hidden_BTD: Array, where_BT: Array | None, *, last: bool) -> Float[Array, "B 1 D"]:
    """The mean over the real tokens of each sequence."""
    del last
    real_BT1 = None if where_BT is None else where_BT[:, :, None]
    wide = hidden_BTD.astype(jnp.promote_types(hidden_BTD.dtype, jnp.float32))
    return jnp.mean(wide, 1, keepdims=True, where=real_BT1).astype(hidden_BTD.dtype)
