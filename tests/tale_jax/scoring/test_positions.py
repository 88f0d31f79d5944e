"""Models whose layers have several kinds of positions, or positions that go by a text's length."""

from string import ascii_lowercase

import jax
import numpy as np
import pytest

from attention.transformer import RopeScaling, Transformer
from tale_jax.models import load_model
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import encode_choices

FRONT = "the same words before all "
KINDS = {
    "layers without positions": {"family": "smollm3", "no_rope_layers": (1, 0, 1)},
    "by length": {
        "max_position_embeddings": 19,
        "rope_scaling": RopeScaling("dynamic", 3.0, original_max_position_embeddings=19),
    },
}


@pytest.mark.quick("by length")
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_each_text_alone(write_model, tmp_path, kind):
    model = load_model(str(write_model(tmp_path / "tiny", num_hidden_layers=3, **KINDS[kind])))
    number = np.random.default_rng(3)

    def text(size):
        return "".join(number.choice(list(ascii_lowercase), size))

    examples = tuple(
        Example(FRONT[: 5 if i % 2 else 26] + text(i), (text(2), text(2), text(2)), 1)
        for i in range(7)
    )
    task = Task("letters", examples)
    scorer = Scorer(model.config, model.params, model.tokenizer, task, batch_tokens=97)
    keep = np.ones((3, 2), bool)
    keep[0] = False

    @jax.jit
    def forward(tokens, where):
        how = {"where": where, "keep": keep}
        return Transformer(model.config).apply({"params": model.params}, tokens, **how)

    for example, answer in zip(examples, scorer.answers("search", (0,)), strict=True):
        scores = []
        for tokens, count in encode_choices(model.tokenizer, [example])[0]:
            row = np.zeros((1, 37), np.int32)
            row[0, : len(tokens)] = tokens
            logits = forward(row, np.arange(37)[None] < len(tokens))
            log_probs = np.asarray(jax.nn.log_softmax(logits[0]))
            places = range(len(tokens) - count, len(tokens))
            scores.append(sum(log_probs[t - 1, tokens[t]] for t in places))
        assert answer.prediction == np.argmax(scores)
