"""A searched model as a shorter checkpoint: ``from tale_jax import export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from attention.errors import InputError
from attention.transformer import keep_layers, load_pretrained, save_pretrained
from tale_jax import __version__
from tale_jax.models import fingerprint, model_folder
from tale_jax.runs import FinishedRun, load_run
from tale_jax.significance import PICKS, layer_list, percent

Pick = Literal["baseline", "best", "bsba"]


def export(
    run: str | Path, pick: Pick, out: str | Path, *, model: str | None = None
) -> dict[str, Any]:
    """Write the model that a search picked as a shorter checkpoint, which transformers loads.

    Args:
        run: directory of a finished search.
        pick: ``best``, ``bsba`` or ``baseline``.
        out: folder to make.
        model: where the searched checkpoint is now, if it moved; it must be the same one.

    Returns:
        ``{"out", "dropped", "kept"}``.

    Raises:
        InputError: no finished run, another checkpoint, or a folder that is not empty.
    """
    if pick not in PICKS:
        raise InputError(f"unknown pick {pick!r}; there are {', '.join(PICKS)}")
    found = load_run(run)
    name = model or found.settings["model"]
    folder = model_folder(name, found.settings["revision"])
    if fingerprint(folder) != found.settings["fingerprint"]:
        raise InputError(f"{name} is not the checkpoint that {run} searched; give it by --model")
    dropped = found.dropped(pick)
    config, params = load_pretrained(folder, None)
    kept = [i for i in range(config.num_hidden_layers) if i not in dropped]
    readme = _provenance(found, pick, kept)
    shorter = keep_layers(params, kept)
    save_pretrained(out, config.keep_layers(kept), shorter, source=folder, readme=readme)
    return {"out": str(out), "dropped": list(dropped), "kept": kept}


def _provenance(run: FinishedRun, pick: str, kept: Sequence[int]) -> str:
    """README.md of an exported checkpoint."""
    summary, settings = run.summary, run.settings
    full, chosen = summary["baseline"], summary[pick]
    lines = [
        f"# {Path(settings['model']).name} without layers {layer_list(chosen['dropped'])}",
        "",
        f"Made by tale-jax {__version__}: greedy layer elimination for a task, without retraining "
        "(TELL-TALE, arXiv 2510.22767).",
        "",
        f"- Model: `{settings['model']}` (revision {settings['revision'] or 'unspecified'}, "
        f"fingerprint {settings['fingerprint']}), {summary['num_layers']} layers",
        f"- Layers dropped (0-based): {layer_list(chosen['dropped'])}",
        f"- Layers kept, in order: {layer_list(kept)}",
        f"- Picked as: {pick}",
        f"- Task: `{settings['task']}`, {summary['examples']} examples, protocol "
        f"{summary['protocol']}, {settings['shots']} shots",
        f"- Run: `{run.directory.name}`, epsilon {summary['epsilon']}, floor {summary['floor']}",
        f"- Accuracy on the examples searched on: {percent(chosen)} "
        f"(full model {percent(full)}); optimistic, for the layers were chosen on them",
    ]
    if chosen["test"] is not None:
        lines.append(
            f"- Accuracy on held-out examples: {percent(chosen['test'])} "
            f"(full model {percent(full['test'])})"
        )
    return "\n".join(lines) + "\n"
