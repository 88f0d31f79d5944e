"""Checkpoints of a run: orbax v1, written in the background, atomic; some of them are kept."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from attention import files, processes
from attention.errors import InputError, is_disk_full
from attention.files import check_folder, read_json, write_json
from attention.limits import no_pages

_ORBAX = logging.getLogger("absl")
SETTLE = 0.5  # seconds for writes that are under way when another one has failed
PATTERN = {*"[]\\"}  # Orbax reads a path as a pattern, and tensorstore takes \\ for /


class Checkpoints:
    """The checkpoints of one run, ``<directory>/<step>``; use it as a context manager.

    A checkpoint has a few named trees of arrays and a small JSON note.  A save copies the arrays
    and goes on in the background.  The checkpoint gets its name when it is complete.  A kill at any
    moment therefore leaves the previous checkpoint as the latest.

    Args:
        directory: made if it is missing.
        keep: how many of the latest checkpoints stay.
        keep_seconds: one checkpoint of every so many seconds stays too; None: none.
        clean: whether to remove what killed saves left; not while another process may be saving.

    Raises:
        InputError: the directory is a file, or lies below one.
    """

    def __init__(
        self,
        directory: str | Path,
        keep: int = 2,
        clean: bool = True,
        keep_seconds: int | None = None,
    ):
        self.directory = _plain(Path(directory))
        check_folder(self.directory)
        self._checked = False
        _ORBAX.addFilter(_is_new)
        policies: Any = ocp.training.preservation_policies  # orbax's types disagree
        kept = [policies.LatestN(keep)]
        if keep_seconds is not None:
            kept.append(policies.EveryNSeconds(keep_seconds))
        self._checkpointer = ocp.training.Checkpointer(
            str(self.directory),
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=clean,
        )

    @property
    def latest(self) -> int | None:
        """The step of the newest complete checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, trees: Mapping[str, PyTree], note: Any = None) -> None:
        """Start to save ``trees`` as ``step``; a save under way is waited for first.

        The first checkpoint is waited for, and what it holds is read back.

        Raises:
            InputError: the note is no JSON value, or the checkpoint does not hold the trees.
        """
        saved: Any = self._checkpointer.save_checkpointables_async(
            step, dict(trees), force=True, custom_metadata={"note": snapshot(note)}
        )
        if not self._checked:
            with _settled():
                saved.result()
            _require_whole(
                self.directory / str(step), self._checkpointer.checkpointables_metadata(step), trees
            )
            self._checked = True

    def restore(self, abstract: Mapping[str, PyTree]) -> tuple[dict[str, PyTree], Any]:
        """Read the latest checkpoint.

        Args:
            abstract: arrays or ``ShapeDtypeStruct``s; the result has their shardings.

        Returns:
            The trees and the note.

        Raises:
            InputError: there is no checkpoint, or its trees have other paths, shapes or dtypes.
        """
        if self.latest is None:
            raise InputError(f"{self.directory} holds no checkpoint")
        try:
            metadata = self._checkpointer.checkpointables_metadata(self.latest)
        except Exception as error:  # orbax raises many kinds for files that are not its own
            raise InputError(f"{self.directory}/{self.latest} is not a checkpoint") from error
        self._require_same(metadata.metadata, abstract)
        note = metadata.custom_metadata
        trees = self._checkpointer.load_checkpointables(
            self.latest, {name: _placed(tree) for name, tree in abstract.items()}
        )
        return trees, note.get("note") if isinstance(note, dict) else None

    def _require_same(self, saved: Mapping[str, PyTree], wanted: Mapping[str, PyTree]) -> None:
        # Orbax would cast a dtype without a word, and answer a wrong tree with pages of text.
        found = _describe({name: saved.get(name) for name in wanted})
        asked = _describe(dict(wanted))
        for path in sorted(found.keys() | asked.keys()):
            if found.get(path) != asked.get(path):
                raise InputError(
                    f"{self.directory} belongs to another experiment: {path} is "
                    f"{found.get(path, 'absent')} there and {asked.get(path, 'absent')} here; "
                    "choose another directory"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with _settled():
            self._checkpointer.close()  # waits for the save under way


def save_once(path: str | Path, trees: Mapping[str, PyTree]) -> None:
    """Save trees as one checkpoint at ``path``, and wait; what is there is replaced.

    Raises:
        InputError: the path is not possible, or the checkpoint does not hold the trees.
    """
    folder = _plain(Path(path))
    _ORBAX.addFilter(_is_new)
    with _settled():
        ocp.save_checkpointables(str(folder), dict(trees), overwrite=True)
    _require_whole(folder, ocp.checkpointables_metadata(str(folder)), trees)


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """When the disk is full, let other writes end; the pages that they print are dropped."""
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            with no_pages():
                time.sleep(SETTLE)
        raise


def _is_new(record: logging.LogRecord) -> bool:
    """Whether a record tells what no error does.

    Each thread of Orbax prints the traceback of its error, some of them late; the error itself
    arrives in this thread as well.
    """
    return not (record.exc_info and record.getMessage().startswith("[process="))


class Best:
    """The parameters with the lowest value so far, ``<directory>/best/<step>``, for ``fit``.

    They are complete before ``best.json`` names them, and those of before go last.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: Path):
        self._folder, self._note = directory / "best", directory / "best.json"
        note = read_json(self._note) if self._note.exists() else {}
        files.check_shape(note, dict[str, float], self._note)
        self._value = note.get("value", math.inf)

    def see(self, step: int, value: float | None, params: PyTree) -> None:
        """Save the parameters if the value is the lowest; None is no value."""
        if value is None or not value < self._value:
            return
        self._value = value
        save_once(self._folder / str(step), {"params": params})
        if processes.is_main():
            write_json(self._note, {"step": step, "value": value})
            for other in self._folder.iterdir():
                if other.name != str(step):
                    shutil.rmtree(other)
        processes.wait_for_all("best")


def _plain(path: Path) -> Path:
    """The path in full, without letters that Orbax does not take as they are.

    Raises:
        InputError: it has such letters; a checkpoint below it would be empty.
    """
    path = path.resolve()
    if found := sorted(PATTERN & {*str(path)}):
        raise InputError(
            f"{path}: checkpoints cannot be saved below a path with {' '.join(found)}: "
            "choose another --out"
        )
    return path


def _require_whole(folder: Path, metadata: Any, trees: Mapping[str, PyTree]) -> None:
    """Raise InputError unless a checkpoint has each array that was saved."""
    saved = {name: metadata.metadata.get(name) for name in trees}
    if _describe(saved) != _describe(dict(trees)):
        raise InputError(
            f"{folder} does not hold what was saved: is the disk full, or the folder shared? "
            "choose another --out"
        )


def load_params(directory: str | Path, abstract: PyTree, *, best: bool = False) -> PyTree:
    """Load the parameters, and nothing else, of the latest checkpoint of a run.

    Args:
        directory: the run's directory, as given to ``fit``.
        abstract: the same tree of arrays or ``ShapeDtypeStruct``s, such as ``jax.eval_shape``
            gives; where these have shardings, the result has them too.
        best: load those that ``fit(…, keep_best=True)`` kept in place of the latest.

    Raises:
        InputError: there is no checkpoint, or it is of another model.
    """
    folder = Path(directory) / ("best" if best else "checkpoints")
    if not folder.is_dir():
        raise InputError(f"{directory} holds no {'best checkpoint' if best else 'checkpoints'}")
    with Checkpoints(folder, clean=False) as checkpoints:
        return checkpoints.restore({"params": abstract})[0]["params"]


def snapshot(note: Any) -> Any:
    """Copy a JSON value.

    Raises:
        InputError: it is no JSON value.
    """
    try:
        return json.loads(json.dumps(note))
    except (TypeError, ValueError) as error:
        raise InputError(f"the data's state_dict() must be JSON: {error}") from error


def _describe(trees: PyTree) -> dict[str, str]:
    """Dtype and shape of every array, by its path."""

    def describe(leaf: jax.Array) -> str:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)  # what orbax writes for a random key
        return f"{leaf.dtype}{list(leaf.shape)}"

    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): describe(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(trees)
    }


def _placed(tree: PyTree) -> PyTree:
    """The tree with the sharding of each array; the first device where there is none."""
    default = SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or default
        ),
        tree,
    )
