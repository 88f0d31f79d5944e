"""``tale export``: a model of a search as a checkpoint, a GGUF file, a recipe or a list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import OneOf, Result, command
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

    Returns:
        ``out``, and the layers ``dropped`` and ``kept``.

    Raises:
        InputError: the search has not finished, the checkpoint is another one, there is something
            at ``out`` already, or the format cannot hold half-layers and there are some.
    """
    found = runs.load_run(run)
    chosen = formats.Export.of(found, pick, found.summary[pick], format, model)
    if out is not None:
        chosen.write(out)
    values = {"out": out, "dropped": list(chosen.dropped), "kept": list(chosen.kept)}
    return Result(values, f"{'not written' if out is None else out}: {chosen}")
