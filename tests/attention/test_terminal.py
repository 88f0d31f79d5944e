"""What is shown while work runs: where, and that quiet is quiet."""

import sys
import threading

import pytest

from attention import terminal
from attention.invocation import called_with
from attention.terminal import Terminal, narrow_table


class Screen:
    """A standard error that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_lines_go_to_the_error_stream_and_tables_to_the_output(capsys):
    Terminal().message("read [red] 3 files")
    Terminal().table("two rows", ["name", "size"], [["[a]", "5"], ["bcd", "11"]], words=1)
    said = capsys.readouterr()
    assert said.err == "read [red] 3 files\n"
    assert said.out == "two rows\nname  size\n[a]      5\nbcd     11\n"


def test_quiet_shows_nothing(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "PAUSE", 0.0)
    quiet = Terminal(quiet=True)
    quiet.message("a")
    quiet.table("t", ["b"], [["c"]])
    with quiet.steps("score", 3) as advance:
        advance()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("pause", "lines"), [(60.0, 0), (0.0, 3)])
def test_a_log_gets_a_line_now_and_then(pause, lines, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "PAUSE", pause)
    with Terminal().steps("score [x]", 3) as advance:
        for _ in range(3):
            advance()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines and all(line.startswith("score [x]: ") for line in said)


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal().steps("score [x]", 3) as advance:
        advance()
    assert "score [x]" in screen.text and "33%" in screen.text


def test_a_long_wait_is_told_of(capsys, monkeypatch):
    told = threading.Event()
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    monkeypatch.setattr(Terminal, "message", lambda self, line: told.set())
    with Terminal().waiting("loading [x]"):
        assert told.wait(60)


def test_a_terminal_shows_what_is_waited_for(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal().waiting("loading [x]"):
        pass
    assert "loading [x]" in screen.text


def test_a_quiet_command_makes_every_terminal_quiet(capsys):
    with called_with({}, quiet=True):
        Terminal().message("a")
        with Terminal().waiting("b"), Terminal().steps("c", 3) as advance:
            advance()
    assert capsys.readouterr() == ("", "")


def test_a_narrow_table_repeats_its_words_where_columns_do_not_fit():
    rows = [["seven", *("1" * n for n in (2, 5, 3, 11))], ["words", "2", "3", "5", "7"]]
    text = narrow_table(["", "a", "bc", "d", "e"], rows, width=21)
    first, second = (block.splitlines() for block in text.split("\n\n"))
    assert first == ["        a     bc    d", "seven  11  11111  111", "words   2      3    5"]
    assert second == ["                 e", "seven  11111111111", "words            7"]
    assert narrow_table(["", "a", "bc", "d", "e"], rows).count("seven") == 1
