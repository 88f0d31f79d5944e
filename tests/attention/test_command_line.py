"""A function as a command: the same flags, types and checks in words and in Python."""

import dataclasses
import fnmatch
import inspect
import math
import shlex
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from attention.choices import Choices
from attention.command_line import (
    Between,
    Commas,
    OneOf,
    Repeated,
    Result,
    Word,
    command,
    run_script,
)
from attention.errors import InputError
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


def test_words_and_keywords_give_the_same_values(told):
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
def test_the_line_that_gives_arguments(given, line, told):
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


def test_a_word_that_cannot_be_parsed_is_told_how_it_is_written(capsys):
    with pytest.raises(SystemExit):
        run_script(ask, ["--model", "m", "--tasks", "a", "--lost", "much"])
    assert ": --lost is written 8%, not 'much' (see" in capsys.readouterr().err


def test_a_group_without_a_default_has_flags_that_are_required(capsys, told):
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
