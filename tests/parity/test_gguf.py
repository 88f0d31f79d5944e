"""GGUF files that are written here: transformers loads them, and they give torch's logits here."""

import numpy as np
import pytest
from tiny_models import byte_tokenizer

from attention.transformer import load_pretrained
from attention.transformer.huggingface import save_gguf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # transformers loads GGUF through it

READ_BY_BOTH = "llama qwen2 qwen3 mistral-full gpt2 gemma2 starcoder2".split()
"""Rows of ``conftest.MODELS`` of architectures that transformers reads too."""
READ_HERE = (
    "llama-tied-biases llama-linear-rope granite olmo2 gemma cohere cohere-qk-norm"
).split()
CHANGES = {
    # transformers takes what GGUF does not say from the defaults of its classes
    "gemma2": {
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "attention_bias": False,
    },
    "starcoder2": {
        "sliding_window": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
    # no metadata say which GELU
    "gemma": {"hidden_act": "gelu_pytorch_tanh"},
}


@pytest.mark.parametrize("name", READ_BY_BOTH + READ_HERE)
def test_logits(make_model, models, batch, theirs, ours, agree, tmp_path, monkeypatch, name):
    family, attributes = models[name]
    monkeypatch.setitem(models, name, (family, attributes | CHANGES.get(name, {})))
    model = make_model(name)
    model.save_pretrained(tmp_path / "folder")
    byte_tokenizer(300).save_pretrained(tmp_path / "folder")
    config, params = load_pretrained(tmp_path / "folder")
    save_gguf(tmp_path / "m.gguf", config, params, source=tmp_path / "folder", dtype="f32")
    tokens, where, positions = batch
    expected = theirs(model, tokens, where, positions)
    agree(ours(*load_pretrained(tmp_path / "m.gguf"), tokens, where), expected, where)
    if name in READ_BY_BOTH:
        auto = transformers.AutoModelForCausalLM
        read = auto.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).eval()
        found = theirs(read, tokens, where, positions)
        np.testing.assert_allclose(found[where], expected[where], atol=1e-4)
