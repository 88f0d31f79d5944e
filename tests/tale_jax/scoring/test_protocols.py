"""The table of protocols: what a row says is all that the rest knows of it."""

import numpy as np
import pytest
from tiny_models import LETTERS, letter_tokenizer, tiny_config, write_model

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.scoring import PROTOCOLS, Decode, Loglikelihood, Protocol
from tale_jax.scoring.protocols import make_asker
from tale_jax.tasks import Answer, Example, Task

CHOICES = Task("c", tuple(Example(letter, ("x", "y"), 0) for letter in LETTERS[:7]))
TEXTS = Task("t", tuple(Example(letter, None, "x") for letter in LETTERS[:7]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("protocols") / "tiny")


@pytest.fixture(scope="module")
def letter_model():
    return tiny_config(), letter_tokenizer()


class Unlikely(Loglikelihood):
    """The choice that is least probable."""

    def answers(self, examples, outputs):
        pairs = zip(examples, outputs, strict=True)
        found = [(int(np.argmin(output[: len(e.choices)])), e) for e, output in pairs]
        return [Answer(choice, choice == e.answer) for choice, e in found]


def test_a_row_from_outside_is_asked(folder, monkeypatch, write_letters, tmp_path):
    task = write_letters(tmp_path / "task.jsonl", 31, 3)
    monkeypatch.setitem(PROTOCOLS, "unlikely", Protocol("the least probable choice", Unlikely))
    found = evaluate(str(folder), task, protocol="unlikely")
    likely = evaluate(str(folder), task, protocol="loglikelihood")
    assert found["protocol"] == "unlikely" and likely["protocol"] == "loglikelihood"
    assert found["search"]["correct"] == 31 - likely["search"]["correct"]


def test_auto_asks_as_the_task_wants(letter_model):
    config, tokenizer = letter_model
    for task, name, writes in [(CHOICES, "loglikelihood", False), (TEXTS, "decode", True)]:
        asker = make_asker("auto", config, tokenizer, task, None)
        assert (asker.name, asker.writes) == (name, writes)
        assert isinstance(asker, Decode if writes else Loglikelihood)
    wanted = Task("w", CHOICES.search, written=True)
    assert make_asker("auto", config, tokenizer, wanted, None).name == "decode"
    assert make_asker("loglikelihood-norm", config, tokenizer, wanted, None).writes is False


def test_what_does_not_fit_is_refused(letter_model):
    config, tokenizer = letter_model
    with pytest.raises(InputError, match=r"unknown protocol 'decod' \(did you mean decode\?\)"):
        make_asker("decod", config, tokenizer, CHOICES, None)
    with pytest.raises(InputError, match="no choices to compare; use the protocol decode"):
        make_asker("loglikelihood", config, tokenizer, TEXTS, None)
    with pytest.raises(InputError, match="at least 1, not 0"):
        make_asker("decode", config, tokenizer, TEXTS, 0)
