"""Programs of several commands: errors, results, help, completion."""

import dataclasses
import fnmatch
import io
import json
import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from attention.command_line import (
    Result,
    main,
    run_script,
)
from attention.errors import InputError, Preempted

PLAIN = '''
from __future__ import annotations
import dataclasses
from typing import TYPE_CHECKING, Annotated
from attention.command_line import Result, command
from attention.errors import InputError, Preempted
if TYPE_CHECKING:
    from jax import Array

@command(renamed={"often": "--times N"}%s)
def %s(*, name: str, times: int | None = None, noise: str = ""%s) -> Result | None:
    """Say a name.

    Args:
        name: of somebody
        times: how often
        noise: what goes wrong
    """
    if noise == "bug":
        raise KeyError("over\\nlines")
    if noise == "input":
        raise InputError("nobody\\n  is there")
    if noise == "stop":
        raise KeyboardInterrupt
    if noise == "preempted":
        raise Preempted()
    if noise == "file":
        open("nowhere/file")
    if noise == "memory":
        raise MemoryError
    if noise == "device":
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while")
    print("loose words")
    if noise == "nothing":
        return None
    return Result({"said": name * (times or 1)}, name, "twice")
'''


@pytest.fixture
def greeter(tmp_path, monkeypatch):
    """A program with three commands, in a package of its own."""
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "greet.py").write_text(PLAIN % ("", "greet", ""))
    (folder / "greet_again.py").write_text(PLAIN % (", again=True", "greet_again", ""))
    (folder / "search.py").write_text(PLAIN % ("", "search", ", resume: bool = False"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    commands = {"greet": "say a name", "greet-again": "say it again", "search": "find a name"}

    def call(*words):
        main("hello", "greeter", commands, "Greets people, 100 % of them.", words)

    yield call
    for name in [name for name in sys.modules if name.split(".")[0] == "greeter"]:
        del sys.modules[name]


SEE = "(see `hello greet --help`)"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "no command is given; there are greet, greet-again, search (see `hello --help`)"),
        ("great", "unknown command 'great' (did you mean greet?); there are *(see `hello --help`)"),
        ("greet", f"missing: --name {SEE}"),
        ("greet --name a --tmes 2", f"unknown option --tmes (did you mean --times?) {SEE}"),
        ("greet --tmes=2", f"unknown option --tmes (did you mean --times?) {SEE}"),
        ("greet --name a --times b", f"--times must be a whole number, not 'b' {SEE}"),
        ("greet --name a --times 2.5", f"--times must be a whole number, not '2.5' {SEE}"),
        ("greet --name a --name b", f"--name is given 2 times {SEE}"),
        ("greet --name", f"--name: expected one argument {SEE}"),
        ("greet a", f"'a' belongs to no option: each takes one word {SEE}"),
        ("greet --nam a", f"unknown option --nam (did you mean --name?) {SEE}"),
        ("greet --name a --often 3", f"--often is now --times N {SEE}"),
        ("greet --name a --often=3", f"--often is now --times N {SEE}"),
        (f"greet --name a --times {'x' * 300}", f"--times must be a whole number, *xxx … {SEE}"),
        ("greet --name a --noise input", "nobody is there"),
        ("greet --name a --noise file", "nowhere/file: No such file or directory; mend that *"),
        ("greet --name a --noise memory", "out of memory; take less at a time"),
        ("greet --name a --noise device", "out of memory; take less at a time"),
        (
            "search --name a --noise file",
            "nowhere/file: *; go on with: hello search --name a --noise file --resume",
        ),
    ],
)
def test_errors_of_the_user_are_one_line(words, line, greeter, capsys):
    with pytest.raises(SystemExit) as stop:
        greeter(*words.split())
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert fnmatch.fnmatchcase(said.err, f"hello: {line}\n".replace("[", "[[]")), said.err
    assert len(said.err) <= 201


@pytest.mark.parametrize(
    ("words", "going_on"),
    [
        (["greet"], ""),
        (["greet-again"], "; go on with: hello greet-again --name 'a b' --noise {}"),
        (["search"], "; go on with: hello search --name 'a b' --noise {} --resume"),
    ],
)
@pytest.mark.parametrize(
    ("noise", "code", "line"),
    [("stop", 130, "interrupted"), ("preempted", 75, "preempted; all work is saved")],
)
def test_interruptions_tell_how_to_go_on(words, going_on, noise, code, line, greeter, capsys):
    with pytest.raises(SystemExit) as stop:
        greeter(*words, "--name", "a b", "--noise", noise)
    said = capsys.readouterr().err
    assert (stop.value.code, said) == (code, f"hello: {line}{going_on.format(noise)}\n")


def test_faults_of_ours_leave_a_log(greeter, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        greeter("greet", "--name", "a", "--noise", "bug")
    said = capsys.readouterr()
    assert (stop.value.code, said.out, said.err.count("\n")) == (1, "", 1)
    log = Path(said.err.split("see the log ")[1].strip())
    assert log.is_relative_to(tmp_path / "cache")
    assert "Traceback" in log.read_text() and "tale-jax" in log.read_text()


def test_results_are_shown_or_printed_as_values_alone(greeter, capsys):
    greeter("greet", "--name", "a", "--times", "3")
    assert capsys.readouterr().out == "loose words\na\ntwice\n"
    greeter("greet", "--json", "--name", "a", "--times", "3")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"said": "aaa"} and said.err == "loose words\n"
    greeter("greet", "--name", "a", "--noise", "nothing")
    assert capsys.readouterr().out == "loose words\n"


@dataclasses.dataclass
class Answer:
    shots: int
    protocol: str = "auto"


def test_values_become_json():
    from attention.results import as_json, as_text

    values = {"a": np.float32(0.5), "b": (np.arange(3), math.nan), "c": Path("x"), "q": Answer(1)}
    expected = {"a": 0.5, "b": [[0, 1, 2], None], "c": "x", "q": {"shots": 1, "protocol": "auto"}}
    assert json.loads(as_json(values)) == expected
    assert json.loads(as_text(Answer(1))) == expected["q"] and as_text(None) == ""
    assert json.loads(str(Result(values))) == expected


def test_tables_in_results_are_as_wide_as_the_terminal(monkeypatch):
    from attention.terminal import plain_table

    for columns in (43, 97):
        monkeypatch.setenv("COLUMNS", str(columns))
        table = plain_table(["name", "text", "count"], [["[a]", "long words " * 20, "7"]])
        shown = str(Result({}, "x" * 200, table))
        assert "[a]" in shown and shown.startswith("x" * 200 + "\n")
        assert columns - 11 < max(map(len, shown.splitlines()[1:])) <= columns


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_encoding_will_do(encoding, greeter, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    with pytest.raises(SystemExit):
        greeter("greet", "--name", "a", "--times", "b" * 300)
    assert sys.stdout.tell() == 0 and capsys.readouterr().err.count("\n") == 1
    greeter("greet", "--name", "\N{MULTIPLICATION SIGN}")
    assert sys.stdout.buffer.tell() or sys.stdout.tell()


def test_help_and_version_are_no_errors(greeter, capsys):
    greeter("greet", "--help")
    assert "how often" in capsys.readouterr().out
    greeter("--help")
    said = capsys.readouterr().out
    assert "  greet-again  say it again\n" in said and "100 %" in said
    assert "greeter.greet" in sys.modules and "greeter.search" not in sys.modules
    greeter("--version")
    assert capsys.readouterr().out.startswith("tale-jax ")


def test_help_needs_nothing_heavy_and_commands_no_library(greeter, tmp_path):
    code = """
        import sys
        blocked = {blocked}
        class Blocked:
            def find_spec(self, name, *_):
                if name in blocked:
                    raise ImportError(name)
        sys.meta_path.insert(0, Blocked())
        from attention.command_line import main, run_script
        main("hello", "greeter", {{"greet": "say"}}, "Greets.", ["--help"])
        main("hello", "greeter", {{"greet": "say"}}, "Greets.", {words})
    """
    heavy = {"jax", "numpy", "transformers", "rich"}
    for blocked, words in (
        (heavy, ["greet", "--help"]),
        (heavy | {"tyro", "cyclopts", "docstring_parser"}, ["greet", "--name", "a"]),
    ):
        script = textwrap.dedent(code).format(blocked=blocked, words=words)
        paths = [str(tmp_path), *filter(None, sys.path)]
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{script}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def greet(*, name: str, times: int | None = None) -> None:
    """Say a name.

    Args:
        name: of somebody
        times: how often
    """
    if name == "nobody":
        raise InputError("nobody\n  is there")
    if name == "later":
        raise Preempted("saved")
    print(name * (times or 1))


def test_a_script_has_one_command(capsys):
    run_script(greet, ["--name", "ab", "--times", "3"])
    assert capsys.readouterr().out == "ababab\n"
    run_script(greet, ["--help"])
    assert "how often" in capsys.readouterr().out
    name = "test_programs.py"
    for words, line, code in (
        (["--name", "nobody"], "nobody is there", 2),
        (["--name", "later"], "saved", 75),
        ([], f"missing: --name (see `{name} --help`)", 2),
    ):
        with pytest.raises(SystemExit) as stop:
            run_script(greet, words)
        assert (stop.value.code, capsys.readouterr().err) == (code, f"{name}: {line}\n")
