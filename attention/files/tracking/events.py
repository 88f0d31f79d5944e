"""What happens while a command works, told to all that listen; no JAX.

A command in Python takes a listener as ``on_event=``, and ``--tracker`` makes one.  Run directories
tell when a run starts and ends and which files it has made, training tells its metrics, and a
search its candidates.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

Kind = Literal["start", "metrics", "candidate", "accepted", "file", "end"]


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: ``start`` and ``end`` of a run, ``metrics`` of a step, a ``candidate`` that was
            scored, one that was ``accepted``, or a ``file`` that is ready.
        run: the directory of the run; None if nothing is kept.
        step: of training; of a search, how many layers are dropped.
        values: settings at the start; metrics; the candidate; ``path`` of a file; at the end,
            whether the run is ``finished``.
    """

    kind: Kind
    run: Path | None
    step: int | None
    values: Mapping[str, Any]


Listener = Callable[[Event], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())
_runs: ContextVar[tuple[Path, ...]] = ContextVar("runs", default=())


@contextlib.contextmanager
def heard_by(*listeners: Listener) -> Iterator[None]:
    """Tell events of the block to these listeners too."""
    before = _listeners.set((*_listeners.get(), *listeners))
    try:
        yield
    finally:
        _listeners.reset(before)


@contextlib.contextmanager
def run_of(path: Path, settings: Mapping[str, Any], files: Callable[[], list[Path]]) -> Iterator:
    """Tell the start and the end of a run; events of the block are of this run.

    Args:
        path: its directory.
        settings: that identify it.
        files: gives the files to tell of when the run has ended well.
    """
    before = _runs.set((*_runs.get(), path))
    tell("start", settings)
    finished = False
    try:
        yield
        for file in files() if _listeners.get() else ():
            tell("file", {"path": file})
        finished = True
    finally:
        tell("end", {"finished": finished})
        _runs.reset(before)


def tell(kind: Kind, values: Mapping[str, Any], step: int | None = None) -> None:
    """Tell an event of the run that was opened last."""
    listeners, runs = _listeners.get(), _runs.get()
    if listeners:
        event = Event(kind, runs[-1] if runs else None, step, values)
        for listener in listeners:
            listener(event)
