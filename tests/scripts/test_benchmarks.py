"""The benchmarks of searches: texts of a length, and a rival that agrees with ours."""

import pytest

from attention.transformer import save_pretrained
from tale_jax.models import load_model
from tale_jax.scoring import PROTOCOLS, Scorer
from tale_jax.tasks import Example, Task


def test_exactly_so_many_tokens(write_model, tmp_path, load_script, monkeypatch):
    pytest.importorskip("torch")  # the rivals are written in it
    benchmark_search = load_script("benchmark_search")
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


def test_the_rival_prefers_what_we_prefer(write_model, tmp_path, load_script):
    pytest.importorskip("torch")
    real = load_script("benchmark_search_real")
    shape = {"hidden_size": 28, "num_attention_heads": 2, "num_key_value_heads": 1}
    model = load_model(
        str(write_model(tmp_path / "tiny", num_hidden_layers=3, tie_word_embeddings=True, **shape))
    )
    save_pretrained(tmp_path / "saved", model.config, model.params)
    choices = (" a", " the of m", " bc")
    task = Task("texts", tuple(Example(text, choices, 1) for text in ("abc", "the", "of m")))
    scorer = Scorer(model.config, model.params, model.tokenizer, task)
    rival = real.Rival(tmp_path / "saved", model, task)
    for dropped in ((), (1,)):
        assert rival.differences(scorer, dropped) == (0, 0)
    for choices, ours in zip(rival._choices, scorer._whole, strict=True):
        for batched in (True, False):
            theirs = rival._ask(rival._llama, choices, (), batched=batched)
            assert theirs == pytest.approx(ours[:3].tolist(), abs=1e-4)
    assert rival.seconds([(), (0,)], 1.0, batched=True) > 0
