"""A model of a finished search, checked and ready to be written in some format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attention.choices import resolve
from attention.errors import InputError
from attention.files import Record
from attention.transformer.huggingface import load_config
from tale_jax.formats.table import FORMATS
from tale_jax.models import searched_folder
from tale_jax.runs import FinishedRun, layer_list
from tale_jax.scoring import halves_left
from tale_jax.units import Dropped, count_layers, has_halves, units_of


@dataclasses.dataclass(frozen=True)
class Export:
    """A model to write.

    Attributes:
        run: the search that scored it.
        pick: how the model was chosen.
        measured: its accuracy on the search examples, and in ``test`` on the test split.
        format: name of a row of ``FORMATS``.
        model: where the searched checkpoint is: folder, hub id or ``demo``.
        folder: of that checkpoint.
        kept: the layers and half-layers that are left.
        name: ``USER/NAME`` on the hub, where it goes; empty: it stays here.
    """

    run: FinishedRun
    pick: str
    measured: Record
    format: str
    model: str
    folder: Path
    kept: Dropped
    name: str = ""

    @classmethod
    def of(
        cls,
        run: FinishedRun,
        pick: str,
        measured: Record,
        format: str = "huggingface",
        model: str | None = None,
    ) -> Export:
        """Check that a model can be written.

        Args:
            run: the search that scored it.
            pick: how the model was chosen.
            measured: its accuracy, with its ``dropped`` layers.
            format: name of a row of ``FORMATS``.
            model: where the searched checkpoint is now, if it moved.

        Raises:
            InputError: there is no such format, it cannot hold the model, or the checkpoint is not
                the one that was searched.
        """
        folder = searched_folder(run, model)
        config = load_config(folder)
        kept = units_of(halves_left(config, tuple(measured["dropped"])))
        others = " or --format ".join(name for name, row in FORMATS.items() if row.ours)
        halves = [unit for unit in kept if isinstance(unit, str)]
        ours = FORMATS.pick(format).ours
        if halves and not ours:
            raise InputError(
                f"only whole layers export to {format}, no half such as {halves[0]}: "
                f"give --format {others}"
            )
        if config.normalizer != "softmax" and not ours:
            raise InputError(
                f"only models with softmax export to {format}, and this one has "
                f"{config.normalizer}: give --format {others}"
            )
        return cls(run, pick, measured, format, model or run.settings["model"], folder, kept)

    @property
    def dropped(self) -> Dropped:
        """What the model goes without."""
        return tuple(self.measured["dropped"])

    @property
    def has_halves(self) -> bool:
        """Whether half of a layer is left anywhere."""
        return has_halves(self.kept)

    def __str__(self) -> str:
        """What is left of the model, in words."""
        return f"{count_layers(self.kept):g} layers ({layer_list(self.kept)} of the original)"

    def write(self, out: Path) -> None:
        """Write the model.

        Args:
            out: a folder or file that is new.

        Raises:
            InputError: something is there already, or it cannot be written.
        """
        resolve(FORMATS.pick(self.format).write)(self, out)
