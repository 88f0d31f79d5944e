"""Searches and evaluations that are refused in one line, and leave nothing behind."""

import json

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax import evaluate


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--drop", "99"], "there is no layer 99"),
        (["--drop", "0,1,2,3,4"], "at least one"),
        (["--drop", "x"], "--drop is written 3,5.mlp, not 'x'"),
        (["--task", "nothing.jsonl"], "no such file"),
        (["--task", "demo:nothing"], "no demo task 'nothing'"),
        (["--model", "./nowhere"], "no such model folder"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--shots", "2"], "train"),
        (["--holdout", "1.5"], "--holdout must be above 0 and below 1"),
        (["--batch-tokens", "0"], "--batch-tokens must be at least 1"),
        (["--max-new-tokens", "0"], "at least 1"),
    ],
)
def test_bad_options_of_evaluate_end_in_one_line(searched, failing, words, message):
    usual = {"--model": str(searched / "tiny"), "--task": str(searched / "a.jsonl")}
    given = usual | dict(zip(words[::2], words[1::2], strict=True))
    flat = [word for pair in given.items() for word in pair]
    assert message in failing("evaluate", *flat, "--no-compilation-cache")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "no example"),
        ('{"prompt": "a", "choices": ["b", "c"], "answer": 2}\n', ":1: answer 2 is out of range"),
        ('{"prompt": "a", "choices": ["b", "c"], "answer": 0}\n{oops\n', ":2: not JSON"),
        (json.dumps({"prompt": "a" * 99, "choices": ["b", "c"], "answer": 0}), "longer than"),
    ],
)
def test_bad_tasks_leave_no_directory(searched, tmp_path, failing, lines, message):
    (tmp_path / "bad.jsonl").write_text(lines)
    error = failing(
        "search", "--model", str(searched / "tiny"), "--task", str(tmp_path / "bad.jsonl"),
        "--out", str(tmp_path / "out"), "--no-compilation-cache",
    )  # fmt: skip
    assert message in error
    assert not (tmp_path / "out").exists()


def test_nan_models_leave_no_directory(write_model, searched, tmp_path, failing):
    from safetensors.numpy import load_file, save_file

    write_model(tmp_path / "nan")
    tensors = load_file(tmp_path / "nan" / "model.safetensors")
    tensors["model.norm.weight"][:] = np.nan
    save_file(tensors, tmp_path / "nan" / "model.safetensors")
    error = failing(
        "search", "--model", str(tmp_path / "nan"), "--task",
        str(searched / "a.jsonl"), "--out", str(tmp_path / "out"), "--no-compilation-cache",
    )  # fmt: skip
    assert "NaN" in error
    assert not (tmp_path / "out").exists()


def test_encoders_are_refused(write_encoder, searched, tmp_path):

    write_encoder(tmp_path / "bert")
    with pytest.raises(InputError, match="causal language model"):
        evaluate(str(tmp_path / "bert"), str(searched / "a.jsonl"))
