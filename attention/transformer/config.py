"""The one description of every transformer in this library."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp

from attention.dot_product import IMPLEMENTATIONS
from attention.normalizers import NORMALIZERS, with_cap
from attention.transformer.arithmetic import check_precision, remat_name
from attention.transformer.frequencies import Rope, RopeScaling

Head = Literal["causal_lm", "masked_lm", "regression", "sequence", "token", "none"]
FULL_ATTENTION = "full_attention"
SLIDING_ATTENTION = "sliding_attention"
HALVES = {"both": (True, True), "attention": (True, False), "mlp": (False, True)}
"""What a layer has, by name: attention, MLP."""


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """A GPT-2-like, Llama-like or BERT-like transformer; hashable, hence a static jit argument.

    Field names are Hugging Face's where it has one.  ``input_size`` replaces the vocabulary by a
    linear read-in of vectors; ``vocab_size`` is then None.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int | None = None
    input_size: int | None = None
    num_key_value_heads: int | None = None  # None: as many as query heads
    head_dim: int | None = None  # None: hidden_size / num_attention_heads
    family: str = "llama"  # whose checkpoints these are; the key of families.FAMILIES
    embedding_size: int | None = None  # of the tables, then projected; None: hidden_size

    embedding_multiplier: float | None = None  # of token embeddings, rounded to their dtype

    # positions
    position_embedding: Literal["rope", "learned", "none"] = "rope"
    max_position_embeddings: int = 2048
    position_offset: int = 0  # RoBERTa's learned table starts at pad_token_id + 1
    type_vocab_size: int = 0
    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    partial_rotary_factor: float = 1.0  # share of a head that turns
    sliding_rope: Rope | None = None  # of layers that slide; None: as all layers
    no_rope_layers: tuple[int, ...] | None = None  # 0: a layer has no positions, 1: it has

    # attention
    causal: bool = True
    sliding_window: int | None = None
    layer_types: tuple[str, ...] | None = None  # None: every layer slides if a window is given
    attention_bias: bool = False
    attention_out_bias: bool = False
    # RMS norms (LayerNorms without bias if `norm` is one) of queries and keys, before rotation: one
    # scale for all heads, one for each head, or one norm over all heads together
    qk_norm: Literal["head", "each_head", "projection"] | None = None
    attention_multiplier: float | None = None  # of scores; None: 1 / sqrt(head size)
    attn_logit_softcapping: float | None = None  # scores become c tanh(score / c)
    normalizer: str = "softmax"  # a name or specification: see attention.normalizers
    attention_implementation: str = "xla"  # of attention.dot_product.IMPLEMENTATIONS

    # layer
    attention: bool = True  # False: an MLP-only model
    mlp: bool = True  # False: an attention-only model
    layer_halves: tuple[str, ...] | None = None  # what each has: a key of HALVES; None: both
    residual: bool = True
    residual_multiplier: float | None = None  # of what a half adds
    # attention and MLP read the same states, each through a norm of its own or both through one
    parallel_residual: Literal["separate_norms", "shared_norm"] | None = None
    norm: Literal["rmsnorm", "layernorm", "none"] = "rmsnorm"
    norm_eps: float = 1e-6
    norm_bias: bool = True  # of a layernorm
    norm_less_one: bool = False  # scales are stored less one
    # x + f(norm(x)); norm(x + f(x)); x + norm(f(x)); x + norm2(f(norm(x)))
    norm_placement: Literal["pre", "post", "output", "sandwich"] = "pre"
    embedding_norm: bool = False
    first_norm: bool = True  # False: attention of the first layer reads its states as they are
    final_norm: bool = True
    hidden_act: str = "silu"
    gated_mlp: bool = True
    mlp_bias: bool = False
    # many gated MLPs in a layer, of which each token uses a few; None: one MLP
    num_experts: int | None = None
    num_experts_per_tok: int = 1
    norm_topk_prob: bool = False  # the weights of the experts used sum to one

    # head
    head: Head = "causal_lm"
    num_labels: int = 1
    head_act: str | None = None  # None: hidden_act for masked_lm, tanh for the others
    head_bias: bool = True  # of the projection before that to the vocabulary or the labels
    head_norm: bool = False  # a projection and a norm stand before labels, as before a vocabulary
    pooling: Literal["first", "mean"] = "first"  # what of an encoder's states a sequence is
    tie_word_embeddings: bool = False
    logits_scaling: float | None = None  # logits of a vocabulary are divided by it
    final_logit_softcapping: float | None = None  # then they become c tanh(logit / c)
    initializer_range: float = 0.02
    # gpt2: projections back into the residual stream start at 1/sqrt(2 layers) of that, read-in and
    # regression head of vectors at U(±1/sqrt(inputs))
    initializer: Literal["normal", "gpt2"] = "normal"

    # arithmetic
    dtype: str = "float32"  # of the products; norms, softmax and logits: float32
    param_dtype: str | None = None  # of the parameters; None: that of the products
    matmul_precision: str | None = None  # None: "highest" for float32, the hardware's own otherwise
    remat: str = "none"  # what of a layer training keeps: a key of arithmetic.REMATS; True: full
    # cpu: of kernels and norms by the rules of attention.dot_product.derivatives; no forward mode
    derivatives: Literal["jax", "cpu"] = "jax"

    def __post_init__(self) -> None:
        if (self.vocab_size is None) == (self.input_size is None):
            raise ValueError("exactly one of vocab_size and input_size must be given")
        if self.vocab_size is None and self.head in ("causal_lm", "masked_lm"):
            raise ValueError(f"the head {self.head} needs vocab_size; vectors go with regression")
        if self.embedding_size is not None and self.head == "causal_lm":
            raise ValueError("the head causal_lm has no projection to embedding_size")
        if self.num_attention_heads % self.key_value_heads:
            heads, queries = self.key_value_heads, f"num_attention_heads={self.num_attention_heads}"
            raise ValueError(f"num_key_value_heads={heads} do not divide {queries}")
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            sizes = f"hidden_size={self.hidden_size} and heads={self.num_attention_heads}"
            raise ValueError(f"{sizes}: no whole size of a head; give head_dim")
        heads = NORMALIZERS.pick(self.scoring).heads  # both raise for what they do not understand
        if heads not in (None, self.num_attention_heads):
            count = f"{heads} normalizers for {self.num_attention_heads} heads"
            raise ValueError(f"normalizer={self.normalizer!r} has {count}")
        IMPLEMENTATIONS.pick(self.attention_implementation)
        check_precision(self.matmul_precision)
        object.__setattr__(self, "remat", remat_name(self.remat))
        if self.position_embedding == "rope":
            self._check_ropes()
        if self.layer_types is not None:
            if len(self.layer_types) != self.num_hidden_layers:
                count = f"{len(self.layer_types)} entries for {self.num_hidden_layers} layers"
                raise ValueError(f"layer_types has {count}")
            if unknown := set(self.layer_types) - {FULL_ATTENTION, SLIDING_ATTENTION}:
                raise ValueError(f"unknown layer_types {sorted(unknown)}")
        if self.layer_halves is not None:
            self._check_halves(self.layer_halves)
        experts, chosen = self.num_experts, self.num_experts_per_tok
        if experts is not None and not (1 <= chosen <= experts and self.gated_mlp):
            raise ValueError(f"num_experts_per_tok={chosen} of {experts} experts, or no gated_mlp")
        if self.norm_placement != "pre" and (self.parallel_residual or not self.first_norm):
            raise ValueError("parallel_residual and first_norm=False go with norm_placement='pre'")

    def _check_ropes(self) -> None:
        rope, sliding, layers = self.rope, self.sliding_rope, self.no_rope_layers
        rope.check(self.head_size)
        if sliding is not None:
            sliding.check(self.head_size)
            if sliding == rope:  # one model, one config
                raise ValueError("sliding_rope is None where all layers have one rope")
            if sliding.size(self.head_size) != rope.size(self.head_size):
                raise ValueError("partial_rotary_factor is one for all layers")
        if layers is not None:
            if len(layers) != self.num_hidden_layers or set(layers) - {0, 1}:
                each = f"not a 0 or 1 for each of {self.num_hidden_layers} layers"
                raise ValueError(f"no_rope_layers is {layers}, {each}")
            if all(layers):
                raise ValueError("no_rope_layers is None where all layers have positions")

    def _check_halves(self, halves: tuple[str, ...]) -> None:
        if len(halves) != self.num_hidden_layers:
            count = f"{len(halves)} entries for {self.num_hidden_layers} layers"
            raise ValueError(f"layer_halves has {count}")
        if unknown := set(halves) - set(HALVES):
            raise ValueError(f"unknown layer_halves {sorted(unknown)}; there are {list(HALVES)}")
        if set(halves) == {"both"}:  # one model, one config
            raise ValueError("layer_halves is None where every layer has both")
        if not (self.attention and self.mlp):
            raise ValueError("layer_halves goes with attention and mlp, which it takes away")

    @property
    def embedding_width(self) -> int:
        """Size of the embeddings of tokens, positions and segments."""
        return self.embedding_size or self.hidden_size

    @property
    def key_value_heads(self) -> int:
        """Number of key/value heads, K."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Size of one head, H."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def scoring(self) -> str:
        """Specification of what turns scores into weights: the normalizer, of capped scores."""
        cap = self.attn_logit_softcapping
        return self.normalizer if cap is None else with_cap(self.normalizer, cap)

    @property
    def parameter_dtype(self) -> jnp.dtype:
        """Type of the parameters."""
        return jnp.dtype(self.param_dtype or self.dtype)

    @property
    def precision(self) -> str:
        """Precision of every contraction; float32 means float32 unless asked otherwise."""
        if self.matmul_precision is not None:
            return self.matmul_precision
        return "highest" if self.dtype == "float32" else "default"

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Sliding window of each layer in tokens, None where attention is full."""
        if self.layer_types is None:
            return (self.sliding_window,) * self.num_hidden_layers
        return tuple(
            self.sliding_window if kind == SLIDING_ATTENTION else None for kind in self.layer_types
        )

    @property
    def rope(self) -> Rope:
        """Rotary positions of the layers that have no others."""
        return Rope(self.rope_theta, self.rope_scaling, self.partial_rotary_factor)

    @property
    def ropes(self) -> tuple[Rope | None, ...]:
        """Rotary positions of each layer, None where it has none."""
        if self.position_embedding != "rope":
            return (None,) * self.num_hidden_layers
        has = self.no_rope_layers or (1,) * self.num_hidden_layers
        return tuple(
            None if not turns else self.rope if window is None else self.sliding_rope or self.rope
            for turns, window in zip(has, self.windows, strict=True)
        )

    @property
    def rope_kinds(self) -> tuple[Rope | None, ...]:
        """The different ones of ``ropes``; a layer picks its own by index."""
        return tuple(dict.fromkeys(self.ropes))

    @property
    def longest_text(self) -> int:
        """Tokens of the longest text that the positions are made for."""
        return int(self.max_position_embeddings * self.rope.stretch)

    @property
    def rope_by_length(self) -> bool:
        """Whether some layer's frequencies depend on how long a text is."""
        return any(rope is not None and rope.by_length for rope in self.rope_kinds)

    @property
    def halves(self) -> tuple[tuple[bool, bool], ...]:
        """Whether each layer has attention, and whether it has an MLP."""
        if self.layer_halves is None:
            return ((self.attention, self.mlp),) * self.num_hidden_layers
        return tuple(HALVES[name] for name in self.layer_halves)

    @property
    def attending(self) -> list[int]:
        """The layers that have attention."""
        return [i for i, (attention, _) in enumerate(self.halves) if attention]

    def keep_layers(self, kept: Sequence[int]) -> TransformerConfig:
        """The config of the shallower model made of layers ``kept`` (0-based, ascending)."""
        types = None if self.layer_types is None else tuple(self.layer_types[i] for i in kept)
        halves = None if self.layer_halves is None else tuple(self.layer_halves[i] for i in kept)
        halves = None if halves and set(halves) <= {"both"} else halves
        turning = self.no_rope_layers and tuple(self.no_rope_layers[i] for i in kept)
        turning = None if turning and all(turning) else turning
        return dataclasses.replace(
            self,
            num_hidden_layers=len(kept),
            layer_types=types,
            layer_halves=halves,
            no_rope_layers=turning,
            first_norm=self.first_norm or 0 not in kept,
        )

    def keep_halves(self, kept: Sequence[tuple[bool, bool]]) -> TransformerConfig:
        """The config of the model with the (attention, MLP) ``kept`` of each layer.

        A layer of which neither is kept is gone.

        Raises:
            ValueError: a half that is not there cannot be kept.
        """
        if len(kept) != self.num_hidden_layers or any(
            wanted and not has
            for pair, own in zip(kept, self.halves, strict=True)
            for wanted, has in zip(pair, own, strict=True)
        ):
            raise ValueError(f"kept {list(kept)} are not halves of the model's {self.halves}")
        shorter = self.keep_layers([i for i, pair in enumerate(kept) if any(pair)])
        if shorter.halves == (left := tuple((a, m) for a, m in kept if a or m)):
            return shorter
        names = {pair: name for name, pair in HALVES.items()}
        return dataclasses.replace(shorter, layer_halves=tuple(names[pair] for pair in left))
