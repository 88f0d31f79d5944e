"""A command is one function: in Python and on the command line it has the same arguments.

:func:`command` reads a function's signature.  A parameter whose type is a dataclass is a *group*:
its fields become flags on the command line, and keyword arguments in Python.  :func:`main` runs a
program of many commands, :func:`run_script` a script of one.

:mod:`attention.marks` has marks for types.  :mod:`attention.signature` reads signatures, and
:mod:`attention.flags` their parameters.  :mod:`attention.words` reads command lines.
:mod:`attention.results` is what commands return.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import inspect
import os
import shlex
import sys
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attention import files, processes
from attention.choices import Choices
from attention.completion import completion
from attention.errors import InputError, Preempted, is_disk_full, is_out_of_memory
from attention.invocation import called_with, use_devices
from attention.marks import Between, Commas, OneOf, Repeated, Word
from attention.results import Result, as_json, as_text
from attention.signature import Command
from attention.words import as_words, help_text, overview, parse, shortened

__all__ = [
    "Between",
    "Commas",
    "OneOf",
    "Repeated",
    "Result",
    "Word",
    "command",
    "main",
    "run_script",
]
Returned = TypeVar("Returned")
SHARED = {
    "runs": "List the runs below a folder, and what came out.",
    "env": "Show versions, devices, processor and memory, for a report of a bug.",
}
"""Commands that every program has; they lie in ``attention.commands``."""
MOST_OF_A_REASON = 120  # letters of an unexpected error


@typing.overload
def command(function: Callable[..., Returned]) -> Callable[..., Returned]: ...


@typing.overload
def command(
    *, renamed: Mapping[str, str] | None = None, again: bool = False
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]: ...


def command(
    function: Callable[..., Any] | None = None,
    *,
    renamed: Mapping[str, str] | None = None,
    again: bool = False,
) -> Any:
    """Make a function a command, with the fields of its groups as keyword arguments.

    ::

        @command(renamed={"examples": "--limit N"})
        def lens(model: str, *, question: Question = Question(), display: Display = Display()):
            '''Measure the accuracy of each layer.'''

        lens("demo", shots=3, quiet=True)  # in Python
        lens("demo", tracker="jsonl", on_event=print)  # what every command takes
        main("tale", "tale_jax.commands", {"lens": "accuracy of each layer"}, "…")  # in words

    Args:
        function: all its parameters have types.  A group can also be passed whole, by its name.
        renamed: old names of flags, without ``--``, and what to write now.
        again: whether the same command line goes on with an interrupted run.  It is not needed if
            the function has a parameter ``resume``.

    Returns:
        A function that checks its arguments before it runs.  It raises InputError for a value that
        is not allowed, and TypeError for an unknown or a missing name.  It also takes ``tracker``,
        a name in ``attention.files.TRACKERS``, and ``on_event``, which is called with each
        :class:`~attention.files.Event`.

    Raises:
        TypeError: two flags have the same name, or a parameter has no type.
    """
    if function is None:
        return functools.partial(command, renamed=renamed, again=again)
    described = Command(function, renamed or {}, again)

    @functools.wraps(function)
    def run(
        *args: Any, tracker: str = "none", on_event: files.Listener | None = None, **kwargs: Any
    ) -> Any:
        bound = described.bind(args, kwargs)
        with called_with(as_words(described, bound)), files.tracked(tracker, on_event):
            return function(**bound)

    run.__signature__ = described.signature  # type: ignore[attr-defined]
    run.command = described  # type: ignore[attr-defined]
    return run


def main(
    program: str,
    package: str,
    commands: Mapping[str, str],
    description: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run the command that the first word names.

    Args:
        program: its name.
        package: the package of the commands.  ``find-it`` is the function ``find_it`` of the module
            ``PACKAGE.find_it``, which is imported when the command is chosen.
        commands: the name of each command, and what it does in one line.
        description: of the program, for its help.
        arguments: the words; None takes those of the process.

    Raises:
        SystemExit: with code 1, 2, 75 or 130 after an error, a preemption or Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    commands = {**commands, **SHARED}
    if words[:1] == ["--version"]:
        print(_version())
    elif words[:1] == ["--print-completion"]:
        with _one_line(program, lambda: ""):
            _print(completion(program, commands, functools.partial(_flags, package), words[1:]))
    elif words[:1] in (["--help"], ["-h"]):
        _print(overview(program, commands, description))
    else:
        with _one_line(program, lambda: ""):
            found = _chosen(program, package, commands, words)
        _run(program, f"{program} {words[0]}", found, words[1:])


def run_script(function: Callable[..., Any], arguments: Sequence[str] | None = None) -> None:
    """Run the one function of a script; options, errors and results are as in :func:`main`.

    Args:
        function: a command, or a function that can be made one.
        arguments: the words; None takes those of the process.

    Raises:
        SystemExit: with code 1, 2, 75 or 130 after an error, a preemption or Ctrl-C.
    """
    program = Path(inspect.getfile(inspect.unwrap(function))).name
    words = list(sys.argv[1:] if arguments is None else arguments)
    _run(program, program, _described(function), words)


def _described(function: Any) -> Command:
    found: Any = function if hasattr(function, "command") else command(function)
    return found.command


def _chosen(
    program: str, package: str, commands: Mapping[str, str], words: Sequence[str]
) -> Command:
    """The command that the first word names.

    Raises:
        InputError: there is no such command.
    """
    own = ", ".join(name for name in commands if name not in SHARED)
    try:
        if not words:
            raise InputError(f"no command is given; there are {own}")
        Choices("command", commands).pick(words[0])
    except InputError as error:
        raise InputError(shortened(str(error), program, program)) from None
    return _found(package, words[0])


def _found(package: str, name: str) -> Command:
    """The command of a name, whose module is imported."""
    place = "attention.commands" if name in SHARED else package
    name = name.replace("-", "_")
    return _described(getattr(importlib.import_module(f"{place}.{name}"), name))


def _flags(package: str, name: str) -> list[str]:
    return [flag.words for flag in _found(package, name).flags.values()]


def _run(program: str, line: str, found: Command, words: list[str]) -> None:
    """Run a command, and print what it returns, or its JSON."""
    if "--help" in words or "-h" in words:
        _print(help_text(found, line))
        return
    with _one_line(program, lambda: _going_on(found, line, words)):
        bound, every, given = parse(found, words, program, line)
        use_devices(every.platform, every.devices)
        lost = f"{program}: another process of this run has ended{_going_on(found, line, words)}"
        with _joined(program, lost), called_with(given, every.quiet), files.tracked(every.tracker):
            printed = sys.stderr if every.json else sys.stdout  # nothing but the JSON on stdout
            with contextlib.redirect_stdout(printed):
                result = found.function(**bound)
        text = as_json(result) if every.json else as_text(result)
        if text and not (_several() and not processes.is_main()):
            _print(text)


def _print(text: str) -> None:
    """Print a text; letters that the encoding of the output lacks become question marks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:  # a reader such as `head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _one_line(program: str, going_on: Callable[[], str]) -> Iterator[None]:
    """End the program with one line on the standard error, and the exit code of the error."""
    try:
        yield
    except InputError as error:
        _fail(program, str(error), 2)
    except Preempted as error:
        _fail(program, f"{str(error) or 'preempted; all work is saved'}{going_on()}", 75)
    except KeyboardInterrupt:
        _fail(program, f"interrupted{going_on()}", 130)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _fail(program, reason + (going_on() or "; mend that and run it again"), 2)
    except SystemExit:
        raise
    except BaseException as error:  # compiled libraries have panics, which are no Exception
        if _several() and processes.is_lost(error):
            print(f"{program}: another process of this run has ended{going_on()}", file=sys.stderr)
            processes.leave(75)
        if is_out_of_memory(error):
            _fail(program, f"out of memory; take less at a time{going_on()}", 2)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if "nable to initialize backend" in reason:
            _fail(program, "no such devices are here: choose another --platform", 2)
        if is_disk_full(error):
            _fail(program, f"{reason:.{MOST_OF_A_REASON}}; make room{going_on()}", 2)
        about = f"{_version()}, Python {sys.version}\n{shlex.join(sys.argv)}\n\n"
        log = files.write_log(program, about + traceback.format_exc())
        line = f"this should not happen: {reason:.{MOST_OF_A_REASON}}; see the log {log}"
        _fail(program, line, 1)


def _several() -> bool:
    """Whether several processes work together."""
    with contextlib.suppress(InputError):
        return processes.find_group(os.environ) is not None
    return False


@contextlib.contextmanager
def _joined(program: str, lost: str) -> Iterator[None]:
    """Join the other processes of the run, if there are some; SIGTERM ends the command."""
    if processes.find_group(os.environ) is not None:
        processes.end_in_one_line(lost, files.write_log(program, ""))
        processes.start()
    with processes.preemption():  # after the start, which has a handler of its own
        yield


def _fail(program: str, line: str, code: int) -> None:
    print(f"{program}: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


def _going_on(found: Command, line: str, words: Sequence[str]) -> str:
    """The command line that goes on with an interrupted run, or nothing."""
    if "resume" in found.flags:
        words = [*words, *([] if "--resume" in words else ["--resume"])]
    elif not found.again:
        return ""
    return f"; go on with: {line} {shlex.join(words)}"


def _version() -> str:
    try:
        return f"tale-jax {importlib.metadata.version('tale-jax')}"
    except importlib.metadata.PackageNotFoundError:  # scripts run without an installation
        return "tale-jax, not installed"
