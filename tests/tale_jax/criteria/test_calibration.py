"""The text that criteria read."""

import pytest

from attention.errors import InputError
from tale_jax.criteria.calibration import calibration_rows


def test_calibration_text_is_cut_into_windows(letter_tokenizer, tmp_path):
    tokenizer = letter_tokenizer()
    (tmp_path / "text.txt").write_text("abcdef" * 25)
    rows = calibration_rows(tokenizer, (), 61, tmp_path / "text.txt")
    assert [len(row.tokens) for row in rows] == [60, 60, 28]
    assert rows[0].targets[:-1] == rows[0].tokens[1:]
    with pytest.raises(InputError, match="cannot be read"):
        calibration_rows(tokenizer, (), 61, tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="fewer than two tokens"):
        calibration_rows(tokenizer, (), 61, tmp_path / "empty.txt")
