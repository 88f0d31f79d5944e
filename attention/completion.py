"""Scripts with which a shell completes the words of a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from attention.choices import Choices
from attention.errors import InputError

EVERY = ("--json", "--quiet", "--config", "--tracker", "--platform", "--devices")
Words = Mapping[str, Sequence[str]]
"""The flags of each command."""


def _bash(program: str, words: Words, about: Mapping[str, str]) -> str:
    del about
    name = "_" + re.sub(r"\W", "_", program)
    cases = "\n".join(f"    {command}) words='{' '.join(words[command])}' ;;" for command in words)
    return f"""\
{name}() {{
  local words='{" ".join(words)} --help --version'
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "${{COMP_WORDS[1]}}" in
{cases}
    *) words='' ;;
    esac
  fi
  COMPREPLY=( $(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}") )
}}
complete -o default -F {name} {program}"""


def _zsh(program: str, words: Words, about: Mapping[str, str]) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(program, words, about)}"


def _fish(program: str, words: Words, about: Mapping[str, str]) -> str:
    lines = [f"complete -c {program} -n __fish_use_subcommand -l {flag}" for flag in
             ("help", "version")]  # fmt: skip
    for command, flags in words.items():
        does = about[command].replace("'", "\\'")
        lines.append(f"complete -c {program} -n __fish_use_subcommand -a {command} -d '{does}'")
        seen = f"-n '__fish_seen_subcommand_from {command}'"
        lines += [f"complete -c {program} {seen} -l {flag.removeprefix('--')}" for flag in flags]
    return "\n".join(lines)


Script = Callable[[str, Words, Mapping[str, str]], str]
SHELLS: Choices[Script] = Choices("shell", {"bash": _bash, "zsh": _zsh, "fish": _fish})
"""Given a program, the flags of its commands and what they do, each makes the script."""


def completion(
    program: str,
    commands: Mapping[str, str],
    flags: Callable[[str], Sequence[str]],
    words: Sequence[str],
) -> str:
    """The script with which a shell completes the words of a program.

    Args:
        program: its name.
        commands: what each command does, by name.
        flags: the flags of a command.
        words: the name of the shell.

    Raises:
        InputError: the shell is not known.
    """
    if len(words) != 1:
        raise InputError(f"--print-completion is followed by {SHELLS.listed}")
    found = {name: [*dict.fromkeys([*flags(name), *EVERY, "--help"])] for name in commands}
    return SHELLS.pick(words[0])(program, found, commands)
