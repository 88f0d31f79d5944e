"""GGUF files that are written here: transformers loads them, and they give torch's logits here."""

import numpy as np
import pytest
from tiny_models import byte_tokenizer

from attention.transformer import load_pretrained
from attention.transformer.huggingface import save_gguf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # transformers loads GGUF through it

READ_BY_BOTH = "llama qwen2 qwen3 mistral-full gpt2".split()
"""Rows of ``conftest.MODELS`` of architectures that transformers reads too."""
READ_HERE = "llama-tied-biases llama-linear-rope".split()


@pytest.mark.parametrize("name", READ_BY_BOTH + READ_HERE)
def test_logits(make_model, batch, theirs, ours, agree, tmp_path, name):
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
