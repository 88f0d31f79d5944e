"""The real models, as shapes: parameter counts to the digit, without a byte allocated."""

import json
import math
from pathlib import Path

import jax
import pytest

from attention.transformer import abstract_params, parameter_counts
from attention.transformer.huggingface.config import from_hf

# The config.json of each, in the words of its publisher.
CONFIGS = json.loads(Path(__file__).with_name("published_configs.json").read_text())
# name → parameters
MODELS = {
    "Llama-3.1-8B": 8_030_261_248,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-0.5B": 494_032_768,
    "Mistral-7B-v0.1": 7_241_732_096,
    "Lucie-7B": 6_706_958_336,
    "gemma-2b": 2_506_172_416,
    "gemma-2-9b": 9_241_705_984,
    "OLMo-2-1124-7B": 7_298_617_344,
    "aya-23-8B": 8_028_033_024,
    "starcoder2-3b": 3_030_371_328,
    "granite-3.1-2b": 2_533_531_648,
    "gpt2": 124_439_808,
    "bert-base-uncased": 109_514_298,
    "roberta-base": 124_697_433,
    "distilbert-base-uncased": 66_985_530,
    # and 768 for the norm that the first layer has not: layers are stacked
    "ModernBERT-base": 149_655_232 + 768,
    "electra-small": 13_546_682,
}


@pytest.mark.quick("gemma-2-9b", "ModernBERT-base", "Qwen2.5-0.5B", "gpt2", "electra-small")
@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts(name):
    hf, published = CONFIGS[name], MODELS[name]
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


@pytest.mark.quick("gemma2_9b", "olmo2_32b", "phi-3_5")
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
    assert layers * layer + 2 * vocab * hidden + hidden == MODELS["Lucie-7B"]


def test_what_the_real_configs_mean():
    llama = from_hf(CONFIGS["Llama-3.1-8B"])
    assert (llama.rope_theta, llama.rope_scaling.factor, llama.head_size) == (500000.0, 8.0, 128)
    assert from_hf(CONFIGS["Lucie-7B"]).rope_theta == 20000000.0
    assert from_hf(CONFIGS["Mistral-7B-v0.1"]).windows == (4096,) * 32
    qwen = from_hf(CONFIGS["Qwen2.5-7B"])
    assert qwen.windows == (None,) * 28  # it has a window and does not use it
    assert (qwen.attention_bias, qwen.attention_out_bias) == (True, False)
    assert from_hf(CONFIGS["Llama-3.1-8B"], "float32").precision == "highest"
    gemma = from_hf(CONFIGS["gemma-2-9b"])
    assert gemma.windows == (4096, None) * 21
    assert (gemma.attention_multiplier, gemma.scoring) == (1 / 16, "softmax:cap=50.0")
    assert from_hf(CONFIGS["aya-23-8B"]).logits_scaling == 16
