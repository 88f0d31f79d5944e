"""GGUF files as checkpoints: what is written is read again, and the tokenizer goes along."""

import dataclasses

import gguf
import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.files import load_tokenizer, read_header
from attention.transformer import (
    RopeScaling,
    TransformerConfig,
    load_pretrained,
    save_pretrained,
)
from attention.transformer.huggingface import save_gguf
from attention.transformer.huggingface.gguf_models import gguf_config

BASE = TransformerConfig(
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=40,
    vocab_size=512,
    max_position_embeddings=64,
    norm_eps=1e-5,
    rope_theta=5000.0,
)
FORMS = {
    "llama": {},
    "llama-bias": {"attention_bias": True, "attention_out_bias": True},
    "llama-linear": {"rope_scaling": RopeScaling("linear", 2.0)},
    "llama-tied": {"tie_word_embeddings": True},
    "llama3-8": {"rope_scaling": RopeScaling("llama3", 8.0), "rope_theta": 500000.0},
    "llama3-own": {"rope_scaling": RopeScaling("llama3", 5.0, original_max_position_embeddings=41)},
    "qwen2": {"family": "qwen2", "attention_bias": True},
    "qwen3": {"family": "qwen3", "qk_norm": "head"},
    "gpt2": {
        "family": "gpt2",
        "num_key_value_heads": None,
        "position_embedding": "learned",
        "norm": "layernorm",
        "gated_mlp": False,
        "attention_bias": True,
        "attention_out_bias": True,
        "mlp_bias": True,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": True,
        "rope_theta": 10000.0,
    },
}


WORDS = 307


@pytest.fixture(scope="module")
def source(byte_tokenizer, init_params, tmp_path_factory):
    """A model folder with a byte-level tokenizer, which the files take over."""
    folder = tmp_path_factory.mktemp("source") / "model"
    config = dataclasses.replace(BASE, vocab_size=WORDS)
    params = init_params(config, 3)
    save_pretrained(folder, config, params)
    byte_tokenizer(WORDS).save_pretrained(folder)
    return folder


@pytest.mark.quick("llama", "gpt2", "llama3-8")
@pytest.mark.parametrize("name", FORMS)
def test_a_model_comes_back_from_gguf(init_params, tmp_path, name, source):
    config = dataclasses.replace(BASE, vocab_size=WORDS, **FORMS[name])
    params = init_params(config, 3)
    params = jax.tree.map(
        lambda x: x + 0.01 * jax.random.normal(jax.random.key(1), x.shape), params
    )
    save_gguf(tmp_path / "m.gguf", config, params, source=source, dtype="f32")
    again, found = load_pretrained(tmp_path / "m.gguf")
    for ours, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for field in ("family", "rope_theta", "rope_scaling", "norm_eps", "halves", "head_size"):
        assert getattr(again, field) == getattr(config, field)
    # in the words of the library itself
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert {tensor.name for tensor in reader.tensors} == set(
        read_header(tmp_path / "m.gguf").tensors
    )
    assert reader.fields["general.architecture"].contents() == config.family


def test_a_mistral_without_a_window_is_a_llama_in_gguf(init_params, tmp_path, source):
    config = dataclasses.replace(BASE, vocab_size=WORDS, family="mistral")
    params = init_params(config, 3)
    save_gguf(tmp_path / "m.gguf", config, params, source=source, dtype="f32")
    again, found = load_pretrained(tmp_path / "m.gguf")
    assert again.family == "llama"
    for ours, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_half_precision_keeps_vectors_wide(init_params, tmp_path, source):
    config = dataclasses.replace(BASE, vocab_size=WORDS)
    params = init_params(config, 3)
    save_gguf(tmp_path / "m.gguf", config, params, source=source)
    kinds = {name: t.dtype for name, t in read_header(tmp_path / "m.gguf").tensors.items()}
    assert kinds["blk.0.attn_q.weight"] == "F16"
    assert kinds["blk.0.attn_norm.weight"] == "F32"


def test_the_tokenizer_goes_along(init_params, tmp_path, source):
    config = dataclasses.replace(BASE, vocab_size=WORDS)
    params = init_params(config, 3)
    save_gguf(tmp_path / "m.gguf", config, params, source=source)
    theirs, ours = load_tokenizer(source), load_tokenizer(tmp_path / "m.gguf")
    for text in ("True and not False is", "Ann has: a cup, 37 pens.", "  two  spaces\nand lines"):
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    assert ours.eos_token_id == theirs.eos_token_id
    assert ours.chat_template == theirs.chat_template
    # and on into a folder of Hugging Face
    save_pretrained(tmp_path / "folder", config, params, source=tmp_path / "m.gguf")
    again = load_tokenizer(tmp_path / "folder")
    assert again("Ann has: a cup")["input_ids"] == theirs("Ann has: a cup")["input_ids"]


def test_what_gguf_has_no_words_for(init_params, tmp_path, source):
    config = dataclasses.replace(BASE, vocab_size=WORDS)
    params = init_params(config, 3)
    window = dataclasses.replace(config, family="mistral", sliding_window=3)
    with pytest.raises(InputError, match="no words for sliding_window=3"):
        save_gguf(tmp_path / "m.gguf", window, params, source=source)
    ssa = dataclasses.replace(BASE, vocab_size=WORDS, normalizer="ssa:learn=none")
    with pytest.raises(InputError, match="no words for normalizer"):
        save_gguf(tmp_path / "m.gguf", ssa, params, source=source)
    assert not list(tmp_path.iterdir())
    (tmp_path / "m.gguf").write_text("x")
    with pytest.raises(InputError, match="exists"):
        save_gguf(tmp_path / "m.gguf", config, params, source=source)


def test_llama_3_scaling_is_read_from_its_divisors(tmp_path):
    file = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    for key, value in {"block_count": 1, "embedding_length": 32, "feed_forward_length": 8}.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.rope.freq_base", 500000.0)
    scaled = RopeScaling("llama3", 8.0)
    theta = 500000.0 ** (-np.arange(0, 16, 2) / 16)
    turns = scaled.original_max_position_embeddings * theta / (2 * np.pi)
    smooth = np.clip((turns - 1) / 3, 0, 1)
    divisors = (1 / ((1 - smooth) / 8 + smooth)).astype(np.float32)
    writer.add_tensor("rope_freqs.weight", divisors)
    writer.add_tensor("token_embd.weight", np.zeros((5, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = gguf_config(read_header(file))
    assert found["rope_scaling"]["factor"] == 8.0
    assert found["rope_scaling"]["rope_type"] == "llama3"
    assert found["vocab_size"] == 5
