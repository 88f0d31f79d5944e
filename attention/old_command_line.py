"""What every command-line program of the project does alike: version, parsing, one-line errors."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError

MOST_LETTERS = 200  # of a line about arguments


def run(
    program: str,
    commands: Mapping[str, Callable[..., Any]],
    description: str,
    arguments: Sequence[str] | None = None,
    *,
    hint: Callable[[Sequence[str]], str] = lambda words: "",
) -> None:
    """Run one of ``commands``, parsed from its signature and docstring by tyro.

    Errors of the user, of parsing too, end in one line on the standard error and exit code 2;
    Ctrl-C in one line and exit code 130.

    Args:
        program: its name.
        commands: function of each command.
        description: of the program, in its help.
        arguments: None for those of the process.
        hint: of the arguments, what to tell behind "interrupted".
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if words == ["--version"]:
        print(f"tale-jax {importlib.metadata.version('tale-jax')}")
        return
    _call(program, lambda: _parse(program, commands, description, words)(), lambda: hint(words))


def run_script(main: Callable[..., Any], arguments: Sequence[str] | None = None) -> None:
    """Run a script's one function, parsed from its signature; errors end as in :func:`run`."""
    program = Path(inspect.getfile(main)).name
    words = list(sys.argv[1:] if arguments is None else arguments)
    _call(program, lambda: _parse(program, main, None, words)(), lambda: "")


def _call(program: str, action: Callable[[], Any], hint: Callable[[], str]) -> None:
    try:
        action()
    except InputError as error:
        _fail(program, " ".join(str(error).split()), 2)
    except KeyboardInterrupt:
        _fail(program, f"interrupted{hint()}", 130)


def _fail(program: str, line: str, code: int) -> None:
    print(f"{program}: {line}", file=sys.stderr)
    sys.exit(code)


def _parse(
    program: str,
    commands: Mapping[str, Callable[..., Any]] | Callable[..., Any],
    description: str | None,
    words: Sequence[str],
) -> Callable[[], Any]:
    """The chosen command, or the only one, with its arguments.

    Raises:
        InputError: what tyro says in a box, as one line.
    """
    import tyro  # the one thing that needs it: functions of scripts work without

    names = {} if callable(commands) else commands
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            if callable(commands):
                return tyro.cli(_deferred(commands), prog=program, args=words)
            deferred = {name: _deferred(command) for name, command in commands.items()}
            return tyro.extras.subcommand_cli_from_dict(
                deferred,
                prog=program,
                description=f"{description} (`{program} --version` tells the version)",
                args=words,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_one_line(said.getvalue(), program, names, words)) from None


def _deferred(command: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """Tyro calls what it parses; what the command itself prints must not be caught with it."""

    @functools.wraps(command)
    def bind(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return functools.partial(command, *args, **kwargs)

    return bind


def _one_line(box: str, program: str, commands: Mapping[str, Any], words: Sequence[str]) -> str:
    """``╭─ Title ─╮ │ text │ ├───┤ │ text │ ╰───╯`` → its texts, but no advice to read help."""
    told = [""]
    for row in re.sub(r"\x1b\[[\d;]*m", "", box).splitlines():
        if re.search(r"^[╭╰]|[─-]{4,}", row):  # hyphens where the terminal knows no UTF-8
            told.append("")
        else:
            told[-1] += f" {row.strip('│| ')}"
    # The first is the title without a frame, or nothing.
    told = [" ".join(part.split()).split(" Got errors:")[0].rstrip(".") for part in told[1:]]
    told = [re.sub(r"( in [\w -]+ --help)+$", "", part) for part in told]
    advice = ("For full helptext", "Argument helptext", "Similar", "Available")
    told = [part for part in told if part and not part.startswith(advice)]
    command = [program, *(word for word in words[:1] if word in commands), "--help"]
    see = f" (see `{' '.join(command)}`)"
    room = MOST_LETTERS - len(f"{program}: {see}")
    if len("; ".join(told)) > room:
        told = [_names_alone(part) for part in told]
    line = "; ".join(told)
    return (line if len(line) <= room else f"{line[: room - 2]} …") + see


def _names_alone(part: str) -> str:
    """Options that are missing, or were perhaps meant, without what the help says of each."""
    start, _, listed = part.partition(": ")
    names = re.findall(r"(--[\w-]+) (?=[A-Z{])", listed)
    if not names or not start.startswith(("Missing", "Perhaps")):
        return part
    return f"{start}: {', '.join(names)}"
