"""Tables of what can be chosen by name, and what they say when a name is wrong."""

import ast
import dataclasses
import sys
from pathlib import Path

import pytest

from attention import choices
from attention.choices import VARIABLE, Choices, check_trusted, resolve, trust
from attention.errors import InputError
from attention.transformer.huggingface.config import _own_fields as own_fields


@dataclasses.dataclass(frozen=True)
class Row:
    width: int
    make: object = "math:hypot"


def wider(row, text):
    if not text.isdecimal():
        raise InputError(f"a width is a whole number, not {text!r}")
    return dataclasses.replace(row, width=int(text))


@pytest.fixture
def table():
    return Choices("strategy", {"greedy": Row(1), "beam": Row(2)}, own=lambda f: Row(0, f))


def test_a_table_is_a_dict_that_takes_rows_from_outside(table):
    table["mine"] = Row(5)
    assert table.pick("mine") is table["mine"] and list(table) == ["greedy", "beam", "mine"]
    with pytest.raises(InputError, match="greedy, beam, mine"):
        table.pick("x")


def test_unknown_names_are_told_with_the_nearest_and_all(table):
    with pytest.raises(InputError) as error:
        table.pick("gredy")
    listed = "there are greedy, beam, or MODULE:FUNCTION of your own"
    assert str(error.value) == f"unknown strategy 'gredy' (did you mean greedy?); {listed}"
    with pytest.raises(InputError) as error:
        Choices("split", {"train": 1, "test": 2}).pick("a:b")
    assert str(error.value) == "unknown split 'a:b'; there are train, test"


def test_parameters_make_a_row_of_a_row(table):
    with pytest.raises(InputError, match="the strategy 'beam' takes no parameters, as in 'beam:3'"):
        table.pick("beam:3")
    table.parameters = wider
    assert table.pick("beam:3") == Row(3)
    with pytest.raises(InputError, match="a width is a whole number"):
        table.pick("beam:x")


def test_a_function_of_the_user_is_a_row(table, tmp_path, monkeypatch):
    (tmp_path / "my_strategies.py").write_text("WIDE = 5\ndef best():\n    return 3\n")
    (tmp_path / "broken_strategies.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert table.pick("my_strategies:best").make() == 3
    sys.modules["my_strategies"].ROW = Row(7)
    assert table.pick("my_strategies:ROW") == Row(7), "a row stays what it is"
    table.parameters = wider
    assert table.pick("my_strategies:best:11").width == 11
    for name, reason in (
        ("my_strategies:worst", "AttributeError"),
        ("nowhere.at_all:f", "ModuleNotFoundError: No module named 'nowhere'"),
        ("broken_strategies:f", "ZeroDivisionError: division by zero"),
    ):
        with pytest.raises(InputError, match=f"'{name}' cannot be imported: {reason}"):
            table.pick(name)


def test_names_of_functions_are_imported_when_used(table):
    assert resolve(table["greedy"].make)(3, 4) == 5
    assert resolve(len) is len


def test_a_name_that_only_a_file_holds_runs_nothing(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choices, "_trusted", set())
    line = f"'hostile:f' is code, which a file named and you did not: {VARIABLE}=hostile lets"
    for check in (
        lambda: check_trusted("normalizer", "hostile:f"),
        lambda: own_fields({"model_type": "tale", "normalizer": "hostile:f"}),
    ):
        with pytest.raises(InputError, match=line):
            check()
    assert own_fields({"model_type": "tale", "normalizer": "ssa:n=2"}) == {"normalizer": "ssa:n=2"}
    trust("--normalizer", "hostile:f:n=2")
    check_trusted("normalizer", "hostile:f")
    monkeypatch.setattr(choices, "_trusted", set())
    monkeypatch.setenv(VARIABLE, "other,hostile")
    check_trusted("normalizer", "hostile:f")


def test_an_installed_package_brings_rows(table, tmp_path, monkeypatch):
    """By entry points, as pip leaves them."""
    (tmp_path / "brought.py").write_text("def deep():\n    return 13\n")
    about = tmp_path / "brought-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    points = "[tale_jax.my_strategy]\ndeep = brought:deep\nlost = brought:nothing\n"
    (about / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    choices._entry_points.cache_clear()
    table.group = "tale_jax.my_strategy"
    try:
        assert table.pick("deep").make() == 13
        assert table.listed == "greedy, beam, deep, lost, or MODULE:FUNCTION of your own"
        with pytest.raises(
            InputError, match=r"strategy lost \(brought:nothing\) cannot be imported"
        ):
            table.pick("lost")
    finally:
        choices._entry_points.cache_clear()


def test_each_table_has_a_group_of_its_own():
    """What is brought for one table is not taken for another."""
    groups = []
    for package in ("attention", "tale_jax", "icl"):
        for file in (Path(__file__).parents[2] / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                    "Choices",
                    "Sources",
                ):
                    named = {word.arg: word.value for word in node.keywords}.get("group")
                    group = named or node.args[0]
                    assert isinstance(group, ast.Constant)
                    groups.append(group.value)
    assert len(groups) > 30 and len(set(groups)) == len(groups)
