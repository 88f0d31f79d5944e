"""The generated tasks: right answers, disjoint splits, balance; and the demo model's tokenizer."""

import collections
import hashlib
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tale_jax
from attention.errors import InputError
from tale_jax.tasks.demo_tasks import (
    COLOURS,
    DEMO_TASKS,
    NAMES,
    THINGS,
    DemoTask,
    Worked,
    demo_examples,
    split_of,
    worked,
)
from tale_jax.tasks.examples import Example
from tale_jax.tasks.prompts import completed

ASSETS = Path(tale_jax.__file__).parent / "assets" / "demo"
COUNTS = {"train": 100, "validation": 200, "test": 400}
CHANCE = {"boolean": 0.5, "facts": (1 / 2 + 1 / 3 + 1 / 4) / 3, "quantifiers": 0.5}


def solve_boolean(prompt):
    return " " + str(eval(prompt.removesuffix(" is")))


def solve_arithmetic(prompt):
    return " " + str(eval(prompt.removesuffix(" =")))


def solve_facts(prompt):
    told, asked, listed = re.fullmatch(r"(.+) What has (\w+)\? (.+) Answer:", prompt).groups()
    things = dict(re.findall(r"(\w+) has: ([\w, ]+)\.", told))
    owned = things[asked].split(", ")
    (letter,) = [a for a, option in re.findall(r"([A-D])\) (\w+)", listed) if option in owned]
    return " " + letter


def solve_quantifiers(prompt):
    listed, quantifier, things, colour = re.fullmatch(
        r"\w+ has: (.+)\. Are (\w+) (\w+)s (\w+)\? Answer:", prompt
    ).groups()
    seen = [item.split() for item in listed.split(", ")]
    having = [c == colour for c, thing in seen if thing == things]
    assert having
    truth = {"all": all(having), "some": any(having), "no": not any(having)}[quantifier]
    return " yes" if truth else " no"


def solve_reverse(prompt):
    return " " + " ".join(reversed(prompt.removeprefix("reverse: ").removesuffix(" =").split()))


SOLVE = {
    "boolean": solve_boolean,
    "arithmetic": solve_arithmetic,
    "facts": solve_facts,
    "quantifiers": solve_quantifiers,
    "reverse": solve_reverse,
}


@pytest.fixture(scope="module")
def splits():
    return {
        name: {split: demo_examples(name, split, count) for split, count in COUNTS.items()}
        for name in DEMO_TASKS
    }


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_every_answer_is_right(name, splits):
    for split in COUNTS:
        for each in splits[name][split]:
            assert completed(each) == each.prompt + SOLVE[name](each.prompt)
            assert each.choices is None or len(set(each.choices)) == len(each.choices)


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_splits_are_disjoint_whatever_the_seed(name, splits):
    prompts = {split: {e.prompt for e in splits[name][split]} for split in COUNTS}
    assert [len(prompts[split]) for split in COUNTS] == list(COUNTS.values())
    assert not prompts["validation"] & prompts["test"]
    for seed, index in itertools.product(range(3), range(300)):
        drawn = worked(name, "train", index, seed).example
        assert drawn.prompt not in prompts["validation"] | prompts["test"]
        assert split_of(drawn.prompt) == "train"


def test_the_mirror_image_of_a_sum_is_not_asked():
    for each in demo_examples("arithmetic", "train", 300):
        large, _, small = each.prompt.removesuffix(" =").split()
        assert int(large) >= int(small)


@pytest.mark.parametrize(("name", "chance"), CHANCE.items())
def test_answers_that_ignore_the_prompt_score_at_chance(name, chance, splits):
    asked = splits[name]["test"]
    places = collections.Counter(each.answer for each in asked)
    texts = collections.Counter(completed(each).removeprefix(each.prompt) for each in asked)
    for counts in (places, texts):
        assert max(counts.values()) / len(asked) < chance + 0.08
    expected = sum(1 / len(each.choices or ()) for each in asked) / len(asked)
    assert expected == pytest.approx(chance, abs=0.03)


def test_quantifiers_are_balanced_one_by_one(splits):
    for quantifier in ("all", "some", "no"):
        asked = [e for e in splits["quantifiers"]["test"] if f" Are {quantifier} " in e.prompt]
        assert len(asked) > 100
        assert 0.35 < sum(e.answer == 0 for e in asked) / len(asked) < 0.65


def test_examples_are_the_same_everywhere_and_for_ever():
    drawn = [worked(name, "train", 7, 3).example for name in DEMO_TASKS]
    text = "".join(repr((each.prompt, each.choices, each.answer)) for each in drawn)
    assert hashlib.blake2b(text.encode(), digest_size=8).hexdigest() == "87dc9ea5127f2ce0"


def test_words_are_distinct():
    words = NAMES + THINGS + COLOURS
    assert len(set(words)) == len(words)


def test_unknown_task_and_too_many_examples(monkeypatch):
    with pytest.raises(InputError, match="no demo task 'sort'; there are boolean"):
        demo_examples("sort", "test", 1)
    one = next(f"{i}" for i in range(99) if split_of(f"{i}") == "test")
    monkeypatch.setitem(DEMO_TASKS, "one", DemoTask("", lambda _: Worked(Example(one, None, "x"))))
    assert [e.prompt for e in demo_examples("one", "test", 1)] == [one]
    with pytest.raises(InputError, match="fewer than 2 test examples"):
        demo_examples("one", "test", 2)


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ASSETS)


def test_the_tokenizer_writes_digits_and_letters_singly(tokenizer):
    assert tokenizer.tokenize("137 + 48 =") == ["1", "3", "7", " +", " ", "4", "8", " ="]
    for word in (" A", " D", " True", " yes", " no", *(f" {name}" for name in NAMES)):
        assert tokenizer.tokenize(word) == [word]
    ids = tokenizer("reverse: a b =")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_prompts_are_short(name, tokenizer, splits):
    texts = [completed(each) for each in splits[name]["validation"]]
    assert max(len(ids) for ids in tokenizer(texts)["input_ids"]) <= 50


@settings(max_examples=3 * settings.default.max_examples, deadline=None)
@given(text=st.text())
def test_any_text_survives_the_tokenizer(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    "text", ["  two spaces", "\n\t", "<0x41>", "\u2581x", "a\u0301 😀", "</s>"]
)
def test_odd_texts_survive_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
