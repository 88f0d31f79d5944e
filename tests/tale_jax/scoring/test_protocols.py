"""The table of protocols: what a row says is all that the rest knows of it."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.scoring import PROTOCOLS, Decode, Loglikelihood, Protocol
from tale_jax.scoring.protocols import make_asker
from tale_jax.tasks import Answer, Example, Task

CHOICES = Task("c", tuple(Example(letter, ("x", "y"), 0) for letter in "abcdefg"))
TEXTS = Task("t", tuple(Example(letter, None, "x") for letter in "abcdefg"))


@pytest.fixture(scope="module")
def folder(write_model, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("protocols") / "tiny")


@pytest.fixture(scope="module")
def letter_model(letter_tokenizer, tiny_config):
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


def test_the_same_text_ties_whatever_rounding_says(letter_model):
    asker = make_asker("loglikelihood", *letter_model, CHOICES, None)
    examples = [Example("a", ("x", "x", "yz"), 0)] * 2
    outputs = np.array([[-1.0, -1.0000001, -2.0], [-3.0, -3.0000001, -2.0]])
    assert asker.answers(examples, outputs) == [Answer(None, False), Answer(2, False)]


def test_scores_of_the_same_pass(letter_model):
    asker = make_asker("loglikelihood-unconditional", *letter_model, CHOICES, None)
    example = Example("a", (" é", " abc", " ab"), 0)
    # log-probabilities of the choices, then of the choices without the prompt
    outputs = np.array([[-1.9, -3.0, -2.2, -1.8, -2.0, -9.0]])
    found = asker.readings([example], outputs)
    assert {name: answers[0].prediction for name, answers in found.items()} == {
        "loglikelihood": 0,
        "loglikelihood-norm": 1,
        "loglikelihood-bytes": 0,
        "loglikelihood-unconditional": 2,
    }
    bare = make_asker("loglikelihood", *letter_model, CHOICES, None)
    assert len(bare.readings([example], outputs[:, :3])) == 3


def test_choices_that_merge_with_their_prompt_are_counted(letter_model):
    inner = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    config, _ = letter_model
    task = Task("t", (Example("a", ("b", "a"), 0),))
    asker = make_asker(
        "loglikelihood", config, PreTrainedTokenizerFast(tokenizer_object=inner), task, None
    )
    assert not asker.notes
    asker.rows(task.search)
    assert "encoded by themselves: 1" in asker.notes[0]


def test_several_tasks_are_evaluated_at_once(folder, write_letters, tmp_path):
    tasks = [write_letters(tmp_path / f"{name}.jsonl", 23, seed) for seed, name in enumerate("ab")]
    found = evaluate(str(folder), tuple(tasks))
    alone = evaluate(str(folder), tasks[1])
    assert list(found["tasks"]) == tasks and found["tasks"][tasks[1]] == alone
    assert alone["search"]["protocols"]["loglikelihood"] == alone["search"]["correct"]
    assert len(alone["search"]["protocols"]) == 3
