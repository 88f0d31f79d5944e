"""``tale generate`` and ``tale report``, on tiny random models."""

import json

import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import generate as write
from attention.transformer import keep_layers
from tale_jax.commands.generate import generate
from tale_jax.commands.report import report
from tale_jax.models import load_model


def test_models_write_side_by_side_what_they_write_alone(searched):
    found = generate("abcab", model=str(searched / "tiny"), drop=[1, 3], max_new_tokens=7)
    assert [row["model"] for row in found["rows"]] == ["baseline", "dropped"]
    model = load_model(str(searched / "tiny"))
    tokens = np.array([model.tokenizer("abcab")["input_ids"]])
    kept = keep_layers(model.params, [0, 2, 4])
    for row, params, depth in ((found["rows"][0], model.params, None),
                               (found["rows"][1], kept, [0, 2, 4])):  # fmt: skip
        config = model.config if depth is None else model.config.keep_layers(depth)
        out = write(config, params, tokens, max_new_tokens=7, stop_tokens=model.end_tokens)
        expected = np.asarray(out.tokens)[0][np.asarray(out.where)[0]].tolist()
        assert row["tokens"] <= len(expected)
        text = model.tokenizer.batch_decode([expected[: row["tokens"]]], skip_special_tokens=True)
        assert row["text"] == text[0]
    assert "without layers: 1, 3" in str(found)


def test_what_cannot_be_written_ends_in_one_line(searched):
    with pytest.raises(InputError, match="--prompt is empty"):
        generate("  ", model=str(searched / "tiny"))
    with pytest.raises(InputError, match="lower --max-new-tokens"):
        generate("abc", model=str(searched / "tiny"), max_new_tokens=10**6)


def test_several_searches_stand_on_one_page(searched, tmp_path):
    found = report((searched / "a", searched / "b", searched / "halves"), tmp_path / "page")
    assert len(found["rows"]) == 6
    summary = json.loads((searched / "b" / "summary.json").read_text())
    row = next(row for row in found["rows"] if row["task"].endswith("b.jsonl"))
    assert row["dropped"] == summary["best"]["dropped"]
    assert row["test_accuracy"] == summary["best"]["test"]["accuracy"]
    page = (tmp_path / "page" / "report.html").read_text()
    assert "<svg" in page
    assert "b.jsonl" in page
    for name in ("overview.csv", "overview.svg", "overview.png"):
        assert (tmp_path / "page" / name).is_file()


@pytest.mark.nightly
def test_a_pareto_front_is_scored_held_out(searched, tmp_path):
    how = {"pareto": True, "prompt_length": 5, "new_tokens": 3, "rounds": 1, "warmup": 0}
    found = report((searched / "a",), tmp_path / "page", points=3, quiet=True, **how)
    summary = json.loads((searched / "a" / "summary.json").read_text())
    rows = {tuple(row["dropped"]): row for row in found["pareto"]}
    assert rows[()]["accuracy"] == summary["baseline"]["test"]["accuracy"]
    assert all(row["split"] == "test" and row["latency_ratio"] > 0 for row in rows.values())
