"""A function as a command: the same flags, types and checks in words and in Python."""

import dataclasses
import fnmatch
import inspect
import io
import json
import math
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from attention import command_line
from attention.choices import Choices
from attention.command_line import (
    Between,
    Commas,
    OneOf,
    Repeated,
    Result,
    Word,
    command,
    main,
    run_script,
)
from attention.errors import InputError, Preempted
from attention.options import Devices
from attention.signature import check_fields
from attention.words import written

COLOURS = Choices("colour", {"red": 1, "green": 2}, parameters=lambda row, text: row * int(text))


@dataclasses.dataclass(frozen=True)
class Question:
    """How the model is asked.

    Attributes:
        shots: answered examples before every prompt
        protocol: what the model is asked for
    """

    shots: Annotated[int, Between(ge=0, le=7)] = 0
    protocol: Literal["auto", "decode"] = "auto"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where it comes from.

    Attributes:
        data: folder of the task
        revision: branch
    """

    data: Path
    revision: str | None = None


def share(text: str) -> float:
    return float(text.rstrip("%")) / (100 if text.endswith("%") else 1)


@command(renamed={"examples": "--limit N"})
def ask(
    model: str,
    tasks: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")],
    *,
    drop: Annotated[tuple[int | str, ...], Commas(metavar="3,5.mlp")] = (),
    run: Annotated[tuple[Path, ...], Repeated(metavar="DIR")] = (),
    colour: Annotated[str, OneOf(COLOURS)] = "red",
    lost: Annotated[float, Word(share, "8%"), Between(lt=1)] = 0.08,
    budget: Annotated[float, Between(gt=0), Between(le=math.inf)] | None = None,
    limit: Annotated[int, Between(ge=1)] | None = None,
    batch: tuple[Annotated[int, Between(ge=1)], ...] = (1,),
    norm: bool = True,
    quiet: bool = False,
    question: Question = Question(shots=2),
    devices: Devices = Devices(),
) -> Result:
    """Ask a model, 100 % of it.

    Args:
        model: local folder, or "demo"
        tasks: names
        drop: layers to leave out
        run: directory of a search
        colour: of the answer
        lost: accuracy that may be lost
        budget: seconds
        limit: the first so many examples
        batch: prompts at a time
        norm: put states through the norm
        quiet: show nothing
    """
    given = dict(locals())
    return Result(given, f"asked {model}", "twice")


@command
def move(*, source: Source, again: bool = False) -> Result:
    """Move it."""
    return Result({"data": source.data, "revision": source.revision, "again": again})


def told(function, *words):
    """What a command got of words, as Python has it."""
    found = []

    def catch(**given):
        found.append(given)

    original, function.command.function = function.command.function, catch
    try:
        run_script(function, words)
    finally:
        function.command.function = original
    return found[0]


def test_words_and_keywords_give_the_same_values():
    words = (
        "--model m --tasks a,b --drop -1,5.mlp --run x --run y --colour green:3 --lost 5% "
        "--budget inf --limit 3 --batch 2,5 --no-norm --quiet --shots 5 --protocol decode "
        "--mesh data=2,model=-1"
    )
    python = {
        "drop": [-1, "5.mlp"], "run": ("x", Path("y")), "colour": "green:3", "lost": 0.05,
        "budget": math.inf, "limit": np.int64(3), "batch": np.array([2, 5]), "norm": False,
        "quiet": True, "shots": 5, "protocol": "decode", "mesh": "data=2,model=-1",
    }  # fmt: skip
    expected = {
        "model": "m", "tasks": ("a", "b"), "drop": (-1, "5.mlp"), "run": (Path("x"), Path("y")),
        "colour": "green:3", "lost": 0.05, "budget": math.inf, "limit": 3, "batch": (2, 5),
        "norm": False, "quiet": True, "question": Question(5, "decode"),
        "devices": Devices("data=2,model=-1"),
    }  # fmt: skip
    assert told(ask, *words.split()) == expected
    found = dict(ask("m", ("a", "b"), **python))
    assert found == expected and type(found["limit"]) is int
    assert found["devices"].axes == {"dcn": 1, "data": 2, "fsdp": 1, "model": -1}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "ask --model 'a b' --tasks x,y"),
        ({"shots": 3, "mesh": "data=2"}, "ask --model 'a b' --tasks x,y --shots 3 --mesh data=2"),
        ({"question": Question(shots=2)}, "ask --model 'a b' --tasks x,y"),
        ({"norm": False, "quiet": True}, "ask --model 'a b' --tasks x,y --no-norm --quiet"),
        ({"run": ["p", "q"]}, "ask --model 'a b' --tasks x,y --run p --run q"),
        (
            {"drop": [3, "5.mlp"], "limit": 7},
            "ask --model 'a b' --tasks x,y --drop 3,5.mlp --limit 7",
        ),
    ],
)
def test_the_line_that_gives_arguments(given, line):
    arguments = {"model": "a b", "tasks": ("x", "y"), **given}
    assert written(ask, "ask", arguments) == line
    assert told(ask, *shlex.split(line)[1:]) == ask.command.bind((), arguments)


def test_a_group_may_check_its_fields_as_flags():
    @dataclasses.dataclass(frozen=True)
    class Checked:
        shots: Annotated[int, Between(ge=0)] = 0
        runs: Annotated[tuple[Path, ...], Repeated()] = ()

        def __post_init__(self):
            check_fields(self)

    assert Checked(3, ["a"]) == Checked(3, (Path("a"),))
    with pytest.raises(InputError, match="--shots must be at least 0, not -1"):
        Checked(-1)
    with pytest.raises(InputError, match="--runs must be a path"):
        Checked(runs=[3])


def test_a_single_item_is_a_tuple_of_one_and_groups_may_be_passed_whole():
    found = ask("m", "a,b", batch=3, question=Question(1), protocol="decode")
    assert found["tasks"] == ("a,b",) and found["batch"] == (3,)
    assert found["question"] == Question(1, "decode")
    assert ask(Path("m"), "a")["model"] == "m"
    assert ask("m", "a")["question"] == Question(2)  # the default of the command, not the class
    assert ask("m", tasks="a", shots=3)["question"] == Question(3)


def choose(
    *, layers: tuple[Annotated[int, Between(ge=0)], ...] | Literal["all"] | None = None
) -> None:
    """Choose layers."""


def test_a_tuple_may_have_an_alternative(capsys):
    chosen = command(choose)
    for words, python in (("3,all", (3, "all")), ("none", None), ("", ()), ("all", "all")):
        found = told(chosen, f"--layers={words}")["layers"]
        assert found == ((python,) if python == "all" else python)
        assert chosen.command.bind((), {"layers": python})["layers"] == found
    with pytest.raises(SystemExit):
        run_script(chosen, ["--layers", "3,some"])
    assert "--layers must be all or a whole number, not 'some'" in capsys.readouterr().err


def test_a_word_that_cannot_be_parsed_is_told_how_it_is_written(capsys):
    with pytest.raises(SystemExit):
        run_script(ask, ["--model", "m", "--tasks", "a", "--lost", "much"])
    assert ": --lost is written 8%, not 'much' (see" in capsys.readouterr().err


def test_a_group_without_a_default_has_flags_that_are_required(capsys):
    assert move(data="x") == {"data": Path("x"), "revision": None, "again": False}
    assert move(source=Source(Path("y"), "z"))["revision"] == "z"
    assert told(move, "--data", "x") == {"source": Source(Path("x"))}
    with pytest.raises(TypeError, match="needs data"):
        move()
    with pytest.raises(SystemExit):
        run_script(move, [])
    assert "missing: --data (see" in capsys.readouterr().err


def test_the_signature_is_flat():
    parameters = inspect.signature(ask).parameters
    assert list(parameters)[:3] == ["model", "tasks", "drop"]
    assert list(parameters)[-5:] == ["shots", "protocol", "mesh", "sharding", "dtype"]
    assert parameters["shots"].default == 2 and parameters["shots"].kind.name == "KEYWORD_ONLY"
    assert ask.__doc__.startswith("Ask a model") and ask.__name__ == "ask"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"shot": 3}, r"ask\(\) has no argument shot \(did you mean shots\?\); it has model, .*"),
        ({"examples": 3}, r"ask\(\) has no argument examples \(it is now --limit N\); .*"),
        ({"model": "n"}, "multiple values for argument 'model'"),
    ],
)
def test_unknown_keywords_are_type_errors(given, line):
    with pytest.raises(TypeError, match=line):
        ask("m", "a", **given)
    with pytest.raises(TypeError, match=r"ask\(\) needs tasks"):
        ask("m")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("limit", 0, "--limit must be at least 1, not 0"),
        ("limit", 2.5, "--limit must be a whole number, not *2.5*"),
        ("limit", True, "--limit must be a whole number, not *True*"),
        ("batch", (3, 0), "--batch must be at least 1, not 0"),
        ("shots", 8, "--shots must be at least 0 and at most 7, not 8"),
        ("lost", 1.0, "--lost must be below 1, not 1.0"),
        ("lost", -math.inf, "--lost must be finite, not -inf"),
        ("lost", math.nan, "--lost must be below 1, not nan"),
        ("budget", 0.0, "--budget must be above 0, not 0.0"),
        ("budget", math.nan, "--budget must be above 0, not nan"),
        ("protocol", "decoed", "--protocol must be auto or decode, not 'decoed'"),
        ("colour", "gren", "unknown colour 'gren' (did you mean green?); there are red, green"),
        ("mesh", "data=0", "--mesh is written data=4,model=2 (one may be -1), not 'data=0'"),
        ("mesh", "rows=2", "--mesh is written *"),
        ("mesh", "data=-1,model=-1", "--mesh has each axis once, and at most one -1, *"),
        ("mesh", "data=2,data=2", "--mesh has each axis once, *"),
    ],
)
def test_values_that_are_not_allowed_end_in_the_same_line(name, value, line, capsys):
    with pytest.raises(InputError) as error:
        ask("m", "a", **{name: value})
    assert fnmatch.fnmatchcase(str(error.value), line)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    with pytest.raises(SystemExit) as stop:
        run_script(ask, ["--model", "m", "--tasks", "a", f"--{name}", text])
    said = capsys.readouterr()
    program = "test_command_line.py"
    assert (stop.value.code, said.out) == (2, "")
    assert fnmatch.fnmatchcase(said.err, f"{program}: {line} (see `{program} --help`)\n"), said.err


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


def test_values_become_json():
    from attention.results import as_json, as_text

    values = {"a": np.float32(0.5), "b": (np.arange(3), math.nan), "c": Path("x"), "q": Question(1)}
    expected = {"a": 0.5, "b": [[0, 1, 2], None], "c": "x", "q": {"shots": 1, "protocol": "auto"}}
    assert json.loads(as_json(values)) == expected
    assert json.loads(as_text(Question(1))) == expected["q"] and as_text(None) == ""
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


HELP = """\
usage: ask --model TEXT --tasks NAME,NAME [options]

Ask a model, 100 % of it.

options:
  --model TEXT            local folder, or "demo" (required)
  --tasks NAME,NAME       names (required)
  --drop 3,5.mlp          layers to leave out
  --run DIR               directory of a search (may be given again)
  --colour NAME           of the answer (one of red, green; default: red)
  --lost 8%               accuracy that may be lost (default: 0.08)
  --budget X              seconds
  --limit N               the first so many examples
  --batch N,...           prompts at a time (default: 1)
  --norm, --no-norm       put states through the norm (default: yes)
  --quiet                 show nothing

How the model is asked:
  --shots N               answered examples before every prompt (default: 2)
  --protocol {auto,decode}
                          what the model is asked for (default: auto)

Devices and precision of the computation:
"""


def test_help_has_a_section_for_each_group(monkeypatch):
    from attention.words import help_text

    monkeypatch.setenv("COLUMNS", "80")
    page = help_text(ask.command, "ask")
    assert page.startswith(HELP)
    assert max(map(len, page.splitlines())) < 80
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, help_text(ask.command, "ask").splitlines())) < 60


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
    name = "test_command_line.py"
    for words, line, code in (
        (["--name", "nobody"], "nobody is there", 2),
        (["--name", "later"], "saved", 75),
        ([], f"missing: --name (see `{name} --help`)", 2),
    ):
        with pytest.raises(SystemExit) as stop:
            run_script(greet, words)
        assert (stop.value.code, capsys.readouterr().err) == (code, f"{name}: {line}\n")


def test_clashes_are_found_when_a_command_is_made():
    def double(shots: int = 0, *, question: Question = Question()): ...
    def reserved(*, json: bool = False): ...
    def group(*, source: str = "", data: Question = Question(), where: Source): ...
    def untyped(name): ...
    def many(*names: str): ...
    def marked(name: Annotated[str, Commas()]): ...
    def nested(name: dict[str, int]): ...

    for function, line in (
        (double, "two flags --shots"),
        (reserved, "two flags --json"),
        (group, "data is a group and a flag"),
        (untyped, "name must be one parameter with a type"),
        (many, "names must be one parameter with a type"),
        (marked, "Commas and Repeated are for tuples"),
        (nested, r"name: no word gives dict\[str, int\]; mark it with Word"),
    ):
        with pytest.raises(TypeError, match=line):
            command(function)


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
