"""GPT-2."""

from __future__ import annotations

from attention.transformer.huggingface.families.definition import LAYER_NORMED, Family
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.tensors import ATTENTION, Table, linear, norm, row

_QKV = tuple(f"{ATTENTION}/{name}" for name in ("query", "key", "value"))
_TENSORS = Table(
    prefix="transformer.",
    attention="h.{i}.attn",
    rows=(
        row("wte.weight", "embed/embedding"),
        row("wpe.weight", "position_embedding/embedding"),
        *norm("h.{i}.ln_1", "layers/attention_norm"),
        row("h.{i}.attn.c_attn.weight", tuple(f"{p}/kernel" for p in _QKV), "conv1d_qkv"),
        row("h.{i}.attn.c_attn.bias", tuple(f"{p}/bias" for p in _QKV), "flat_qkv"),
        row("h.{i}.attn.c_proj.weight", f"{ATTENTION}/out/kernel", "conv1d"),
        row("h.{i}.attn.c_proj.bias", f"{ATTENTION}/out/bias"),
        *norm("h.{i}.ln_2", "layers/mlp_norm"),
        row("h.{i}.mlp.c_fc.weight", "layers/mlp/up/kernel", "conv1d"),
        row("h.{i}.mlp.c_fc.bias", "layers/mlp/up/bias"),
        row("h.{i}.mlp.c_proj.weight", "layers/mlp/down/kernel", "conv1d"),
        row("h.{i}.mlp.c_proj.bias", "layers/mlp/down/bias"),
        *norm("ln_f", "final_norm"),
    ),
    heads={
        "causal_lm": (row("lm_head.weight", "lm_head/kernel"),),
        "sequence": (row("score.weight", "head/out/kernel", "linear"),),
        "token": linear("classifier", "head/out"),
    },
    ignored=(r"h\.[0-9]+\.attn\.(masked_)?bias",),
    tied=(("lm_head.weight", "wte.weight"),),
)

GPT2 = Family(
    "GPT2",
    {
        "vocab_size": "vocab_size",
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings",
        "activation_function": "hidden_act",
        "layer_norm_epsilon": "norm_eps",
        "initializer_range": "initializer_range",
        "tie_word_embeddings": "tie_word_embeddings",
    },
    LAYER_NORMED,
    _TENSORS,
    read=lambda hf: {"intermediate_size": hf["n_inner"] or 4 * hf["n_embd"]},
    bare_lm="LMHeadModel",
    gguf={
        "gpt2": Layout(
            transposed=(
                "attn_qkv.weight",
                "attn_output.weight",
                "ffn_up.weight",
                "ffn_down.weight",
            )
        )
    },
)
