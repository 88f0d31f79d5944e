"""The text that criteria read."""

from types import SimpleNamespace

import pytest

from attention.errors import InputError
from tale_jax.criteria.calibration import calibration_rows
from tale_jax.tasks import Example, encode_texts


def model(letter_tokenizer, vocabulary=97):
    config = SimpleNamespace(longest_text=61, vocab_size=vocabulary)
    return SimpleNamespace(tokenizer=letter_tokenizer(), config=config)


def test_calibration_text_is_cut_into_windows(letter_tokenizer, tmp_path):
    read = model(letter_tokenizer)
    (tmp_path / "text.txt").write_text("abcdef" * 25)
    rows = calibration_rows(read, (), tmp_path / "text.txt")
    assert [len(row.tokens) for row in rows] == [60, 60, 28]
    assert rows[0].targets[:-1] == rows[0].tokens[1:]
    with pytest.raises(InputError, match="no such file"):
        calibration_rows(read, (), tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="fewer than two tokens"):
        calibration_rows(read, (), tmp_path / "empty.txt")
    with pytest.raises(InputError, match="the model's vocabulary has 5 tokens"):
        calibration_rows(model(letter_tokenizer, 5), (), tmp_path / "text.txt")


def test_without_a_file_the_prompts_are_read_or_both_sentences_of_pairs(letter_tokenizer):
    read = model(letter_tokenizer)

    def texts(*examples):
        return [[*row.tokens, row.targets[-1]] for row in calibration_rows(read, examples, None)]

    assert texts(Example("abc", ("d", "e"), 0)) == encode_texts(read.tokenizer, ["abc"], True)
    pairs = Example("", ("abc", "bcd"), 1), Example("", ("cde", "dc"), 0)
    sentences = ["abc", "bcd", "cde", "dc"]
    assert texts(*pairs) == encode_texts(read.tokenizer, sentences, True)
    with pytest.raises(InputError, match="fewer than two tokens"):
        texts(Example("", None, "a"))
