"""`attn convert`: the checkpoint it writes, what it says, and what it refuses."""

import json
from pathlib import Path

import pytest

from attention import cli
from attention.transformer import load_pretrained

DEMO = Path(__file__).parents[3] / "tale_jax" / "assets" / "demo"
STORY = "Once upon a time there was a little girl. She had a red ball and a big dog named Max. " * 9


def test_the_command(tmp_path, capsys):
    (tmp_path / "text.txt").write_text(STORY)
    out = tmp_path / "out"
    words = ["convert", "--model", str(DEMO), "--text", str(tmp_path / "text.txt")]
    cli.main([*words, "--out", str(out), "--tokens", "64", "--length", "32"])
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].split() == "layer |score| to KL, nats n b".split()
    assert "logits over 64 tokens change by" in said and said.count("\n") > 13
    assert all(len(line) <= 80 or str(out) in line for line in said.splitlines())
    config, params = load_pretrained(out)
    assert config.normalizer == "ssa:learn=n+b"
    assert params["layers"]["attention"]["normalizer"]["n"].shape == (config.num_hidden_layers,)
    assert (out / "tokenizer.json").read_bytes() == (DEMO / "tokenizer.json").read_bytes()
    cli.main(
        [*words, "--out", str(tmp_path / "again"), "--tokens", "64", "--length", "32", "--json"]
    )
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == 64 and len(found["drift"]["learned"]["n"]) == config.num_hidden_layers
    assert 0 < found["drift"]["logit_mean"] < found["drift"]["logit_std"]
    new = ["--out", str(tmp_path / "x")]
    for more, message in (
        (["--out", str(out)], "is not an empty folder"),
        ([*new, "--normalizer", "ssaa"], "unknown normalizer 'ssaa'"),
        ([*new, "--length", "1000"], "--tokens must be at least --length"),
        ([*new, "--tokens", "9999", "--length", "9999"], "shorter than one piece"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, *more])
        told = capsys.readouterr().err
        assert stop.value.code == 2 and message in told and told.count("\n") == 1
        assert not (tmp_path / "x").exists()
