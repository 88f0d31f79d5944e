"""The words of a command line: how they become arguments, and the page of help about them.

argparse splits the words and lays out the help.  :mod:`attention.flags` checks types, ranges and
names, as it does for a call in Python.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import shlex
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from attention.choices import nearest
from attention.errors import InputError
from attention.flags import Flag
from attention.invocation import PLATFORMS, Every, Words, merged, read_config
from attention.signature import Command

EVERY = {"json": "", "quiet": "", "config": "FILE.yaml", "tracker": "NAME",
         "platform": f"{{{','.join(PLATFORMS)}}}", "devices": "N"}  # fmt: skip
"""The flags of `Every`, and what stands for their values in the help."""
MOST_LETTERS = 200  # of an error about arguments
WIDEST = 100  # columns of a page of help


def parse(
    found: Command, words: Sequence[str], program: str, line: str
) -> tuple[dict[str, Any], Every, Words]:
    """Read the words of a command line.

    Args:
        found: the command.
        words: what follows its name.
        program: begins every error.
        line: begins the command line, such as ``tale search``.

    Returns:
        The function's arguments; what every command takes; and the options as they are written.

    Raises:
        InputError: a word is unknown, or a value is not allowed.
    """
    try:
        given = _split(found, words)
        if "config" in given:
            names = [*found.flags, *(name for name in EVERY if name != "config")]
            given = merged(read_config(given["config"], line, names), given)
        every = {name: given.pop(name) for name in EVERY if name in given}
        if "quiet" in every and "quiet" in found.flags:
            given["quiet"] = every["quiet"]
        values = {name: _value(found.flags[name], value) for name, value in given.items()}
        if missing := found.missing(values):
            raise InputError(f"missing: {', '.join(flag.words for flag in missing)}")
        for name, value in every.items():
            every[name] = value[-1] if isinstance(value, list) else value
        as_written = {
            name: value if isinstance(value, bool) or len(value) > 1 else value[0]
            for name, value in given.items()
        }
        return found.bind((), values), Every(**every), as_written
    except InputError as error:
        raise InputError(shortened(str(error), program, line)) from None


def _value(flag: Flag, given: Any) -> Any:
    """The value of a flag, from texts or a truth.

    Raises:
        InputError: a text cannot be read, or a truth is given to a flag with a value.
    """
    if isinstance(given, bool) or flag.boolean:
        if isinstance(given, bool) and flag.boolean:
            return given
        raise InputError(f"{flag.words} must be {'true or false' if flag.boolean else 'a value'}")
    if flag.many and not flag.repeated and len(given) > 1:  # a list of a file
        given = [",".join(given)]
    return flag.read(given)


def shortened(message: str, program: str, line: str) -> str:
    """Cut a message to 200 letters, and add the command that prints the help."""
    see = f" (see `{line} --help`)"
    room = MOST_LETTERS - len(f"{program}: {see}")
    message = " ".join(message.split())
    return (message if len(message) <= room else f"{message[: room - 2]} …") + see


def _split(found: Command, words: Sequence[str]) -> dict[str, Any]:
    """Find the texts that follow each flag, or whether it is on.

    Raises:
        InputError: a word is unknown.
    """
    with_value = {flag.words for flag in found.flags.values() if not flag.boolean}
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in with_value and word[:1] == "-" and word[:2] != "--":
            joined[-1] += f"={word}"  # argparse would take the value -1,2 for an option
        else:
            joined.append(word)
    parser = _parser(found)
    try:
        given, rest = parser.parse_known_args(joined)
    except argparse.ArgumentError as error:
        raise InputError(f"{error.argument_name}: {error.message}") from None
    for word in rest:
        name = word.partition("=")[0]
        if name.removeprefix("--") in found.renamed and name.startswith("--"):
            raise InputError(f"{name} is now {found.renamed[name.removeprefix('--')]}")
        if name.startswith("-"):
            options = [flag.words for flag in found.flags.values()]
            known = [*options, *(f"--{each}" for each in EVERY)]
            raise InputError(f"unknown option {name}{nearest(name, known)}")
        raise InputError(f"{word!r} belongs to no option: each takes one word")
    return vars(given)


def _parser(found: Command, **page: Any) -> argparse.ArgumentParser:
    """Make a parser with a section for each group; it requires and converts nothing."""
    parser = argparse.ArgumentParser(
        **page, add_help=False, allow_abbrev=False, exit_on_error=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=functools.partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=26, width=page_width()
        ),
    )  # fmt: skip
    texts, sections = _descriptions(found) if page else {}, {}
    own = parser.add_argument_group("options")
    for flag in found.flags.values():
        section = own
        if flag.group:
            title = _title(found.groups[flag.group][0], flag)
            if title not in sections:
                sections[title] = parser.add_argument_group(title)
            section = sections[title]
        _add(section, flag, texts.get(flag.name, ""))
    general = parser.add_argument_group("every command")
    about = _texts(Every) if page else {}
    for field in dataclasses.fields(Every):
        name, text = field.name, about.get(field.name, "")
        if name in found.flags:
            continue
        if field.default is False:
            general.add_argument(f"--{name}", action="store_true", help=text)
        else:
            general.add_argument(f"--{name}", metavar=EVERY[name], help=text)
    general.add_argument("--help", action="store_true", help="show this page")
    return parser


def _title(cls: type[Any], flag: Flag) -> str:
    """The title of a flag's section: the first line of its group, or of the part that has it."""
    parts = [base for base in cls.__bases__ if dataclasses.is_dataclass(base)]
    if len(parts) > 1:
        having = (part for part in parts if hasattr(part, flag.name))
        cls = next(having, cls)
    return (inspect.getdoc(cls) or flag.group).splitlines()[0].rstrip(".")


def _add(section: Any, flag: Flag, text: str) -> None:
    shown = (text + flag.notes).replace("%", "%%")
    if not flag.boolean:
        section.add_argument(
            flag.words, dest=flag.name, action="append", metavar=flag.metavar, help=shown
        )
    elif flag.default is False:
        section.add_argument(flag.words, dest=flag.name, action="store_true", help=shown)
        no = f"--no-{flag.words[2:]}"
        section.add_argument(no, dest=flag.name, action="store_false", help=argparse.SUPPRESS)
    else:
        choice = argparse.BooleanOptionalAction
        section.add_argument(flag.words, dest=flag.name, action=choice, help=shown)


def help_text(found: Command, line: str) -> str:
    """Write the page of help of a command.

    Args:
        found: the command.
        line: begins its command line, such as ``tale search``.
    """
    from docstring_parser import google  # not needed without a page of help

    described = google.parse(inspect.getdoc(found.function) or "")
    parts = (described.short_description, described.long_description)
    paragraphs = [text for part in parts if part for text in part.split("\n\n")]
    needed = [f"{flag.words} {flag.metavar}".replace(" ", "\0") for flag in found.missing({})]
    usage = textwrap.fill(
        " ".join([line.replace(" ", "\0"), *needed, "[options]"]), page_width() - 7,
        subsequent_indent=" " * (len(line) + 1), break_long_words=False, break_on_hyphens=False,
    ).replace("\0", " ").replace("%", "%%")  # fmt: skip
    description = "\n\n".join(textwrap.fill(text, page_width()) for text in paragraphs)
    parser = _parser(found, prog=line, usage=usage, description=description)
    return parser.format_help().rstrip()


def overview(program: str, commands: Mapping[str, str], description: str) -> str:
    """Write the page of help of a program: its commands, and what each does.

    Args:
        program: its name.
        commands: what each command does, by name.
        description: of the program.
    """
    width, first = page_width(), max(map(len, commands)) + 4
    lines = [f"usage: {program} COMMAND [options]", "", *textwrap.wrap(description, width), ""]
    for name, does in commands.items():
        wrapper = textwrap.TextWrapper(width, f"  {name:{first - 2}}", " " * first)
        lines += wrapper.wrap(does)
    lines += ["", f"`{program} COMMAND --help` shows the options of a command, and",
              f"`{program} --version` the version.  `{program} --print-completion bash`",
              "(or zsh, fish) prints a script that lets the shell complete words."]  # fmt: skip
    return "\n".join(lines)


def written(function: Any, line: str, arguments: Mapping[str, Any]) -> str:
    """Write the command line that gives a command these arguments; defaults are left out.

    Args:
        function: the command.
        line: begins the command line, such as ``tale search``.
        arguments: by the name of a flag or of a group.

    Raises:
        InputError: a value is not allowed.
    """
    found: Command = function.command
    words = line.split()
    for name, value in as_words(found, found.bind((), arguments)).items():
        flag = found.flags[name]
        if isinstance(value, bool):
            words.append(flag.words if value else f"--no-{flag.words[2:]}")
        else:
            texts = [value] if isinstance(value, str) else value
            words += [word for text in texts for word in (flag.words, text)]
    return shlex.join(words)


def as_words(found: Command, bound: Mapping[str, Any]) -> Words:
    """Write arguments as the words of a command line, by flag; defaults are left out.

    Args:
        found: the command.
        bound: the function's arguments by name.
    """
    words: Words = {}
    for flag in found.flags.values():
        value: Any = getattr(bound[flag.group], flag.name) if flag.group else bound.get(flag.name)
        if value == flag.default or (not flag.group and flag.name not in bound):
            continue
        if flag.boolean:
            words[flag.name] = bool(value)
        elif flag.repeated:
            words[flag.name] = [str(item) for item in value]
        else:
            words[flag.name] = ",".join(map(str, value)) if flag.many else str(value)
    return words


def _descriptions(found: Command) -> dict[str, str]:
    """The text about each flag in the docstrings of a function and of its groups."""
    documented = [found.function]
    for cls, _ in found.groups.values():
        documented += reversed(cls.__mro__[:-1])  # a class does not document what it inherits
    return _texts(*documented)


def _texts(*documented: Any) -> dict[str, str]:
    """The text about each name in docstrings."""
    from docstring_parser import google

    texts = {}
    for each in documented:
        for entry in google.parse(inspect.getdoc(each) or "").params:
            texts[entry.arg_name] = " ".join((entry.description or "").split()).rstrip(".")
    return texts


def page_width() -> int:
    """How wide a page of help is: as wide as the terminal, but not too wide to read."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST) - 1
