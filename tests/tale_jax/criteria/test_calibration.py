"""The text that criteria read."""

from types import SimpleNamespace

import pytest

from attention.errors import InputError
from tale_jax.criteria.calibration import calibration_rows


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
