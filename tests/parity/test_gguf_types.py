"""Whole GGUF files in every quantisation type that the package `gguf` can write.

A tiny Llama is written in each type, read here and by transformers, and both give the same logits.
The values differ from type to type; the shapes do not, so that one program runs for all.
"""

import gguf
import numpy as np
import pytest

from attention.transformer import load_pretrained

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # transformers loads GGUF through it
pytestmark = pytest.mark.filterwarnings("ignore")  # those of torch about copies of arrays

LAYERS, HIDDEN, HEADS, KEY_HEADS, INNER, WORDS = 2, 256, 4, 2, 512, 29
ABOUT = {
    "block_count": LAYERS,
    "context_length": 31,
    "embedding_length": HIDDEN,
    "feed_forward_length": INNER,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KEY_HEADS,
    "rope.dimension_count": HIDDEN // HEADS,
    "vocab_size": WORDS,
}
KEYS = HIDDEN // HEADS * KEY_HEADS
MATRICES = {
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (KEYS, HIDDEN),
    "attn_v": (KEYS, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_gate": (INNER, HIDDEN),
    "ffn_up": (INNER, HIDDEN),
    "ffn_down": (HIDDEN, INNER),
}


def write(file, kind):
    """A Llama whose matrices are of one type; its norms are float32."""
    number = np.random.default_rng(11)
    writer = gguf.GGUFWriter(file, "llama")
    for key, value in ABOUT.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.rope.freq_base", 5000.0)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)

    def matrix(name, shape):
        values = number.normal(0, 0.1, shape).astype(np.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)

    def norm(name):
        writer.add_tensor(f"{name}.weight", number.normal(1, 0.1, HIDDEN).astype(np.float32))

    matrix("token_embd", (WORDS, HIDDEN))
    matrix("output", (WORDS, HIDDEN))
    norm("output_norm")
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            matrix(f"blk.{layer}.{name}", shape)
        for name in ("attn_norm", "ffn_norm"):
            norm(f"blk.{layer}.{name}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.quick("few")
@pytest.mark.parametrize("names", [("F32", "F16", "Q4_0", "Q8_0"), None], ids=["few", "all"])
def test_every_type_gives_the_logits_of_transformers(
    tmp_path, batch, theirs, ours, agree, names, writable_types
):
    tokens, where, positions = batch
    kinds, seen = writable_types, {}
    assert {kind.name for kind in kinds} >= {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}
    for kind in kinds if names is None else [k for k in kinds if k.name in names]:
        file = tmp_path / f"{kind.name}.gguf"
        write(file, kind)
        auto = transformers.AutoModelForCausalLM
        read = auto.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32).eval()
        expected = theirs(read, tokens, where, positions)
        config, params = load_pretrained(file)
        seen[kind.name] = ours(config, params, tokens, where)
        agree(seen[kind.name], expected, where)
        file.unlink()
    exact = seen.pop("F32")[where]
    for name, logits in seen.items():  # each type rounds in its own way
        assert 0 < np.abs(logits[where] - exact).max() < 3 * np.abs(exact).max(), name
