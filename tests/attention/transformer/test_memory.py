"""Loading holds the parameters and little more."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from attention.transformer import TransformerConfig, abstract_params
from attention.transformer.huggingface.config import to_hf

CONFIG = TransformerConfig(
    hidden_size=1024,
    num_hidden_layers=16,
    num_attention_heads=8,
    num_key_value_heads=4,
    intermediate_size=3584,
    vocab_size=24000,
    tie_word_embeddings=False,
)
SHARDS = 5
MIB = 2**20

# Loads a tiny checkpoint first, so that what is measured is the checkpoint and not the libraries.
MEASURE = """
import re, resource, sys
# Not ru_maxrss, which a process inherits from the one that started it.
def peak(): return 1024 * int(re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
def now(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
import jax
from attention.transformer import load_pretrained
load_pretrained(sys.argv[1])
before = now()
spent = peak()
config, params = load_pretrained(sys.argv[2])
jax.block_until_ready(params)
print(before, spent, peak(), sum(leaf.nbytes for leaf in jax.tree.leaves(params)))
"""


def write_checkpoint(folder, config, shards):
    """Names and shapes as they should be; the numbers are holes in the files."""
    hf = to_hf(config)
    d, f, h = config.hidden_size, config.intermediate_size, config.head_size
    n, k, v = config.num_attention_heads, config.key_value_heads, config.vocab_size
    tensors = {"model.embed_tokens.weight": (v, d), "model.norm.weight": (d,)}
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}"
        tensors |= {
            f"{layer}.input_layernorm.weight": (d,),
            f"{layer}.post_attention_layernorm.weight": (d,),
            f"{layer}.self_attn.q_proj.weight": (n * h, d),
            f"{layer}.self_attn.k_proj.weight": (k * h, d),
            f"{layer}.self_attn.v_proj.weight": (k * h, d),
            f"{layer}.self_attn.o_proj.weight": (d, n * h),
            f"{layer}.mlp.gate_proj.weight": (f, d),
            f"{layer}.mlp.up_proj.weight": (f, d),
            f"{layer}.mlp.down_proj.weight": (d, f),
        }
    tensors["lm_head.weight"] = (v, d)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(hf))
    weight_map = {}
    names = list(tensors)
    for i in range(shards):
        file = folder / f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        header, end = {}, 0
        for name in names[i::shards]:
            size = 4 * int(np.prod(tensors[name]))
            header[name] = {
                "dtype": "F32",
                "shape": tensors[name],
                "data_offsets": [end, end + size],
            }
            end += size
            weight_map[name] = file.name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with file.open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            stream.truncate(8 + len(text) + end)
    index = {"weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return {name: 4 * int(np.prod(shape)) for name, shape in tensors.items()}


@pytest.mark.nightly
def test_peak_memory_of_loading(tmp_path, record_property):
    sizes = write_checkpoint(tmp_path / "model", CONFIG, SHARDS)
    write_checkpoint(
        tmp_path / "tiny",
        TransformerConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            vocab_size=32,
        ),
        1,
    )
    total = sum(sizes.values())
    assert 1.0e9 < total < 1.3e9
    assert abstract_params(CONFIG)["embed"]["embedding"].shape == (24000, 1024)
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "tiny", tmp_path / "model"],
        capture_output=True,
        text=True,
        check=True,
    )
    before, spent, peak, held = map(int, out.stdout.split())
    assert held == total
    assert peak > spent, "nothing was measured"
    overhead = peak - before - held
    largest = max(sizes.values())
    layer = sum(size for name, size in sizes.items() if name.startswith("model.layers.3."))
    record_property("overhead_MiB", overhead / MIB)
    allowed = 1.3 * largest + layer
    print(f"overhead {overhead / MIB:.0f} MiB, allowed {allowed / MIB:.0f} MiB")
    assert overhead < allowed
