"""Criteria against plain loops."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import write_model

from attention.errors import InputError
from attention.likelihood import RowBatches
from attention.transformer import Transformer, keep_layers
from tale_jax.criteria.calibration import calibration_rows
from tale_jax.criteria.ranking import Greedy, Ranked, block_influence, make_criterion
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.models import load_model
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks.examples import Example, Task
from tale_jax.units import Units

EXAMPLES = tuple(
    Example("abcdefghij"[: 3 + i % 5], (" a", " bc", " d"), i * 7 % 3) for i in range(13)
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(str(write_model(tmp_path_factory.mktemp("criteria") / "tiny")))


@pytest.fixture(scope="module")
def scorer(model):
    return Scorer(model.config, model.params, model.tokenizer, Task("letters", EXAMPLES))


@pytest.fixture(scope="module")
def text(model):
    return calibration_rows(model.tokenizer, EXAMPLES, 61, None)


def log_probs(model, dropped, tokens):
    kept = [i for i in range(5) if i not in dropped]
    shorter = Transformer(model.config.keep_layers(kept))
    params = keep_layers(model.params, kept)
    return jax.nn.log_softmax(shorter.apply({"params": params}, jnp.array([tokens]))[0])


def test_perplexity_is_that_of_a_plain_loop(model, scorer, text):
    criterion = make_criterion("perplexity", model, scorer, text)
    assert isinstance(criterion, Greedy)
    models = [(1,), (0, 3)]
    for dropped, loss in zip(models, criterion.losses(models), strict=True):
        total = count = 0
        for row in text:
            scores = log_probs(model, dropped, row.tokens)
            total -= sum(float(scores[t, target]) for t, target in enumerate(row.targets))
            count += len(row.targets)
        assert loss == pytest.approx(total / count, rel=1e-5)


def test_loglikelihood_is_that_of_the_right_answers(model, scorer, text):
    criterion = make_criterion("loglikelihood", model, scorer, text)
    [loss] = criterion.losses([(2,)])
    total = 0.0
    for example in EXAMPLES:
        prompt = model.tokenizer(example.prompt)["input_ids"]
        whole = model.tokenizer(example.prompt + example.choices[example.answer])["input_ids"]
        scores = log_probs(model, (2,), whole)
        total -= sum(float(scores[t - 1, whole[t]]) for t in range(len(prompt), len(whole)))
    assert loss == pytest.approx(total / len(EXAMPLES), rel=1e-5)


def test_block_influence_is_that_of_a_plain_loop(model, text):
    found = block_influence(model, RowBatches(text, 64))
    cosines = [[] for _ in range(5)]
    for row in text:
        _, captured = Transformer(model.config).apply(
            {"params": model.params}, jnp.array([row.tokens]), capture=("hidden_states",)
        )
        first = jnp.take(model.params["embed"]["embedding"], jnp.array(row.tokens), axis=0)
        states = [np.asarray(first), *np.asarray(captured["hidden_states"][:, 0])]
        for layer in range(5):
            for x, y in zip(states[layer], states[layer + 1], strict=True):
                cosines[layer].append(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    np.testing.assert_allclose(found, [1 - np.mean(c) for c in cosines], rtol=1e-5)
    order = make_criterion("cosine", model, _Batch(), text).order
    assert order == np.argsort(found, kind="stable").tolist()


class _Batch:
    batch_tokens = 64


def test_accuracy_takes_the_layer_that_eliminate_takes(model, scorer, text):
    criterion = make_criterion("accuracy", model, scorer, text)
    result = eliminate(scorer.count, 5, len(EXAMPLES), SearchOptions(epsilon=1))
    dropped = ()
    for step in result.steps:
        layer = criterion.next_layer(dropped)
        assert layer == step.layer
        dropped = tuple(sorted((*dropped, layer)))


def test_ties_go_to_the_lowest_layer_and_nan_is_worst():
    losses = {(0,): math.nan, (1,): 2.0, (2,): 1.0, (3,): 1.0}
    seen = []
    criterion = Greedy(
        "x",
        Units(4),
        lambda models: (losses[m] for m in models),
        {(1,): 2.0},
        lambda *x: seen.append(x),
    )
    assert criterion.next_layer(()) == 2
    assert seen[0] == ((0,), math.inf)
    assert Ranked("x", [3, 1, 0, 2]).next_layer((1, 3)) == 0


def test_last_and_random_orders(model, scorer, text):
    assert make_criterion("last", model, scorer, text).order == [4, 3, 2, 1, 0]
    first = make_criterion("random", model, scorer, text, seed=1).order
    assert sorted(first) == [0, 1, 2, 3, 4]
    assert first == make_criterion("random", model, scorer, text, seed=1).order
    with pytest.raises(InputError, match="unknown criterion"):
        make_criterion("luck", model, scorer, text)


def test_calibration_text_is_cut_into_windows(model, tmp_path):
    (tmp_path / "text.txt").write_text("abcdef" * 25)
    rows = calibration_rows(model.tokenizer, (), 61, tmp_path / "text.txt")
    assert [len(row.tokens) for row in rows] == [60, 60, 28]
    assert rows[0].targets[:-1] == rows[0].tokens[1:]
    with pytest.raises(InputError, match="cannot be read"):
        calibration_rows(model.tokenizer, (), 61, tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="fewer than two tokens"):
        calibration_rows(model.tokenizer, (), 61, tmp_path / "empty.txt")
