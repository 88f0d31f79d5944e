"""Tokens of prompts and choices: lm-eval's convention, written again example by example."""

import string

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import (
    completed,
    encode_choices,
    encode_prompts,
    fitting,
    with_shots,
)

PROMPTS = ("", " ", "The big dog", "The big dog ", "The end.\n\n", "naïve 😀", "<s>Once")
CHOICES = (" time", "a time", " zoo\n", "  two", "!")
QUESTIONS = [Example(prompt, CHOICES, 0) for prompt in PROMPTS]


@pytest.fixture(scope="module", params=["stories260K-hf", "TinyStories-656K"])
def tokenizer(request, shared):
    return AutoTokenizer.from_pretrained(shared / "models" / request.param)


def character_tokenizer(**special):
    """One token a letter; nothing is put in front."""
    vocab = {c: i for i, c in enumerate(string.ascii_lowercase)}
    names = [name for name in special.values() if name not in vocab]
    vocab |= {name: len(vocab) + i for i, name in enumerate(names)}
    inner = Tokenizer(models.BPE(vocab, [], unk_token=special.get("unk_token")))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)


def by_lm_eval(tokenizer, context, continuation):
    """``TemplateLM._encode_pair`` for a tokenizer that puts one token in front."""
    spaces = len(context) - len(context.rstrip())
    if spaces:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    if not context:
        return [tokenizer.bos_token_id, *tokenizer.encode(continuation, add_special_tokens=False)]
    given = context.startswith(tokenizer.bos_token)
    whole = tokenizer.encode(context + continuation, add_special_tokens=not given)
    before = tokenizer.encode(context, add_special_tokens=not given)
    return before + whole[len(before) :]


def test_choices_by_the_convention_of_lm_eval(tokenizer):
    for example, encoded in zip(QUESTIONS, encode_choices(tokenizer, QUESTIONS), strict=True):
        context = example.prompt.rstrip()
        given = context.startswith(tokenizer.bos_token)
        before = len(tokenizer.encode(context, add_special_tokens=not given)) if context else 1
        for choice, (tokens, count) in zip(CHOICES, encoded, strict=True):
            assert tokens == by_lm_eval(tokenizer, example.prompt, choice)
            assert count == len(tokens) - before
            assert tokens.count(tokenizer.bos_token_id) == 1 and tokens[-1] != 2


def test_trailing_space_moves_to_the_choice(tokenizer):
    spaced = encode_choices(tokenizer, [Example("Once upon ", ("a", "the"), 0)])
    assert spaced == encode_choices(tokenizer, [Example("Once upon", (" a", " the"), 0)])


def test_no_space_is_inserted(tokenizer):
    """Nor lost, unless the tokenizer writes it into the last token of a prompt, as in lm-eval."""
    pieces = tokenizer.tokenize("Once upon")
    lost = any(piece.endswith("▁") and piece != "▁" for piece in pieces)
    bare, spaced = encode_choices(
        tokenizer, [Example("Once", (c, "!"), 0) for c in ("upon", " upon")]
    )
    assert (bare[0].tokens == spaced[0].tokens) == lost


def test_an_empty_prompt_is_the_beginning_of_text(tokenizer):
    (encoded,) = encode_choices(tokenizer, [Example("", ("Once", " upon"), 0)])
    for tokens, count in encoded:
        assert tokens[0] == tokenizer.bos_token_id and count == len(tokens) - 1
    assert encode_prompts(tokenizer, [Example("", None, "x")]) == [[tokenizer.bos_token_id]]


def test_prompts_of_generated_answers_stand_as_they_are(tokenizer):
    texts = ["Once upon", "<s>Once upon" if tokenizer.bos_token == "<s>" else "Once", "Once \n"]
    for text, tokens in zip(
        texts, encode_prompts(tokenizer, [Example(t, None, "x") for t in texts]), strict=True
    ):
        given = text.startswith(tokenizer.bos_token)
        assert tokens == tokenizer.encode(text, add_special_tokens=not given)
        assert tokens.count(tokenizer.bos_token_id) == 1


def test_without_a_beginning_of_text_token():
    empty = [Example("", ("a", "b"), 0)]
    ends = character_tokenizer(eos_token="<e>")
    assert encode_choices(ends, empty) == [[([26, 0], 1), ([26, 1], 1)]]
    assert encode_choices(ends, [Example("ab", ("c", "d"), 0)])[0][0] == ([0, 1, 2], 1)
    assert encode_prompts(ends, [Example("", None, "a")]) == [[26]]
    with pytest.raises(InputError, match="neither a beginning-of-text"):
        encode_choices(character_tokenizer(), empty)


def test_a_choice_that_merges_with_its_prompt_is_encoded_by_itself():
    inner = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    tokenizer, counts = PreTrainedTokenizerFast(tokenizer_object=inner), []
    found = encode_choices(tokenizer, [Example("a", ("b", "a", "bb"), 0)], counts.append)
    assert found == [[([0, 1], 1), ([0, 0], 1), ([0, 1], 1)]] and counts == [1]
    encode_choices(tokenizer, [Example("a", ("a",), 0)], counts.append)
    assert counts == [1]
    with pytest.raises(InputError, match="'z' has no token"):
        encode_choices(tokenizer, [Example("a", ("z", "a"), 0)])


def test_shots_of_choices_with_prompts_of_their_own():
    def example(i):
        ending = (f" z{i}",) * 2
        return Example(f"x{i} ", ending, i % 2, contexts=(f"x{i} a", f"x{i} b"))

    examples = tuple(example(i) for i in range(7))
    shown = with_shots(Task("t", examples[:3], examples[3:], description="D {group}."), 1, seed=2)
    assert shown.train is not None and len(shown.train) == 1
    front = f"D .\n\n{completed(shown.train[0])}\n\n"
    assert completed(examples[1]) == "x1 b z1"
    assert shown.search[0].contexts == (f"{front}x0 a", f"{front}x0 b")
    assert shown.search[0].prompt == f"{front}x0 "
    assert shown.test is not None and len(shown.test) == 3


def numbered(name, count):
    return tuple(Example(f"{name}{i}:", (" x", " y"), i % 2) for i in range(count))


def test_shots_are_answered_train_examples_before_every_prompt():
    task = Task("t", numbered("s", 3), numbered("e", 2), numbered("t", 9))
    shown = with_shots(task, 2, seed=1)
    assert shown.test is not None and task.test is not None and task.train is not None
    fronts = set()
    for before, after in zip(task.search + task.test, shown.search + shown.test, strict=True):
        front, blank, last = after.prompt.rpartition("\n\n")
        assert (last, after.choices, after.answer) == (before.prompt, before.choices, before.answer)
        assert blank and front.split("\n\n")[0] != front.split("\n\n")[1]
        assert set(front.split("\n\n")) <= {completed(e) for e in task.train}
        fronts.add(front)
    assert len(fronts) == 1
    assert shown == with_shots(task, 2, seed=1) != with_shots(task, 2, seed=2)
    # one shot more keeps the others
    assert with_shots(task, 3, seed=1).search[0].prompt.startswith(next(iter(fronts)))
    assert with_shots(task, 0) == task


def test_the_right_answer_is_shown():
    assert completed(Example("a:", (" x", " y"), 1)) == "a: y"
    assert completed(Example("1 + 1 =", None, " 2")) == "1 + 1 = 2"


def test_too_many_shots():
    task = Task("t", numbered("s", 3), None, numbered("t", 2))
    for asked, why in ((3, "3 shots asked of 2"), (-1, "negative")):
        with pytest.raises(InputError, match=why):
            with_shots(task, asked)
    with pytest.raises(InputError, match="of 0 train examples"):
        with_shots(Task("t", numbered("s", 3)), 1)


def test_examples_that_do_not_fit_are_left_out():
    assert fitting([5, 9, 8, 3], 8, "t") == [0, 2, 3]
    with pytest.raises(InputError, match="every example is longer than the model's 2 positions"):
        fitting([5, 9, 8, 3], 2, "t")
