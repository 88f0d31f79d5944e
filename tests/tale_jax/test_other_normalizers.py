"""Models with learned SSA open in every command, as softmax models do."""

import json
from string import ascii_lowercase

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.transformer import (
    Transformer,
    generate,
    load_pretrained,
    normalizer_params,
    save_pretrained,
    unstack_layers,
    with_normalizer_params,
)
from tale_jax import evaluate, search
from tale_jax.cli import main
from tale_jax.models import load_model
from tale_jax.tasks.loading import load_task
from tale_jax.tasks.prompts import encode_choices

HEADS = {
    "hidden_size": 18,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "num_hidden_layers": 3,
}


@pytest.fixture(scope="module", params=["head", "model"])
def folder(init_params, letter_tokenizer, tiny_config, request, tmp_path_factory):
    """A tiny Llama whose layers, and heads, have different values."""
    root = tmp_path_factory.mktemp("ssa")
    config = tiny_config(**HEADS, normalizer=f"ssa:learn=n+b,per={request.param}")
    params = init_params(config)
    number = np.random.default_rng(1)
    raw = {name: np.float32(x + number.normal(0, 0.5, x.shape))
           for name, x in normalizer_params(params).items()}  # fmt: skip
    save_pretrained(root / "ssa", config, with_normalizer_params(params, raw))
    letter_tokenizer().save_pretrained(root / "ssa")
    return root / "ssa"


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A task of three choices; ``train.jsonl`` beside it."""
    folder = tmp_path_factory.mktemp("task")
    number = np.random.default_rng(0)
    for name, count in (("task", 17), ("train", 11)):
        lines = []
        for i in range(count):
            drawn = "".join(number.choice(list(ascii_lowercase), (9, 5, 7)[i % 3]))
            prompt = f"the same words {drawn}"
            lines.append({"prompt": prompt, "choices": ["x", "yz", "abc"], "answer": i % 3})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return str(folder / "task.jsonl")


@pytest.mark.quick("model")
def test_answers_are_those_of_the_model(folder, task):
    """Against one text at a time, and against the same weights with softmax."""
    model = load_model(str(folder))

    @jax.jit
    def forward(tokens):
        return Transformer(model.config).apply({"params": model.params}, tokens)

    right = 0
    for example in load_task(task).search:
        scores = []
        for tokens, count in encode_choices(model.tokenizer, [example])[0]:
            padded = jnp.array([[*tokens, *[0] * (32 - len(tokens))]])
            log_probs = np.asarray(jax.nn.log_softmax(forward(padded)[0]))
            places = range(len(tokens) - count, len(tokens))
            scores.append(sum(log_probs[t - 1, tokens[t]] for t in places))
        right += int(np.argmax(scores)) == example.answer
    assert evaluate(str(folder), task)["search"]["correct"] == right


@pytest.mark.quick("head-dict")
@pytest.mark.parametrize("form", [dict, unstack_layers])
def test_decoding_with_a_cache_is_decoding_without(folder, form):
    config, params = load_pretrained(folder)
    tokens = np.random.default_rng(3).integers(3, 53, (2, 7)).astype(np.int32)
    written = generate(config, form(params), jnp.asarray(tokens), max_new_tokens=4).tokens
    apply = jax.jit(lambda tokens: Transformer(config).apply({"params": params}, tokens))
    for _ in range(4):
        logits = np.asarray(apply(np.pad(tokens, ((0, 0), (0, 11 - tokens.shape[1])))))
        tokens = np.c_[tokens, logits[:, tokens.shape[1] - 1].argmax(-1)]
    np.testing.assert_array_equal(written, tokens[:, 7:])


@pytest.mark.nightly  # commands/test_every_model.py searches and exports such a model
def test_searched_exported_and_trained(folder, task, tmp_path):
    """A search, a checkpoint of what it picked, and training that moves n and b too."""
    config, params = load_pretrained(folder)
    whole = evaluate(str(folder), task)["search"]
    summary = search(str(folder), task, tmp_path / "run", epsilon=1, max_drops=1)
    assert summary["baseline"]["correct"] == whole["correct"]
    main(["export", "--run", str(tmp_path / "run"), "--pick", "bsba",
          "--format", "tale", "--out", str(tmp_path / "picked")])  # fmt: skip
    picked = load_pretrained(tmp_path / "picked")[0]
    assert picked.normalizer == config.normalizer
    train = task.replace("task.jsonl", "train.jsonl")
    main(["finetune", "--model", str(folder), "--task", task, "--train", train, "--steps", "3",
          "--batch-size", "5", "--lora-rank", "3", "--learning-rate", "0.01",
          "--out", str(tmp_path / "tuned")])  # fmt: skip
    again, tuned = load_pretrained(tmp_path / "tuned" / "model")
    assert again == config
    for name, before in normalizer_params(params).items():
        after = np.asarray(normalizer_params(tuned)[name])
        assert np.all(after != np.asarray(before)), f"{name} did not learn"
        assert np.all(np.abs(after - np.asarray(before)) < 0.1)
    assert evaluate(str(tmp_path / "tuned" / "model"), task)["search"]["total"] == whole["total"]
