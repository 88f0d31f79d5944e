"""Paths and shapes of the parameters of every family."""

import jax
import pytest

from attention.transformer import (
    abstract_params,
)

ATTENTION = """
layers/attention/query/kernel 3×{D}×{N}×{H}
layers/attention/key/kernel 3×{D}×{K}×{H}
layers/attention/value/kernel 3×{D}×{K}×{H}
layers/attention/out/kernel 3×{N}×{H}×{D}
"""
QKV_BIASES = """
layers/attention/query/bias 3×{N}×{H}
layers/attention/key/bias 3×{K}×{H}
layers/attention/value/bias 3×{K}×{H}
"""
RMS_NORMS = """
layers/attention_norm/scale 3×{D}
layers/mlp_norm/scale 3×{D}
final_norm/scale {D}
"""
GATED = """
layers/mlp/gate/kernel 3×{D}×17
layers/mlp/up/kernel 3×{D}×17
layers/mlp/down/kernel 3×17×{D}
"""
LLAMA = f"embed/embedding 29×{{D}} {ATTENTION} {RMS_NORMS} {GATED}"
LAYER_NORMED = f"""
{ATTENTION} {QKV_BIASES}
embed/embedding 29×{{D}}
layers/attention/out/bias 3×{{D}}
layers/attention_norm/scale 3×{{D}}
layers/attention_norm/bias 3×{{D}}
layers/mlp_norm/scale 3×{{D}}
layers/mlp_norm/bias 3×{{D}}
layers/mlp/up/kernel 3×{{D}}×17
layers/mlp/up/bias 3×17
layers/mlp/down/kernel 3×17×{{D}}
layers/mlp/down/bias 3×{{D}}
"""
MASKED = f"""
{LAYER_NORMED}
embedding_norm/scale {{D}}
embedding_norm/bias {{D}}
head/dense/kernel {{D}}×{{D}}
head/dense/bias {{D}}
head/norm/scale {{D}}
head/norm/bias {{D}}
head/bias 29
"""
HEAD = "lm_head/kernel 29×{D}"
GOLDEN = {
    "llama": f"{LLAMA} {HEAD}",
    "qwen2": f"{LLAMA} {QKV_BIASES}",
    "qwen3": f"""{LLAMA} {HEAD}
        layers/attention/query_norm/scale 3×{{H}}
        layers/attention/key_norm/scale 3×{{H}}""",
    "mistral": f"{LLAMA} {HEAD}",
    "olmo2": f"""{LLAMA} {HEAD}
        layers/attention/query_norm/scale 3×60
        layers/attention/key_norm/scale 3×20""",
    "gemma2": f"""{LLAMA}
        layers/attention_output_norm/scale 3×{{D}}
        layers/mlp_output_norm/scale 3×{{D}}""",
    "qwen3_moe": f"""embed/embedding 29×{{D}} {ATTENTION} {RMS_NORMS} {HEAD}
        layers/attention/query_norm/scale 3×{{H}}
        layers/attention/key_norm/scale 3×{{H}}
        layers/mlp/router/kernel 3×{{D}}×5
        layers/mlp/expert_gate/kernel 3×5×{{D}}×17
        layers/mlp/expert_up/kernel 3×5×{{D}}×17
        layers/mlp/expert_down/kernel 3×5×17×{{D}}""",
    "cohere": f"""embed/embedding 29×{{D}} {ATTENTION} {GATED}
        layers/norm/scale 3×{{D}}
        final_norm/scale {{D}}
        layers/attention/query_norm/scale 3×{{N}}×{{H}}
        layers/attention/key_norm/scale 3×{{K}}×{{H}}""",
    "gpt2": f"""{LAYER_NORMED}
        position_embedding/embedding 23×{{D}}
        final_norm/scale {{D}}
        final_norm/bias {{D}}""",
    "bert": f"""{MASKED}
        position_embedding/embedding 23×{{D}}
        token_type_embedding/embedding 2×{{D}}""",
    "roberta": f"""{MASKED}
        position_embedding/embedding 25×{{D}}
        token_type_embedding/embedding 1×{{D}}""",
    "distilbert": f"""{MASKED}
        position_embedding/embedding 23×{{D}}""",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_parameter_trees(configs, name):
    """A renamed parameter breaks saved training states: change this literal knowingly."""
    config = configs[name]
    sizes = {
        "D": config.hidden_size,
        "N": config.num_attention_heads,
        "K": config.key_value_heads,
        "H": config.head_size,
    }
    words = GOLDEN[name].format(**sizes).split()
    golden = dict(zip(words[::2], words[1::2], strict=True))
    leaves = jax.tree_util.tree_flatten_with_path(abstract_params(config))[0]
    found = {
        "/".join(key.key for key in path): "×".join(map(str, leaf.shape)) for path, leaf in leaves
    }
    assert found == golden
