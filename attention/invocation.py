"""How a command was called: what every command takes, option files, and the devices; no JAX.

A run directory holds ``config.yaml``: the command and its options.  ``--config`` reads it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from attention import files
from attention.choices import Choices, named_only, nearest
from attention.errors import InputError

CONFIG = "config.yaml"
NOT_KEPT = {"out", "run", "resume", "quiet", "profile"}
"""Options that say where and how a result is made, not which.  ``--run`` stays in its settings."""
Words = dict[str, bool | str | list[str]]
"""Options as they are written, by the name of the flag; a list for one that is given again."""


@dataclasses.dataclass(frozen=True)
class Every:
    """What every command takes.

    Attributes:
        json: print the result's values as JSON, and nothing else on the standard output
        quiet: show no progress
        config: YAML file with options of the command; those on the command line go first
        tracker: where metrics, figures and the report of a run go too
        platform: kind of devices to use; by default the fastest that is there
        devices: use so many devices; on a CPU, make so many
    """

    json: bool = False
    quiet: bool = False
    config: str | None = None
    tracker: str = "none"
    platform: str | None = None
    devices: str | None = None


@dataclasses.dataclass(frozen=True)
class Platform:
    """A kind of devices.

    Attributes:
        name: in JAX.
        visible: environment variable that lists the devices to use.
    """

    name: str
    visible: str | None = None


PLATFORMS: Choices[Platform] = Choices(
    "platform",
    {
        "cpu": Platform("cpu"),
        "gpu": Platform("cuda", "CUDA_VISIBLE_DEVICES"),
        "tpu": Platform("tpu", "TPU_VISIBLE_CHIPS"),
    },
)

_given: ContextVar[Words | None] = ContextVar("given", default=None)
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextlib.contextmanager
def called_with(given: Words, quiet: bool = False) -> Iterator[None]:
    """Remember the options of a call while it runs, and whether ``--quiet`` is one.

    Meanwhile only modules that the call names are imported for files that the call reads.
    """
    before, loud = _given.set(given), _quiet.set(quiet or _quiet.get())
    try:
        with named_only():
            yield
    finally:
        _given.reset(before)
        _quiet.reset(loud)


def is_quiet() -> bool:
    """Whether the call under way shows no progress."""
    return _quiet.get()


def write_config(folder: Path, command: str) -> None:
    """Write the options of the call under way into ``config.yaml``, where there is such a call.

    Args:
        folder: of the run.
        command: such as ``tale search``; only a call of that command says how the run was made.
    """
    import yaml  # few commands need it

    given = _given.get()
    if given is None:
        return
    kept = {name: value for name, value in given.items() if name not in NOT_KEPT}
    values = {"command": command} | {name.replace("_", "-"): kept[name] for name in kept}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)
    line = f"# {command} --config {CONFIG} --out NEW\n"
    files.write_text(folder / CONFIG, line + text)


def read_config(path: str | Path, command: str, names: Sequence[str]) -> Words:
    """Read options from a file.

    Args:
        path: a YAML file: a mapping from flags to values.
        command: the command that is called; one that the file names must be the same.
        names: of all flags, with ``_``.

    Returns:
        The values as words of a command line would give them.

    Raises:
        InputError: it is no such file, or it has an option that the command lacks.
    """
    import yaml

    try:
        found = yaml.safe_load(files.read_bytes(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(f"{path} is no YAML: {reason:.80}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold options, one a line, such as model: demo")
    held = found.pop("command", command)
    if held != command:
        raise InputError(f"{path} holds options of {held}, not of {command}")
    words: Words = {}
    for key, value in found.items():
        name = str(key).replace("-", "_")
        if name not in names:
            raise InputError(f"{path}: {command} has no option {key}{nearest(name, names)}")
        if value != []:
            words[name] = _words(path, key, value)
    return words


def _words(path: str | Path, key: object, value: object) -> bool | str | list[str]:
    """A value of a file as words.

    Raises:
        InputError: it is no text, number, truth or list of these.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and all(type(each) in (str, int, float) for each in value):
        return [str(each) for each in value]
    if value is None or type(value) in (str, int, float):
        return "none" if value is None else str(value)
    raise InputError(f"{path}: {key} must be a text, a number, true, false or a list of these")


def use_devices(platform: str | None, devices: str | None) -> None:
    """Choose the devices, before JAX looks for them; leave memory of GPUs to others.

    A GPU's memory is taken as it is needed, unless ``XLA_PYTHON_CLIENT_PREALLOCATE`` is set.

    Args:
        platform: a row of ``PLATFORMS``; None: as JAX chooses.
        devices: how many.

    Raises:
        InputError: there is no such platform, or the number is not one.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    options: dict[str, Any] = {}
    if platform is not None:
        options["jax_platforms"] = PLATFORMS.pick(platform).name
    if devices is not None:
        if not devices.isdecimal() or not 0 < int(devices) <= 4096:
            raise InputError(f"--devices must be a whole number of at least 1, not {devices!r}")
        options["jax_num_cpu_devices"] = int(devices)
        for row in PLATFORMS.values():
            if row.visible is not None:
                usable = os.environ.get(row.visible, ",".join(map(str, range(int(devices)))))
                os.environ[row.visible] = ",".join(usable.split(",")[: int(devices)])
    for name, value in options.items():
        os.environ[name.upper()] = str(value)
    if options and "jax" in sys.modules:  # it has read the environment
        for name, value in options.items():
            sys.modules["jax"].config.update(name, value)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a command line over those of a file; both as `argparse` gives them."""
    listed = {n: [v] if isinstance(v, str) else v for n, v in first.items()}
    return {**listed, **second}
