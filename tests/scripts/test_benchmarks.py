"""The protocol of the benchmark of searches: always so many tokens, whatever they are."""

import sys
from pathlib import Path

import pytest

from tale_jax.models import load_model
from tale_jax.scoring import PROTOCOLS, Scorer
from tale_jax.tasks import Example, Task


def test_exactly_so_many_tokens(write_model, tmp_path, monkeypatch):
    pytest.importorskip("torch")  # the rivals are written in it
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    for name in ("benchmark_search", "benchmark_search_8b", "rivals", "rivals.greedy_search"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import benchmark_search

    del PROTOCOLS["random tokens"]  # the scripts add rows, which no other test should see
    monkeypatch.setitem(PROTOCOLS, "exactly", PROTOCOLS.pop("exactly"))
    model = load_model(str(write_model(tmp_path / "tiny", num_hidden_layers=2)))
    examples = tuple(Example(text, None, "a") for text in ("abc", "the", "of m"))
    task = Task("letters", examples, end_tokens=(1, 2))
    scorer = Scorer(
        model.config, model.params, model.tokenizer, task, protocol="exactly", max_new_tokens=5
    )
    answers = scorer.answers("search", ())
    assert [len(answer.prediction) for answer in answers] == [5, 5, 5]
    for answer, example in zip(answers, examples, strict=True):
        right = benchmark_search.Exactly.right(scorer.protocol, answer.prediction, example)
        assert right == answer.correct
