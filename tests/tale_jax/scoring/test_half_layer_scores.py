"""Candidates that lack halves of layers: their counts, races among them, and criteria."""

from string import ascii_lowercase

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.transformer import Transformer
from tale_jax.criteria import Basis, measures, propose_by
from tale_jax.models import load_model
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import encode_choices
from tale_jax.units import Units, ordered

FRONT = "the same words before all "


def letters_task(count, front=""):
    number = np.random.default_rng(7)

    def text(size):
        return "".join(number.choice(list(ascii_lowercase), size))

    def example(i):
        choices = (text(1), text(1) + "z", text(4))
        return Example(front + text((11, 3, 0)[i % 3]), choices, int(number.integers(3)))

    return Task("letters", tuple(map(example, range(count))))


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(gpt2_fields, write_model, request, tmp_path_factory):
    changes = gpt2_fields if request.param == "gpt2" else {}
    root = tmp_path_factory.mktemp(request.param)
    return load_model(str(write_model(root / "tiny", num_hidden_layers=3, **changes)))


@pytest.mark.quick("llama-dropped0")
@pytest.mark.parametrize("dropped", [("1.mlp",), ("0.attention", "2.mlp"), (0, "2.attention")])
def test_counts_are_those_of_silent_halves(model, dropped):
    """Against one example at a time, with the output projections of what is dropped at zero."""
    task = letters_task(7)
    scorer = Scorer(model.config, model.params, model.tokenizer, task, batch_tokens=97)
    layers = model.params["layers"]
    for unit in dropped:
        layer, _, half = str(unit).partition(".")
        for name, last in (("attention", "out"), ("mlp", "down")):
            if half in ("", name):
                silent = jax.tree.map(lambda x, i=int(layer): x.at[i].set(0), layers[name][last])
                layers = {**layers, name: {**layers[name], last: silent}}

    @jax.jit
    def forward(tokens):
        return Transformer(model.config).apply(
            {"params": {**model.params, "layers": layers}}, tokens
        )

    answers = scorer.answers("search", dropped)
    for example, answer in zip(task.search, answers, strict=True):
        scores = []
        for tokens, count in encode_choices(model.tokenizer, [example])[0]:
            padded = jnp.array([[*tokens, *[0] * (20 - len(tokens))]])
            log_probs = np.asarray(jax.nn.log_softmax(forward(padded)[0]))
            places = range(len(tokens) - count, len(tokens))
            scores.append(sum(log_probs[t - 1, tokens[t]] for t in places))
        assert answer.prediction == np.argmax(scores)
    assert next(scorer.count([dropped])) == sum(answer.correct for answer in answers)


@pytest.mark.quick("llama-sublayer-the same words before all ")
@pytest.mark.parametrize(
    ("granularity", "front"),
    [("attention", ""), ("mlp", FRONT), ("sublayer", FRONT)],
)
def test_races_choose_what_counting_chooses(model, granularity, front, check_race):
    scorer = Scorer(
        model.config,
        model.params,
        model.tokenizer,
        letters_task(47, front),
        batch_tokens=101,
        cache_gib=23 * 8 * 22 * 4 * 9 / 2**30,
    )
    check_race(scorer, 3, 47, granularity)


@pytest.mark.quick("llama")
def test_criteria_rank_halves(model):
    scorer = Scorer(model.config, model.params, model.tokenizer, letters_task(7))
    basis = Basis(model, scorer, Units(3, "sublayer"))
    every = basis.units.every
    assert list(measures.last(basis))[:3] == ["2.mlp", "2.attention", "1.mlp"]
    assert ordered(measures.shuffled(basis)) == every
    likely = measures.loglikelihood(basis)
    losses = list(likely([(unit,) for unit in every]))
    assert len(set(losses)) == 6
    assert propose_by("loglikelihood", basis)(()) == [every[losses.index(min(losses))]]
    assert next(likely([("1.attention", "1.mlp")])) == next(likely([(1,)]))
