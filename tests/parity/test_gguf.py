"""GGUF files that are written here: transformers loads them, and they give torch's logits here."""

import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import load_pretrained
from attention.transformer.huggingface import save_gguf
from attention.transformer.huggingface.families import FAMILIES

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # transformers loads GGUF through it

PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 5,
    "beta_fast": 2.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.7,
}
# Rows of `conftest.MODELS`, behind `+` a form of them, and what is changed.  Transformers takes
# what it does not read of a file from the defaults of its classes.
READ_BY_BOTH = {
    "llama": {},
    "qwen2": {},
    "mistral-full": {},
    "gemma2": {
        "num_hidden_layers": 2,  # heads of 256 numbers sum up much rounding
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "attention_bias": False,
    },
    "gemma3_text": {
        "num_hidden_layers": 7,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "final_logit_softcapping": None,
        "attention_bias": False,
        "layer_types": None,
        "rope_parameters": {
            "full_attention": PLAIN | {"rope_theta": 5000.0},
            "sliding_attention": PLAIN,
        },
    },
    "starcoder2": {"sliding_window": None, "rope_parameters": PLAIN},
    "qwen3_moe": {"moe_intermediate_size": 768},
    "stablelm": {
        "hidden_size": 48,
        "rope_parameters": PLAIN | {"partial_rotary_factor": 0.25},
    },
    "nemotron": {
        "hidden_size": 72,
        "head_dim": 12,
        "norm_eps": 1e-5,
        "mlp_bias": False,
        "rope_parameters": PLAIN | {"partial_rotary_factor": 0.5},
    },
}
READ_HERE = {
    "qwen3": {},
    "gpt2": {},
    "phi3+plain": {
        "sliding_window": None,
        "rope_parameters": PLAIN,
        "original_max_position_embeddings": 31,
    },
    "llama-tied-biases": {},
    "llama-linear-rope": {},
    "llama-yarn": {},
    "granite": {},
    "olmo2": {},
    "gemma": {"hidden_act": "gelu_pytorch_tanh"},
    "cohere": {},
    "cohere-qk-norm": {},
    "ministral3": {"rope_parameters": YARN},
    "smollm3": {
        "num_hidden_layers": 5,
        "no_rope_layers": [1, 1, 1, 0, 1],
        "use_sliding_window": False,
        "sliding_window": None,
    },
    "phi3": {},
    "stablelm-parallel": {"qk_layernorm": False},
    "gpt_neox": {},
    "gpt_neox-serial": {},
    "nemotron+biases": {},
}
WRITTEN = {name for name, family in FAMILIES.items() if family.gguf}
REFUSED = {
    "mistral": "sliding_window=5",
    "gemma2": "attention_multiplier",
    "smollm3": "no_rope_layers",
    "stablelm-parallel": "no name for",
    "llama-yarn-mscale": "rope_scaling",
}


@pytest.fixture
def write(byte_tokenizer, make_model, models, monkeypatch, tmp_path):
    """Writes a torch model as a GGUF file, and returns it."""

    def write(name, changes):
        name = name.partition("+")[0]
        family, attributes = models[name]
        monkeypatch.setitem(models, name, (family, attributes | changes))
        model = make_model(name)
        model.save_pretrained(tmp_path / "folder")
        byte_tokenizer(300).save_pretrained(tmp_path / "folder")
        config, params = load_pretrained(tmp_path / "folder")
        save_gguf(tmp_path / "m.gguf", config, params, source=tmp_path / "folder", dtype="f32")
        return model

    return write


def test_every_family_with_a_layout_is_there(models):
    tested = {models[name.partition("+")[0]][0] for name in READ_BY_BOTH | READ_HERE}
    assert {FAMILIES[name].class_prefix for name in WRITTEN} == tested


@pytest.mark.quick(
    "llama",
    "gemma2",
    "gpt2",
    "ministral3",
    "stablelm-parallel",
    "nemotron+biases",
    "cohere-qk-norm",
)
@pytest.mark.parametrize("name", READ_BY_BOTH | READ_HERE)
def test_logits(write, batch, theirs, ours, agree, tmp_path, name):
    model = write(name, (READ_BY_BOTH | READ_HERE)[name])
    tokens, where, positions = batch
    expected = theirs(model, tokens, where, positions)
    if name in READ_BY_BOTH:  # rounded as ours is where norms are stored plus one
        auto = transformers.AutoModelForCausalLM
        read = auto.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).eval()
        found = theirs(read, tokens, where, positions)
        close = 1e-4 * np.abs(expected[where]).max()
        np.testing.assert_allclose(found[where], expected[where], atol=close)
        expected = found
    agree(ours(*load_pretrained(tmp_path / "m.gguf"), tokens, where), expected, where)


@pytest.mark.parametrize("name", REFUSED)
def test_what_gguf_has_no_words_for_is_refused(write, tmp_path, name):
    with pytest.raises(InputError, match=REFUSED[name]):
        write(name, {})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
