"""Reads rows of the official data sets, from local files in the official fields or from the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attention.errors import InputError
from attention.files import read_json_lines

Item = TypeVar("Item")
Parse = Callable[[dict[str, Any]], Item]


class Hub(NamedTuple):
    """A data set on the hub.

    Attributes:
        path: its id.
        config: its configuration.
        renamed: our names of splits, and what the data set calls them.
    """

    path: str
    config: str | None = None
    renamed: Mapping[str, str] = {}


def read_split(
    name: str, split: str, hub: Hub, data: Path | None, parse: Parse[Item]
) -> tuple[Item, ...] | None:
    """Read all rows of a split.

    Args:
        name: of the task, and of its folder in ``data``.
        split: ``train``, ``validation``, ``test`` or ``dev``.
        hub: where the data set is if ``data`` is None.
        data: folder with files ``name/split.jsonl[.gz]``.
        parse: makes an item of a row; raises ValueError or KeyError for a bad row.

    Returns:
        The items, or None if there is no such split.

    Raises:
        InputError: the hub cannot be reached, or a row is not what it should be.
    """

    def checked(row: dict[str, Any]) -> Item:
        try:
            return parse(row)
        except KeyError as error:
            raise ValueError(f"no field {error}; {name} has other fields") from None
        except (TypeError, AttributeError, IndexError):
            raise ValueError(f"a field is of another kind than those of {name}") from None

    if data is None:
        return _from_hub(name, split, hub, checked)
    file = local_file(data / name, split, ".jsonl")
    return None if file is None else tuple(read_json_lines(file, checked))


def local_file(folder: Path, stem: str, ending: str) -> Path | None:
    """The file ``stem`` + ``ending`` in a folder, packed or not; None if it is not there."""
    found = (folder / f"{stem}{ending}{packed}" for packed in ("", ".gz"))
    return next((file for file in found if file.is_file()), None)


def _from_hub(name: str, split: str, hub: Hub, parse: Parse[Item]) -> tuple[Item, ...] | None:
    import datasets

    datasets.disable_progress_bars()
    split = hub.renamed.get(split, split)
    try:
        rows = datasets.load_dataset(hub.path, hub.config, split=split)
    except ValueError as error:
        if "split" in str(error).lower():
            return None
        raise InputError(_unreachable(name, hub, error)) from error
    except Exception as error:  # the library raises whatever its parts raise
        raise InputError(_unreachable(name, hub, error)) from error
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(parse(dict(row)))
        except ValueError as error:
            raise InputError(f"{hub.path}, {split}, row {number}: {error}") from None
    return tuple(found)


def _unreachable(name: str, hub: Hub, error: Exception) -> str:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return (
        f"{name}: the data set {hub.path} cannot be loaded from the hub ({reason}); without a "
        f"connection give --data DIR with files DIR/{name}/SPLIT.jsonl"
    )
