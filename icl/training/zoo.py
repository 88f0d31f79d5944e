"""Trained models that come along: ``zoo:NAME`` in place of the directory of a run.

A model is a folder ``icl/assets/zoo/NAME``: ``settings.json`` says what was trained, as in a run's
directory; ``params.safetensors`` has the parameters; ``card.json`` says how long it was trained and
how well it does.  ``scripts/train_zoo.py`` makes them.
"""

from __future__ import annotations

from importlib.resources import files as package_files
from pathlib import Path

from attention import files
from attention.choices import nearest
from attention.errors import InputError
from attention.files import Record

PREFIX = "zoo:"
CARD = "card.json"
FOLDER = Path(str(package_files("icl"))) / "assets" / "zoo"


def folder_of(run: Path) -> Path:
    """The folder of a run: its directory, or that of the bundled model ``zoo:NAME``.

    Raises:
        InputError: no model of this name comes along.
    """
    if not str(run).startswith(PREFIX):
        return run
    name = str(run).removeprefix(PREFIX)
    known = zoo_names()
    if name not in known:
        listed = ", ".join(known) or "none yet"
        raise InputError(f"no model {name!r} comes along{nearest(name, known)}; there are {listed}")
    return FOLDER / name


def zoo_names() -> list[str]:
    """The names of the models that come along."""
    return sorted(card.parent.name for card in FOLDER.glob(f"*/{CARD}"))


def read_card(name: str) -> Record:
    """The card of a bundled model.

    Raises:
        InputError: no model of this name comes along.
    """
    return files.read_json(folder_of(Path(f"{PREFIX}{name}")) / CARD)
