"""The measures behind the criteria, against plain loops."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from attention.likelihood import RowBatches
from attention.transformer import Transformer, keep_layers
from tale_jax.criteria import measures
from tale_jax.criteria.proposals import Basis, propose_by
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.models import load_model
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks.examples import Example, Task
from tale_jax.units import Units

EXAMPLES = tuple(
    Example("abcdefghij"[: 3 + i % 5], (" a", " bc", " d"), i * 7 % 3) for i in range(13)
)


@pytest.fixture(scope="module")
def model(write_model, tmp_path_factory):
    return load_model(str(write_model(tmp_path_factory.mktemp("criteria") / "tiny")))


@pytest.fixture(scope="module")
def basis(model):
    scorer = Scorer(model.config, model.params, model.tokenizer, Task("letters", EXAMPLES))
    return Basis(model, scorer, Units(5))


@functools.partial(jax.jit, static_argnums=0, static_argnames="capture")
def forward(config, params, tokens, **how):
    return Transformer(config).apply({"params": params}, tokens, **how)


def padded(tokens):
    """One length is one program; what follows a text changes nothing in it."""
    return np.pad(tokens, (0, 19 - len(tokens)))[None]


def log_probs(model, dropped, tokens):
    kept = [i for i in range(5) if i not in dropped]
    params = keep_layers(model.params, kept)
    logits = forward(model.config.keep_layers(kept), params, padded(tokens))
    return np.asarray(jax.nn.log_softmax(logits[0]))


def test_perplexity_is_that_of_a_plain_loop(model, basis):
    models = [(1,), (0, 3)]
    for dropped, loss in zip(models, measures.perplexity(basis)(models), strict=True):
        total = count = 0
        for row in basis.text:
            scores = log_probs(model, dropped, row.tokens)
            total -= sum(float(scores[t, target]) for t, target in enumerate(row.targets))
            count += len(row.targets)
        assert loss == pytest.approx(total / count, rel=1e-5)


def test_loglikelihood_is_that_of_the_right_answers(model, basis):
    [loss] = measures.loglikelihood(basis)([(2,)])
    total = 0.0
    for example in EXAMPLES:
        prompt = model.tokenizer(example.prompt)["input_ids"]
        whole = model.tokenizer(example.prompt + example.choices[example.answer])["input_ids"]
        scores = log_probs(model, (2,), whole)
        total -= sum(float(scores[t - 1, whole[t]]) for t in range(len(prompt), len(whole)))
    assert loss == pytest.approx(total / len(EXAMPLES), rel=1e-5)


def test_block_influence_is_that_of_a_plain_loop(model, basis):
    found = measures.block_influence(model, RowBatches(basis.text, 64))
    cosines = [[] for _ in range(5)]
    for row in basis.text:
        how = {"capture": ("hidden_states",)}
        _, captured = forward(model.config, model.params, padded(row.tokens), **how)
        first = np.asarray(model.params["embed"]["embedding"])[np.array(row.tokens)]
        states = [first, *np.asarray(captured["hidden_states"][:, 0, : len(row.tokens)])]
        for layer in range(5):
            for x, y in zip(states[layer], states[layer + 1], strict=True):
                cosines[layer].append(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    np.testing.assert_allclose(found, [1 - np.mean(c) for c in cosines], rtol=1e-5)
    assert measures.cosine(basis) == np.argsort(found, kind="stable").tolist()


def test_accuracy_takes_the_layer_that_the_search_takes(basis):
    propose = propose_by("accuracy", basis)
    result = eliminate(basis.scorer.count, 5, len(EXAMPLES), SearchOptions(epsilon=1))
    dropped = ()
    for step in result.steps:
        assert propose(dropped) == [step.layer]
        dropped = step.dropped


def test_last_and_random_orders(basis):
    assert measures.last(basis) == (4, 3, 2, 1, 0)
    again, other = (dataclasses.replace(basis, seed=seed) for seed in (0, 1))
    assert sorted(measures.shuffled(basis)) == [0, 1, 2, 3, 4]
    assert measures.shuffled(basis) == measures.shuffled(again) != measures.shuffled(other)


def test_what_attention_is_worth_is_that_of_a_plain_loop(model):
    rows = measures.answer_rows(model, EXAMPLES[:3])
    found = measures.attention_costs(model, rows, 64)
    longest = max(len(row.tokens) for row in rows)

    def loss(uniform):
        def tap(layer, weights, values, mask):
            even = mask[:, None] / mask[:, None].sum(-1, keepdims=True)
            return even + 0 * weights if layer == uniform else weights

        @jax.jit
        def forward(params, tokens):
            logits = Transformer(model.config).apply({"params": params}, tokens[None], tap=tap)
            return jax.nn.log_softmax(logits[0])

        total = 0.0
        for row in rows:  # what follows a text changes nothing in it; one length is one program
            padded = np.pad(np.array(row.tokens), (0, longest - len(row.tokens)))
            scores = np.asarray(forward(model.params, padded))
            places = range(len(row.tokens) - len(row.targets), len(row.tokens))
            total -= sum(float(scores[t, y]) for t, y in zip(places, row.targets, strict=True))
        return total / len(rows)

    expected = [loss(layer) - loss(None) for layer in (0, 3)]
    np.testing.assert_allclose(found[[0, 3]], expected, rtol=1e-4)
    assert np.abs(found).min() > 1e-4


def test_layers_go_in_the_order_of_what_their_attention_is_worth(model, basis):
    rows = measures.answer_rows(model, basis.scorer.examples["search"])
    costs = measures.attention_costs(model, rows, basis.scorer.batch_tokens)
    assert propose_by("attention", basis)(()) == [int(np.argmin(costs))]
