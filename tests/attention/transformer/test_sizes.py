"""The real models, as shapes: parameter counts to the digit, without a byte allocated."""

import json
import math

import jax
import pytest

from attention.transformer import abstract_params, parameter_counts
from attention.transformer.huggingface.config import from_hf

LLAMA_31_8B = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
QWEN_25_7B = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "max_position_embeddings": 131072,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}
QWEN_25_05B = {
    **QWEN_25_7B,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "max_window_layers": 24,
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "vocab_size": 151936,
}
MISTRAL_7B_V01 = {
    "architectures": ["MistralForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "sliding_window": 4096,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.34.0.dev0",
    "use_cache": True,
    "vocab_size": 32000,
}
LUCIE_7B = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 12288,
    "max_position_embeddings": 32000,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 20000000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 65024,
}
GPT2_SMALL = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
BERT_BASE_UNCASED = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
}
ROBERTA_BASE = {
    "architectures": ["RobertaForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "roberta",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "vocab_size": 50265,
}
# Of the real configs, what sizes and families read.
GEMMA_2B = {
    "architectures": ["GemmaForCausalLM"],
    "model_type": "gemma",
    "head_dim": 256,
    "hidden_act": "gelu",
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_attention_heads": 8,
    "num_hidden_layers": 18,
    "num_key_value_heads": 1,
    "torch_dtype": "bfloat16",
    "vocab_size": 256000,
}
GEMMA2_9B = {
    "architectures": ["Gemma2ForCausalLM"],
    "model_type": "gemma2",
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 3584,
    "intermediate_size": 14336,
    "num_attention_heads": 16,
    "num_hidden_layers": 42,
    "num_key_value_heads": 8,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "torch_dtype": "float32",
    "vocab_size": 256000,
}
OLMO2_7B = {
    "architectures": ["Olmo2ForCausalLM"],
    "model_type": "olmo2",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "rms_norm_eps": 1e-06,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": 100352,
}
AYA_23_8B = {
    "architectures": ["CohereForCausalLM"],
    "model_type": "cohere",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "layer_norm_eps": 1e-05,
    "logit_scale": 0.0625,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rope_theta": 10000,
    "torch_dtype": "float16",
    "use_qk_norm": False,
    "vocab_size": 256000,
}
STARCODER2_3B = {
    "architectures": ["Starcoder2ForCausalLM"],
    "model_type": "starcoder2",
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_attention_heads": 24,
    "num_hidden_layers": 30,
    "num_key_value_heads": 2,
    "rope_theta": 999999.4420358813,
    "sliding_window": 4096,
    "torch_dtype": "float32",
    "use_bias": True,
    "vocab_size": 49152,
}
GRANITE_31_2B = {
    "architectures": ["GraniteForCausalLM"],
    "model_type": "granite",
    "attention_multiplier": 0.015625,
    "embedding_multiplier": 12.0,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "logits_scaling": 8.0,
    "num_attention_heads": 32,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "residual_multiplier": 0.22,
    "rms_norm_eps": 1e-05,
    "rope_theta": 5000000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "vocab_size": 49155,
}
DISTILBERT = {
    "activation": "gelu",
    "architectures": ["DistilBertForMaskedLM"],
    "dim": 768,
    "hidden_dim": 3072,
    "max_position_embeddings": 512,
    "model_type": "distilbert",
    "n_heads": 12,
    "n_layers": 6,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "vocab_size": 30522,
}
ELECTRA_SMALL = {
    "architectures": ["ElectraForMaskedLM"],
    "embedding_size": 128,
    "hidden_act": "gelu",
    "hidden_size": 256,
    "intermediate_size": 1024,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "electra",
    "num_attention_heads": 4,
    "num_hidden_layers": 12,
    "summary_use_proj": True,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
MODERNBERT = {
    "architectures": ["ModernBertForMaskedLM"],
    "classifier_pooling": "mean",
    "deterministic_flash_attn": False,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "model_type": "modernbert",
    "norm_bias": False,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "position_embedding_type": "absolute",
    "vocab_size": 50368,
}
MODELS = {
    "Llama-3.1-8B": (LLAMA_31_8B, 8_030_261_248),
    "Qwen2.5-7B": (QWEN_25_7B, 7_615_616_512),
    "Qwen2.5-0.5B": (QWEN_25_05B, 494_032_768),
    "Mistral-7B-v0.1": (MISTRAL_7B_V01, 7_241_732_096),
    "Lucie-7B": (LUCIE_7B, 6_706_958_336),
    "gemma-2b": (GEMMA_2B, 2_506_172_416),
    "gemma-2-9b": (GEMMA2_9B, 9_241_705_984),
    "OLMo-2-1124-7B": (OLMO2_7B, 7_298_617_344),
    "aya-23-8B": (AYA_23_8B, 8_028_033_024),
    "starcoder2-3b": (STARCODER2_3B, 3_030_371_328),
    "granite-3.1-2b": (GRANITE_31_2B, 2_533_531_648),
    "gpt2": (GPT2_SMALL, 124_439_808),
    "bert-base-uncased": (BERT_BASE_UNCASED, 109_514_298),
    "roberta-base": (ROBERTA_BASE, 124_697_433),
    "distilbert-base-uncased": (DISTILBERT, 66_985_530),
    # and 768 for the norm that the first layer has not: layers are stacked
    "ModernBERT-base": (MODERNBERT, 149_655_232 + 768),
    "electra-small": (ELECTRA_SMALL, 13_546_682),
}


@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts(name):
    hf, published = MODELS[name]
    config = from_hf(hf)
    leaves = jax.tree.leaves(abstract_params(config))
    assert sum(math.prod(leaf.shape) for leaf in leaves) == published
    assert {leaf.dtype.name for leaf in leaves} == {hf.get("torch_dtype", "float32")}


# name among the public configs → parameters, those of torch's model of the configuration
PUBLIC = {
    "ministral3_3b_2512": 3_429_006_336,  # its language model
    "redpajama_3b_v1": 2_775_864_320,
    "phi-3_5": 3_821_079_552,
    "stablelm": 2_795_443_200,
    "stablelm-2-zephyr-1_6b": 1_644_515_328,
    "gemma_2b": 2_506_172_416,
    "gemma2_9b": 9_241_705_984,
    "starcoder2": 7_173_923_840,
    "aya-23": 8_028_033_024,
    "olmo2_32b": 32_234_279_936,
    "llama3_1_70b": 70_553_706_496,
    "qwen3_0.6b": 596_049_920,
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_parameter_counts(shared, name):
    file = shared.parent / "cases" / "configs" / "public_configs.json"
    config = from_hf(json.loads(file.read_text())[name])
    assert sum(parameter_counts(config).values()) == PUBLIC[name]


def test_lucie_by_formula():
    """The published total, from the equations of the architecture alone."""
    hidden, mlp, layers, heads, kv_heads, vocab = 4096, 12288, 32, 32, 8, 65024
    head = hidden // heads
    attention = 2 * hidden * heads * head + 2 * hidden * kv_heads * head
    layer = attention + 3 * hidden * mlp + 2 * hidden
    assert layers * layer + 2 * vocab * hidden + hidden == MODELS["Lucie-7B"][1]


def test_what_the_real_configs_mean():
    llama = from_hf(LLAMA_31_8B)
    assert (llama.rope_theta, llama.rope_scaling.factor, llama.head_size) == (500000.0, 8.0, 128)
    assert from_hf(LUCIE_7B).rope_theta == 20000000.0
    assert from_hf(MISTRAL_7B_V01).windows == (4096,) * 32
    qwen = from_hf(QWEN_25_7B)
    assert qwen.windows == (None,) * 28  # it has a window and does not use it
    assert (qwen.attention_bias, qwen.attention_out_bias) == (True, False)
    assert from_hf(LLAMA_31_8B, "float32").precision == "highest"
    gemma = from_hf(GEMMA2_9B)
    assert gemma.windows == (4096, None) * 21
    assert (gemma.attention_multiplier, gemma.scoring) == (1 / 16, "softmax:cap=50.0")
    assert from_hf(AYA_23_8B).logits_scaling == 16
