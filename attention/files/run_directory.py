"""The directory of one run: claimed, locked against other processes, resumed by its settings."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from attention.errors import InputError
from attention.files.journal import Journal, RecordKind
from attention.files.reading import read_json
from attention.files.tracking import TRACKED, run_of
from attention.files.writing import make_folder, remove_empty, write_json
from attention.invocation import CONFIG, write_config

SETTINGS = "settings.json"
JOURNAL = "journal.jsonl"
LOCK = ".lock"
UNSET = "(unset)"
NO_RUNS = ("checkpoints", "nonfinite", "model", "profile", "tensorboard", "wandb", "mlruns")
PATIENCE, PAUSE = 300.0, 0.1  # seconds that other processes wait for the first, and between looks
TOLD = (".html", ".png", ".svg", ".csv", ".json")  # files that trackers get
LONGEST = 60  # characters of a setting in an error message


class RunDirectory:
    """A directory that holds one run; use it as a context manager.

        with RunDirectory(out, "tale search", settings, resume=resume) as run:
            journal = run.journal(KINDS)

    While the block runs, no other process may enter the directory. If the block has written no file
    with content, the directory is removed at its end, with the folders above it that were made for
    it.

    Attributes:
        path: the directory.
        command: the command whose run it is.
        settings: JSON values that identify the run; kept in ``settings.json``.
        resumed: whether the directory held this run before.
    """

    def __init__(
        self,
        path: str | Path,
        command: str,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        owner: bool = True,
    ):
        """Describe a run; entering the block claims the directory.

        Args:
            path: the directory; it is made if it is missing.
            command: the command, such as ``tale search``.
            settings: JSON values that decide the result. A run only goes on with the same settings.
            resume: go on with a run that is there; True also for commands that always go on.
            owner: whether this process owns the run. Where several work on one run, only the first
                is the owner. The others wait until it has claimed the directory, and neither write
                nor lock.

        Raises:
            ValueError: a setting is not a JSON value.
        """
        self.path, self.command, self.resumed = Path(path), command, False
        self.settings: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
        self._resume, self._owner = resume, owner
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Claim and lock the directory.

        Raises:
            InputError: the directory holds another run or something else, another process works in
                it, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:  # closed if the claim fails
            if self._owner:
                self._claim(stack)
                stack.enter_context(run_of(self.path, self.settings, self._made))
            else:
                self._wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*(exception or (None, None, None)))

    def _made(self) -> list[Path]:
        """The report, figures and tables of the directory."""
        return sorted(
            file for file in self.path.iterdir() if file.suffix in TOLD and file.name != SETTINGS
        )

    def journal(self, kinds: Mapping[str, RecordKind], name: str = JOURNAL) -> Journal:
        """Open a journal in the directory; it is closed with the directory.

        Raises:
            InputError: a line of it is damaged.
        """
        return self._stack.enter_context(Journal(self.path / name, kinds))

    def _claim(self, stack: contextlib.ExitStack) -> None:
        self._check()  # before a foreign directory is touched
        made = make_folder(self.path)
        stack.callback(remove_empty, made)
        stack.enter_context(_locked(self.path))
        self.resumed = self._check()
        stack.callback(self._tidy)
        if not self.resumed:
            write_json(self.path / SETTINGS, {"command": self.command, **self.settings})
        if not (self.path / CONFIG).exists():  # a kill may have come in between
            write_config(self.path, self.command)

    def _wait(self) -> None:
        """Wait until the first process has claimed the directory."""
        end = time.monotonic() + PATIENCE
        while not (self.path / SETTINGS).is_file():
            if time.monotonic() > end:
                raise InputError(
                    f"{self.path}: the first process has not made it in {PATIENCE:.0f} s: give "
                    f"all processes the same --out, on a disk that they share"
                )
            time.sleep(PAUSE)

    def _check(self) -> bool:
        """Whether the run is already there.

        Raises:
            InputError: the directory holds something else, or cannot be used.
        """
        try:
            held = list(_contents(self.path))
        except OSError as error:
            raise InputError(
                f"cannot write a run to {self.path} ({error.strerror}): choose another --out"
            ) from error
        if not held:
            return False
        if self.path / SETTINGS not in held:
            raise InputError(f"{self.path} is not empty and holds no run: choose a new --out")
        found = read_settings(self.path, self.command)
        if not self._resume:
            raise InputError(
                f"{self.path} already holds a run: go on with --resume or choose a new --out"
            )
        if changes := _changes(found, self.settings):
            raise InputError(
                f"{self.path} holds a run with other settings ({changes}): repeat them to resume, "
                f"or choose a new --out"
            )
        return True

    def _tidy(self) -> None:
        """Remove what is in the directory if nothing was computed."""
        files = (file for file in self.path.rglob("*") if file.is_file())
        own = [self.path / name for name in (SETTINGS, CONFIG, LOCK, TRACKED)]
        if any(file.stat().st_size for file in files if file not in own):
            return
        for entry in _contents(self.path):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def read_settings(path: str | Path, command: str | None = None) -> dict[str, Any]:
    """Read the settings of the run in a directory.

    Args:
        path: the directory.
        command: the command whose run is wanted; None: any command.

    Raises:
        InputError: the directory holds no run, or one of another command.
    """
    of = "" if command is None else f" of {command}"
    if not (Path(path) / SETTINGS).is_file():
        raise InputError(f"{path} holds no run{of}: give the --out directory of one")
    settings = read_json(Path(path) / SETTINGS)
    held = settings.pop("command", None)
    if command not in (None, held):
        raise InputError(f"{path} holds a run of {held}, not{of}: choose another directory")
    return settings


@dataclasses.dataclass(frozen=True)
class FoundRun:
    """A run that lies in some directory.

    Attributes:
        path: its directory.
        command: that made it.
        settings: that identify it.
        ended: whether it has a summary or a report, which are written last.
    """

    path: Path
    command: str
    settings: Mapping[str, Any]
    ended: bool


def find_runs(under: Path) -> Iterator[FoundRun]:
    """Find the runs below a folder, in the order of their paths.

    Runs inside runs are found too; folders of checkpoints and hidden ones are not looked into.

    Args:
        under: the folder.

    Raises:
        InputError: there is no such folder.
    """
    if not under.is_dir():
        raise InputError(f"{under}: no such folder; --under is where runs lie")
    for folder, inner, names in os.walk(under):
        inner[:] = sorted(name for name in inner if name[0] != "." and name not in NO_RUNS)
        if SETTINGS not in names:
            continue
        with contextlib.suppress(InputError):  # a file of others that has this name
            settings = read_json(Path(folder) / SETTINGS)
            command = settings.pop("command", None)
            if isinstance(command, str):
                ended = "summary.json" in names or "report.html" in names
                yield FoundRun(Path(folder), command, settings, ended)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other processes out of a directory."""
    import filelock  # benchmarks keep no runs, and work without it

    lock = filelock.FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"another process is writing to {directory}: wait for it or choose a new --out"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot write a run to {directory} ({error.strerror}): choose another --out"
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # nobody can wait for an unlinked file
        lock.release()


def _contents(directory: Path) -> Iterator[Path]:
    """The entries of a directory, without the lock and what a killed claim left."""
    if directory.exists():
        names = (LOCK, f".{SETTINGS}.part")
        yield from (entry for entry in directory.iterdir() if entry.name not in names)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """All settings that differ, between commas."""
    pairs = {name: (old.get(name, UNSET), new.get(name, UNSET)) for name in {**old, **new}}
    return ", ".join(
        f"{name} was {_short(was)} and is now {_short(now)}"
        for name, (was, now) in pairs.items()
        if was != now
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "…"
