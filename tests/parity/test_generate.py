"""Greedy decoding says what torch transformers says."""

import itertools

import numpy as np
import pytest

from attention.transformer import generate, load_pretrained, unstack_layers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NEW = 9
GENERATED = """llama qwen2-sliding qwen3 mistral gpt2-untied granite olmo2 starcoder2 gemma gemma2
gemma3_text qwen3_moe cohere ministral3 smollm3 phi3 stablelm-parallel gpt_neox nemotron""".split()


def greedy(model, tokens, where):
    """Their continuation, prompts padded on the left."""
    with torch.no_grad():
        out = model.generate(
            torch.tensor(tokens),
            attention_mask=torch.tensor(where.astype(np.int64)),
            max_new_tokens=NEW,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return out[:, tokens.shape[1] :].tolist()


@pytest.mark.quick("gemma2")
@pytest.mark.parametrize("name", GENERATED)
def test_greedy(make_model, batch, tmp_path, name):
    model = make_model(name)
    model.save_pretrained(tmp_path)
    tokens, where, _ = (x[[0, 1, 3]] for x in batch)  # none or on the left
    config, params = load_pretrained(tmp_path)
    found = generate(config, unstack_layers(params), tokens, where, max_new_tokens=NEW)
    expected = greedy(model, tokens, where)
    assert len({*itertools.chain(*expected)}) > 4, "it repeats itself; the test could not fail"
    assert found.tokens.tolist() == expected


@pytest.mark.nightly
@pytest.mark.quick("stories260K-hf")
@pytest.mark.parametrize("name", ["stories260K-hf", "TinyStories-656K"])
def test_a_real_story(shared, name):
    folder = shared / "models" / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = np.array([tokenizer("Once upon a time")["input_ids"]])
    where = np.ones(tokens.shape, bool)
    config, params = load_pretrained(folder)
    found = generate(config, unstack_layers(params), tokens, where, max_new_tokens=NEW)
    assert found.tokens.tolist() == greedy(model, tokens, where)
