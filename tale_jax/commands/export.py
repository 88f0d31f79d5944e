"""``tale export``: a model of a search as a checkpoint, a GGUF file, a recipe or a list."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import OneOf, Result, Word, command
from tale_jax import formats, runs
from tale_jax.formats import FORMATS


@command(renamed={"form": "--format NAME"})
def export(
    run: Path,
    pick: Literal["best", "bsba", "baseline"] = "best",
    out: Path | None = None,
    *,
    format: Annotated[str, OneOf(FORMATS)] = "huggingface",
    model: str | None = None,
    push: Annotated[str | None, Word(metavar="USER/NAME")] = None,
    private: bool = False,
) -> Result:
    """Write the model that a search picked, as a checkpoint that is shorter or in another format.

    huggingface is a shorter checkpoint, which transformers loads.  tale is one that may have
    half-layers, which every command of this library loads.  gguf is one file, matrices as float16,
    and gguf-f32 the same as float32; neither is quantised.  mergekit is a YAML recipe, and list the
    dropped layers between commas.

    Args:
        run: directory of a finished search
        pick: best: most accurate; bsba: shortest with at least baseline accuracy
        out: folder or file to make; by default nothing is written, and the model only described
        format: what to write
        model: where the searched checkpoint is now, if it moved
        push: upload it, with a model card, to this repository of the hub
        private: make a new repository private

    Returns:
        ``out``, the layers ``dropped`` and ``kept``, and ``url``, where it was uploaded.

    Raises:
        InputError: the search has not finished, the checkpoint is another one, there is something
            at ``out`` already, or the format cannot hold half-layers and there are some.
    """
    found = runs.load_run(run)
    if push is not None:
        formats.check_push(push, format)
    chosen = formats.Export.of(found, pick, found.summary[pick], format, model)
    chosen = dataclasses.replace(chosen, name=push or "")
    if out is not None:
        chosen.write(out)
    url = None if push is None else formats.push(chosen, push, out, private)
    values = {"out": out, "dropped": list(chosen.dropped), "kept": list(chosen.kept), "url": url}
    where = url or ("not written" if out is None else out)
    return Result(values, f"{where}: {chosen}")
