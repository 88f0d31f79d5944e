"""Tiny models of torch transformers: the class of each, and the attributes of its config."""

V = 29

ROTARY = {
    "vocab_size": V,
    "hidden_size": 18,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 10,
    "intermediate_size": 17,
    "max_position_embeddings": 31,
    "rms_norm_eps": 1e-3,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "tie_word_embeddings": False,
}
NO_HEAD_DIM = {k: v for k, v in ROTARY.items() if k != "head_dim"} | {"hidden_size": 60}
ENCODER = {
    "vocab_size": V,
    "hidden_size": 22,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 17,
    "max_position_embeddings": 23,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-3,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": 2,
}
DISTILLED = {
    "vocab_size": V,
    "dim": 22,
    "n_layers": 3,
    "n_heads": 2,
    "hidden_dim": 17,
    "max_position_embeddings": 23,
    "activation": "relu",
    "pad_token_id": 0,
}
MODERN = {
    "vocab_size": V,
    "hidden_size": 28,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 17,
    "max_position_embeddings": 31,
    "norm_eps": 1e-3,
    "local_attention": 6,
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 5000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
    },
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "sep_token_id": 1,
}
LEARNED = {
    "vocab_size": V,
    "n_embd": 22,
    "n_layer": 3,
    "n_head": 2,
    "n_inner": 17,
    "n_positions": 23,
    "layer_norm_epsilon": 1e-3,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
SLIDING = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 29,
}
GRANITE = {
    "embedding_multiplier": 3.5,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.6,
    "logits_scaling": 0.7,
}
LAYER_NORMED = NO_HEAD_DIM | {"norm_epsilon": 1e-3, "hidden_act": "gelu_pytorch_tanh"}
TIED = ROTARY | {"tie_word_embeddings": True, "hidden_size": 24}
GEMMA2 = {
    "query_pre_attn_scalar": 7,
    "attn_logit_softcapping": 3.0,
    "final_logit_softcapping": 9.0,
    "sliding_window": 4,
    "attention_bias": True,
}
GEMMA3 = {
    "query_pre_attn_scalar": 7,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 9000.0, "factor": 3.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
    },
}
MIXTURE = {
    "num_experts": 5,
    "num_experts_per_tok": 2,
    "hidden_size": 20,  # torch's kernel takes multiples of four
    "moe_intermediate_size": 12,
    "norm_topk_prob": True,
}
COHERE = NO_HEAD_DIM | {"layer_norm_eps": 1e-3, "logit_scale": 0.3, "tie_word_embeddings": True}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 5,
    "beta_fast": 2.0,
}
SHORT, LONG = [1.0, 1.1, 1.3], [1.2, 2.5, 4.0]
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 5000.0,
    "short_factor": SHORT,
    "long_factor": LONG,
    "partial_rotary_factor": 0.6,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 5000.0, "factor": 3.0}
PARTLY = {"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.4}
NORMED = {k: v for k, v in NO_HEAD_DIM.items() if k != "rms_norm_eps"} | {"layer_norm_eps": 1e-3}
# name → (family of classes, attributes)
MODELS = {
    "llama": ("Llama", ROTARY),
    "llama-mha": ("Llama", ROTARY | {"num_key_value_heads": 6}),
    "llama-mqa": ("Llama", ROTARY | {"num_key_value_heads": 1}),
    "llama-tied-biases": (
        "Llama",
        ROTARY | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "llama-llama3-rope": ("Llama", ROTARY | {"head_dim": 14, "rope_parameters": LLAMA3}),
    "llama-linear-rope": (
        "Llama",
        ROTARY | {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 5000.0}},
    ),
    "llama-yarn": ("Llama", ROTARY | {"rope_parameters": YARN}),
    "llama-yarn-mscale": (
        "Llama",
        ROTARY
        | {"rope_parameters": YARN | {"mscale": 2.0, "mscale_all_dim": 1.5, "truncate": False}},
    ),
    "qwen2": ("Qwen2", NO_HEAD_DIM | {"tie_word_embeddings": True}),
    "qwen2-sliding": ("Qwen2", NO_HEAD_DIM | SLIDING),
    "qwen3": ("Qwen3", ROTARY),
    "qwen3-sliding": ("Qwen3", ROTARY | SLIDING | {"attention_bias": True}),
    "mistral": ("Mistral", ROTARY | {"sliding_window": 5}),
    "mistral-full": ("Mistral", ROTARY | {"sliding_window": None}),
    "granite": ("Granite", NO_HEAD_DIM | GRANITE),
    "olmo2": ("Olmo2", NO_HEAD_DIM | {"attention_bias": True}),
    "starcoder2": ("Starcoder2", LAYER_NORMED | {"sliding_window": 4}),
    "starcoder2-plain": ("Starcoder2", LAYER_NORMED | {"use_bias": False}),
    "gemma": ("Gemma", TIED | {"hidden_act": "gelu"}),  # which means the tanh form there
    "gemma2": ("Gemma2", TIED | GEMMA2),
    "gemma3_text": ("Gemma3", TIED | GEMMA3),
    "qwen3_moe": ("Qwen3Moe", ROTARY | MIXTURE),
    "cohere": ("Cohere", COHERE | {"attention_bias": True}),
    "cohere-qk-norm": ("Cohere", COHERE | {"use_qk_norm": True}),
    "ministral3": (
        "Ministral3",
        ROTARY | {"rope_parameters": YARN | {"attention_factor": 1.3, "llama_4_scaling_beta": 0.7}},
    ),
    "smollm3": (
        "SmolLM3",
        NO_HEAD_DIM | SLIDING | {"no_rope_layers": [1, 0, 1], "attention_bias": True},
    ),
    "phi3": (
        "Phi3",
        NO_HEAD_DIM
        | {
            "sliding_window": 5,
            "original_max_position_embeddings": 23,
            "rope_parameters": LONGROPE,
        },
    ),
    "stablelm": ("StableLm", NORMED | {"rope_parameters": PARTLY, "use_qkv_bias": True}),
    "stablelm-parallel": (
        "StableLm",
        NORMED | {"rope_parameters": PARTLY, "qk_layernorm": True, "use_parallel_residual": True},
    ),
    "gpt_neox": ("GPTNeoX", NORMED | {"rope_parameters": PARTLY}),
    "gpt_neox-serial": (
        "GPTNeoX",
        NORMED | {"use_parallel_residual": False, "attention_bias": False},
    ),
    "nemotron": (
        "Nemotron",
        {k: v for k, v in ROTARY.items() if k != "rms_norm_eps"}
        | {"norm_eps": 1e-3, "rope_parameters": PARTLY, "mlp_bias": True},
    ),
    "gpt2": ("GPT2", LEARNED),
    "gpt2-untied": ("GPT2", LEARNED | {"tie_word_embeddings": False, "n_inner": None}),
    "bert": ("Bert", ENCODER),
    "roberta": ("Roberta", ENCODER | {"pad_token_id": 1, "type_vocab_size": 1}),
    # the head of its language model is a GELU all the same
    "roberta-relu": ("Roberta", ENCODER | {"pad_token_id": 1, "hidden_act": "relu"}),
    "distilbert": ("DistilBert", DISTILLED),
    "electra": ("Electra", ENCODER | {"embedding_size": 14, "hidden_act": "relu"}),
    "electra-square": ("Electra", ENCODER | {"embedding_size": 22}),
    "modernbert": ("ModernBert", MODERN),
    "modernbert-biases": (
        "ModernBert",
        MODERN
        | {
            "attention_bias": True,
            "mlp_bias": True,
            "norm_bias": True,
            "classifier_bias": True,
            "classifier_activation": "relu",
            "classifier_pooling": "mean",
            "tie_word_embeddings": False,
        },
    ),
    # frequencies depend on the length of a text, which transformers takes from the whole batch
    "llama-dynamic": (
        "Llama",
        ROTARY | {"max_position_embeddings": 7, "rope_parameters": DYNAMIC},
    ),
    "phi3-long": (
        "Phi3",
        NO_HEAD_DIM | {"original_max_position_embeddings": 7, "rope_parameters": LONGROPE},
    ),
}
HEADS = {
    "language model": {
        "GPT2": "LMHeadModel",
        "Bert": "ForMaskedLM",
        "Roberta": "ForMaskedLM",
        "DistilBert": "ForMaskedLM",
        "Electra": "ForMaskedLM",
        "ModernBert": "ForMaskedLM",
        "": "ForCausalLM",
    },
    "sequence": {"": "ForSequenceClassification"},
    "token": {"": "ForTokenClassification"},
    "base": {"": "Model"},
}
