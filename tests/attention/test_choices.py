"""Tables of what can be chosen by name, and what they say when a name is wrong."""

import dataclasses
import sys

import pytest

from attention.choices import Choices, resolve
from attention.errors import InputError


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
    (tmp_path / "my_strategies.py").write_text("def best():\n    return 3\n")
    (tmp_path / "broken_strategies.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert table.pick("my_strategies:best").make() == 3
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
