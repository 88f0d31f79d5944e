"""The one transformer: every family, every head, whole or with layers dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.meshes import constrain
from attention.normalizers import NORMALIZERS
from attention.transformer.arithmetic import in_dtype
from attention.transformer.config import TransformerConfig
from attention.transformer.context import (
    Branches,
    Cache,
    branched_context,
    make_context,
    segmented_context,
)
from attention.transformer.depth import init_layers, run_layers
from attention.transformer.heads import LANGUAGE_MODEL_HEADS, Head
from attention.transformer.positionwise import Dropout, Embedding, Norm, Projection
from attention.transformer.self_attention import Context, Places, Tap, at
from attention.transformer.stacking import belongs

Tokens = Int[Array, "B T"] | Float[Array, "B T input"]


class Transformer(nn.Module):
    """A transformer described by its config; parameters are a plain tree of arrays.

    ``params["layers"]`` is stacked ``[layer, …]`` or a tuple of per-layer trees
    (``unstack_layers``); both give the same logits.
    """

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        if c.vocab_size is not None:
            self.embed = Embedding(c, c.vocab_size)
        else:
            assert c.input_size is not None  # the config holds exactly one of the two
            shape = (c.input_size, c.hidden_size)
            self.embed = Projection(c, "BTI,ID->BTD", shape, (c.hidden_size,), role="vectors")
        if c.position_embedding == "learned":
            self.position_embedding = Embedding(c, c.max_position_embeddings + c.position_offset)
        if c.type_vocab_size:
            self.token_type_embedding = Embedding(c, c.type_vocab_size)
        if c.embedding_norm:
            self.embedding_norm = Norm(c, "layernorm")
        if c.embedding_size is not None:
            shape = (c.embedding_size, c.hidden_size)
            self.embed_projection = Projection(c, "BTE,ED->BTD", shape, (c.hidden_size,))
        if self.is_initializing():
            self.layers = self.param("layers", lambda key: init_layers(c, key))
        else:  # either form, any depth: `self.param` would insist on the stacked one
            self.layers = self.get_variable("params", "layers")
        row = NORMALIZERS.pick(c.normalizer)
        self.normalizer = None
        if row.learns and row.per == "model":
            self.normalizer = self.param("normalizer", lambda _: row.init(c.num_attention_heads))
        if c.final_norm:
            self.final_norm = Norm(c, c.norm)
        if c.head != "none":
            self.head = Head(c)
        if c.head in LANGUAGE_MODEL_HEADS and not c.tie_word_embeddings:
            self.lm_head = Projection(c, "BTD,VD->BTV", (c.vocab_size or 0, c.embedding_width))

    def __call__(
        self,
        tokens: Tokens,
        *,
        where: Bool[Array, "B T"] | None = None,
        token_type_ids: Int[Array, "B T"] | None = None,
        branches: Branches | None = None,
        segment_ids: Int[Array, "B T"] | None = None,
        layer_mask: tuple[bool, ...] | None = None,
        keep: Bool[Array, "L 2"] | None = None,
        read_at: Places | None = None,
        capture: Sequence[str] = (),
        tap: Tap | None = None,
        logits: bool = True,
        dropout: Dropout | None = None,
    ):
        """Logits of every position, in float32.

        Args:
            tokens: token ids ``[B, T]``, or vectors ``[B, T, input_size]``.
            where: true at real tokens; padding may stand on either side, and positions count real
                tokens.  Logits at padded positions mean nothing.
            token_type_ids: BERT's segments; zeros if None.
            branches: texts that stand side by side behind one prompt, in place of ``where``.
            segment_ids: of texts one behind another in a row, in place of ``where``: a token sees
                its own segment, whose positions count from 0.
            layer_mask: one bool a layer, static: false drops the layer from the program.
            keep: ``[layer, (attention, mlp)]``, data: a dropped half is skipped at run time.
            read_at: indices into T, or a slice; the head is applied to these positions alone, and
                so is the last of unstacked layers.
            capture: what to return beside the logits, as ``(logits, captured)``.  Of each layer
                applied: ``hidden_states`` ``[layer, B, T, D]``, its output.  Of each layer applied
                that has attention: ``attention_weights`` ``[layer, B, N, T, S]``, ``values``
                ``[layer, B, K, S, H]``, ``queries`` ``[layer, B, T, N, H]`` and ``keys`` ``[layer,
                B, S, K, H]``, both rotated, and ``mask`` ``[layer, B, T, S]``, true at the
                keys that a query sees, within the layer's window.
            tap: ``tap(layer, weights_BNTS, values_BKSH, mask_BTS) -> weights_BNTS`` replaces
                the attention weights of each layer.
            logits: false: return the states behind the last layer, which ``read_out`` reads.
            dropout: in training, of the input states and of what each half adds; the layers are
                then unstacked.

        Returns:
            ``[B, T, vocab]`` (``[B, P, vocab]``) for language-model heads, ``[B, T, labels]`` for
            ``token`` and ``regression``, ``[B, labels]`` for ``sequence``, hidden states
            ``[B, T, D]`` for ``none``.
        """
        self._check_read_at(read_at)
        hidden_BTD, context = self.embed_inputs(
            tokens, where, token_type_ids, branches=branches, segment_ids=segment_ids
        )
        if dropout is not None:
            if not isinstance(self.layers, tuple) or self.config.layer_halves is not None:
                raise ValueError("dropout goes with unstacked layers that have both halves")
            hidden_BTD = dropout.applied(hidden_BTD)
            context = context._replace(dropout=dropout.part(0))
        if self.is_initializing():  # `setup` made the parameters of the layers
            return self.read_out(hidden_BTD, where)
        hidden_BTD, _, captured = run_layers(
            self.config,
            self.layers,
            hidden_BTD,
            context,
            layer_mask=layer_mask,
            keep=keep,
            capture=tuple(capture),
            tap=tap,
            read_at=read_at,
        )
        output = self.read_out(hidden_BTD, where) if logits else hidden_BTD
        return (output, captured) if capture else output

    def decode(
        self,
        tokens: Tokens,
        cache: Cache,
        *,
        where: Bool[Array, "B T"] | None = None,
        layer_mask: tuple[bool, ...] | None = None,
        keep: Bool[Array, "L 2"] | None = None,
        read_at: Int[Array, "B P"] | None = None,
    ) -> tuple[Array, Cache]:
        """Logits of ``tokens``, which follow those in ``cache``, and the cache with them in it."""
        if where is None:
            where = jnp.ones(tokens.shape[:2], bool)
        hidden_BTD, context = self.embed_inputs(tokens, where, None, cache)
        hidden_BTD, layers, _ = run_layers(
            self.config,
            self.layers,
            hidden_BTD,
            context,
            layer_mask=layer_mask,
            keep=keep,
            cache=cache.layers,
        )
        assert layers is not None  # a cache went in
        where_BS = jax.lax.dynamic_update_slice_in_dim(cache.where_BS, where, cache.slot, 1)
        cache = Cache(layers, where_BS, context.positions_BS, cache.slot + tokens.shape[1])
        return self.read_out(hidden_BTD, where, read_at), cache

    def embed_inputs(
        self,
        tokens: Tokens,
        where: Bool[Array, "B T"] | None = None,
        token_type_ids: Int[Array, "B T"] | None = None,
        cache: Cache | None = None,
        branches: Branches | None = None,
        segment_ids: Int[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T D"], Context]:
        """Input states of the first layer, and the context that all layers share."""
        c = self.config
        length = tokens.shape[1]
        if segment_ids is not None:
            context = segmented_context(c, segment_ids)
        elif branches is not None:
            context = branched_context(c, branches)
        else:
            context = make_context(c, length, where, cache)
        context = context._replace(normalizer=self.normalizer)
        hidden_BTD = self.embed(tokens)
        if c.embedding_multiplier is not None:
            hidden_BTD *= jnp.asarray(c.embedding_multiplier, hidden_BTD.dtype)
        if c.position_embedding == "learned":
            if branches is None and length > c.max_position_embeddings:
                raise ValueError(
                    f"{length} tokens are more than the model's {c.max_position_embeddings}"
                )
            hidden_BTD += self.position_embedding(context.positions_BT + c.position_offset)
        if c.type_vocab_size:
            types = jnp.zeros((1, length), int) if token_type_ids is None else token_type_ids
            hidden_BTD += self.token_type_embedding(types)
        if c.embedding_norm:
            hidden_BTD = self.embedding_norm(hidden_BTD)
        if c.embedding_size is not None:
            hidden_BTD = self.embed_projection(hidden_BTD)
        return constrain(hidden_BTD, "batch", "length", "state"), context

    def _check_read_at(self, read_at: Places | None) -> None:
        if read_at is not None and self.config.head == "sequence":
            raise ValueError("the head `sequence` reads one position of its own: no read_at")

    def read_out(
        self,
        hidden_BTD: Float[Array, "B T D"],
        where: Bool[Array, "B T"] | None = None,
        read_at: Places | None = None,
    ) -> Array:
        """Final norm and head, at the positions ``read_at`` alone if given."""
        c = self.config
        self._check_read_at(read_at)
        hidden_BTD = at(hidden_BTD, read_at)
        if c.final_norm:
            hidden_BTD = self.final_norm(hidden_BTD)
        hidden_BTD = constrain(hidden_BTD, "batch", None, "state")
        if c.head == "none":
            return hidden_BTD
        if c.head not in LANGUAGE_MODEL_HEADS:
            return self.head.labels(hidden_BTD, where)
        if self.is_initializing() and not c.tie_word_embeddings:
            self.lm_head(hidden_BTD)  # linen makes a parameter when it is first used
        return self.head.vocabulary(hidden_BTD, self._vocabulary_kernel())

    def _vocabulary_kernel(self) -> Float[Array, "V D"]:
        if self.config.tie_word_embeddings:
            return in_dtype(self.config, self.embed.embedding)
        return in_dtype(self.config, self.lm_head.variables["params"]["kernel"])

    def vocabulary_inputs(
        self, hidden_BTD: Float[Array, "B T D"]
    ) -> tuple[Float[Array, "B T E"], Float[Array, "V E"], Float[Array, " V"] | None]:
        """What the logits of a language model are made of, for who computes them in blocks.

        Args:
            hidden_BTD: states behind the last layer.

        Returns:
            States, kernel and bias of the last product.  Its result is then divided by
            ``logits_scaling`` and capped, as the config says.
        """
        if self.config.final_norm:
            hidden_BTD = self.final_norm(hidden_BTD)
        hidden_BTD = constrain(hidden_BTD, "batch", None, "state")
        bias = self.head.bias if self.config.head == "masked_lm" else None
        return self.head.prepared(hidden_BTD), self._vocabulary_kernel(), bias


def abstract_params(config: TransformerConfig) -> dict[str, Any]:
    """Shapes and dtypes of a model's (stacked) parameters; nothing is allocated."""
    if config.input_size is None:
        tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    else:
        tokens = jax.ShapeDtypeStruct((1, 1, config.input_size), jnp.dtype(config.dtype))
    return _INIT.eval_shape(config, jax.random.key(0), tokens)["params"]


# jit remembers the shapes of each config.
_INIT = jax.jit(lambda config, *given: Transformer(config).init(*given), static_argnums=0)


def parameter_counts(config: TransformerConfig) -> dict[str, int]:
    """Number of parameters of each part: ``embed``, …, ``layers/attention``, ``layers/mlp``, ….

    Parts of layers are summed over the layers that have them.
    """
    params = abstract_params(config)
    parts = {name: tree for name, tree in params.items() if name != "layers"}
    parts |= {f"layers/{name}": tree for name, tree in params["layers"].items()}
    counts = {
        name: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for name, tree in parts.items()
    }
    for name in params["layers"]:  # stacked, even where a layer lacks it
        having = sum(belongs(name, has) for has in config.halves)
        counts[f"layers/{name}"] = counts[f"layers/{name}"] * having // config.num_hidden_layers
    return counts


def parameter_bytes(config: TransformerConfig) -> int:
    """Bytes of all parameters, in the config's type of them."""
    return sum(parameter_counts(config).values()) * config.parameter_dtype.itemsize
