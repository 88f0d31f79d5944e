"""Parsing, errors and interruption, as every program of the project has them."""

import fnmatch
import io
import sys

import pytest

from attention.command_line import run, run_script
from attention.errors import InputError


def greet(*, name: str, times: int | None = None) -> None:
    """Say a name.

    Args:
        name: of somebody
        times: how often
    """
    if name == "nobody":
        raise InputError("nobody\n  is there")
    if name == "stop":
        raise KeyboardInterrupt
    print(name * (times or 1))


def leave() -> None:
    """Say nothing."""


def call(*words: str) -> None:
    run("hello", {"greet": greet, "leave": leave}, "Greets.", words, hint=lambda w: f"; {w[0]}")


def test_a_command_gets_what_was_parsed(capsys):
    call("greet", "--name", "ab", "--times", "3")
    assert capsys.readouterr().out == "ababab\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "hello: Expected one of {greet, leave} (see `hello --help`)"),
        (("great",), "hello: Unrecognized options: great (see `hello --help`)"),
        (
            ("greet",),
            "hello: Missing from hello greet: --name STR of somebody (required)"
            " (see `hello greet --help`)",
        ),
        (
            ("greet", "--name", "a", "--tmes", "2"),
            "hello: Unrecognized options: --tmes*2; Perhaps you meant: --times {None}|INT how often"
            " (default: None) (see `hello greet --help`)",
        ),
        (
            ("greet", "--name", "a", "--times", "b"),
            "hello: Error parsing --times: *['b'] (see `hello greet --help`)",
        ),
        (("greet", "--name", "nobody"), "hello: nobody is there"),
    ],
)
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_errors_are_one_line(words, told, encoding, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    with pytest.raises(SystemExit) as stop:
        call(*words)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and sys.stdout.tell() == 0
    assert fnmatch.fnmatchcase(err, told.replace("[", "[[]") + "\n") and err.count("\n") == 1


def crowded(*, model: str, task: str, out: str, rank: int, words: str = "a") -> None:
    """Do much.

    Args:
        model: a description of what a model may be that takes its time and more than one line
        task: another one, which mentions --resume, as some of them do, and goes on for a while
        out: a third one; whoever forgets all of these is told of all of them at once
        rank: a fourth one
        words: a fifth one, which nobody needs to give, so that it is never told as missing
    """


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "hello: Missing from hello crowded: --model, --task, --out, --rank"),
        (
            ("--model", "a", "--task", "b", "--out", "c", "--rank", "x" * 300),
            "hello: Error parsing --rank: *xxx …",
        ),
        (("--task", "a", "--modle", "b"), "*--out, --rank; Unrecognized options: --modle b"),
    ],
)
def test_long_errors_are_cut_to_a_readable_line(words, told, capsys):
    with pytest.raises(SystemExit):
        run("hello", {"crowded": crowded, "leave": leave}, "Greets.", ["crowded", *words])
    err = capsys.readouterr().err
    assert fnmatch.fnmatchcase(err, f"{told} (see `hello crowded --help`)\n")
    assert len(err) <= 201 and err.count("\n") == 1


def test_ctrl_c_ends_in_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        call("greet", "--name", "stop")
    assert (stop.value.code, capsys.readouterr().err) == (130, "hello: interrupted; greet\n")


def test_help_and_version_are_no_errors(capsys):
    with pytest.raises(SystemExit) as stop:
        call("greet", "--help")
    assert not stop.value.code and "how often" in capsys.readouterr().out
    call("--version")
    assert capsys.readouterr().out.startswith("tale-jax ")


def test_a_script_has_one_command(capsys):
    run_script(greet, ["--name", "ab"])
    assert capsys.readouterr().out == "ab\n"
    name = "test_command_line.py"
    for words, told in (
        (["--name", "nobody"], f"{name}: nobody is there"),
        (
            [],
            f"{name}: Missing from {name}: --name STR of somebody (required) (see `{name} --help`)",
        ),
        (["--name", "a", "--times", "b"], f"{name}: Error parsing --times: *(see `{name} --help`)"),
    ):
        with pytest.raises(SystemExit) as stop:
            run_script(greet, words)
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.count("\n") == 1
        assert fnmatch.fnmatchcase(said.strip(), told), said
    with pytest.raises(SystemExit) as stop:
        run_script(greet, ["--name", "stop"])
    assert stop.value.code == 130
