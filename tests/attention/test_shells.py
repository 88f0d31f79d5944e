"""What every program has: completion in shells, and what a report needs."""

import json

import pytest

from attention import command_line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_program_prints_what_a_shell_completes(shell, capsys):
    command_line.main(
        "attn", "attention.commands", {"plot": "Draw it's."}, "", ["--print-completion", shell]
    )
    said = capsys.readouterr().out
    assert "plot" in said and "env" in said and "out" in said and "attn" in said
    with pytest.raises(SystemExit):
        command_line.main("attn", "attention.commands", {}, "", ["--print-completion", "cmd"])
    assert "unknown shell" in capsys.readouterr().err


def test_env_says_what_a_report_needs(capsys, monkeypatch):
    monkeypatch.setenv("TALE_JAX_LIMITS", "json=65")
    monkeypatch.setenv("JAX_SECRET_TOKEN", "word")
    command_line.main("attn", "attention.commands", {}, "", ["env", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["jax"] and found["devices"] and found["limits"]["json"] == 65
    assert "word" not in str(found)
