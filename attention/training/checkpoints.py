"""Checkpoints of a run: orbax v1, written in the background, atomic, the last few kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import v1 as ocp

from attention.errors import InputError

PyTree = Any


class Checkpoints:
    """The checkpoints of one run, ``<directory>/<step>``; use it as a context manager.

    A checkpoint is a few named trees of arrays and a small JSON note.  Saves go on in the
    background from a copy of the arrays and appear under their name only once complete, so that a
    kill at any moment leaves the previous checkpoint as the latest.

    Args:
        directory: made if missing.
        keep: how many of the latest checkpoints stay.
        clean: remove what killed saves left behind; False while another process may be saving.
    """

    def __init__(self, directory: str | Path, keep: int = 2, clean: bool = True):
        path = Path(directory).resolve()
        for parent in (path, *path.parents):
            if parent.is_file():
                raise InputError(f"{parent} is a file, not a folder for checkpoints")
        self.directory = path
        latest: Any = ocp.training.preservation_policies.LatestN(keep)  # orbax's types disagree
        self._checkpointer = ocp.training.Checkpointer(
            str(path),
            preservation_policy=latest,
            cleanup_tmp_directories=clean,
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, trees: Mapping[str, PyTree], note: Any = None) -> None:
        """Starts saving ``trees`` as ``step``; first waits for a save that is under way."""
        self._checkpointer.save_checkpointables_async(
            step, dict(trees), force=True, custom_metadata={"note": snapshot(note)}
        )

    def restore(self, abstract: Mapping[str, PyTree]) -> tuple[dict[str, PyTree], Any]:
        """The latest checkpoint's trees, on the shardings of ``abstract``, and its note.

        Raises:
            InputError: no checkpoint, or one of trees with other paths, shapes or dtypes.
        """
        if self.latest is None:
            raise InputError(f"{self.directory} holds no checkpoint")
        try:
            metadata = self._checkpointer.checkpointables_metadata(self.latest)
        except Exception as error:  # orbax has no common error for files that are not its own
            raise InputError(f"{self.directory}/{self.latest} is not a checkpoint") from error
        self._require_same(metadata.metadata, abstract)
        note = metadata.custom_metadata
        note = note.get("note") if isinstance(note, dict) else None
        trees = self._checkpointer.load_checkpointables(
            self.latest, {name: _placed(tree) for name, tree in abstract.items()}
        )
        return trees, note

    def _require_same(self, saved: Mapping[str, PyTree], wanted: Mapping[str, PyTree]) -> None:
        # orbax itself would cast a dtype silently, and answer a wrong tree with pages of text
        found = _describe({name: saved.get(name) for name in wanted})
        asked = _describe(dict(wanted))
        for path in sorted(found.keys() | asked.keys()):
            if found.get(path) != asked.get(path):
                raise InputError(
                    f"{self.directory} belongs to another experiment: {path} is "
                    f"{found.get(path, 'absent')} there and {asked.get(path, 'absent')} here; "
                    "choose another directory"
                )

    def close(self) -> None:
        """Waits for the save under way."""
        self._checkpointer.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def save_once(path: str | Path, trees: Mapping[str, PyTree], note: Any = None) -> None:
    """Saves trees and note as one checkpoint at ``path`` and waits; replaces what is there."""
    ocp.save_checkpointables(
        str(Path(path).resolve()),
        dict(trees),
        overwrite=True,
        custom_metadata={"note": snapshot(note)},
    )


def load_params(directory: str | Path, abstract: PyTree) -> PyTree:
    """Parameters, and nothing else, of the latest checkpoint of the run in ``directory``.

    Args:
        directory: the run's directory, as given to ``fit``.
        abstract: the same tree of arrays or ``ShapeDtypeStruct``s, e.g. of ``jax.eval_shape``;
            where these have shardings, the result has them too.

    Raises:
        InputError: no checkpoint there, or parameters of another model.
    """
    folder = Path(directory) / "checkpoints"
    if not folder.is_dir():
        raise InputError(f"{directory} holds no checkpoints")
    with Checkpoints(folder, clean=False) as checkpoints:
        return checkpoints.restore({"params": abstract})[0]["params"]


def snapshot(note: Any) -> Any:
    """A copy of a JSON value; InputError if it is none."""
    try:
        return json.loads(json.dumps(note))
    except (TypeError, ValueError) as error:
        raise InputError(f"the data's state_dict() must be JSON: {error}") from error


def _describe(trees: PyTree) -> dict[str, str]:
    def describe(leaf: Any) -> str:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)  # what orbax writes of a random key
        return f"{leaf.dtype}{list(leaf.shape)}"

    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): describe(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(trees)
    }


def _placed(tree: PyTree) -> PyTree:
    default = SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or default
        ),
        tree,
    )
