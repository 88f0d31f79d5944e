"""Speed and memory of what a search found: ``tale benchmark``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from attention.errors import InputError
from tale_jax.analysis import USUAL_WORK, Workload, measure_models, write_measurements
from tale_jax.models import Model
from tale_jax.opening import open_model, reopen_model
from tale_jax.options import Options
from tale_jax.runs import PICKS, Terminal, layer_list, load_run
from tale_jax.units import Dropped, Unit, check_layers


def benchmark(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    drop: Sequence[Unit] = (),
    batches: Sequence[int] = (1,),
    work: Workload = USUAL_WORK,
    dtype: Any = None,
    out: str | Path | None = None,
    quiet: bool = True,
) -> list[dict[str, Any]]:
    """First-token latency, decoding speed and memory of baseline, BEST and BSBA.

    Each is a physically shorter model with a KV cache; prompts are random tokens.

    Args:
        model: local folder, hub id or ``demo``; with a run, where its checkpoint is now.
        run: directory of a finished search.
        drop: layers to leave out, in place of a run.
        batches: prompts at a time; each is measured.
        work: lengths and rounds.
        dtype: of parameters and products; None: that of the run, or float32.
        out: CSV file to write.
        quiet: print nothing.

    Returns:
        The rows of the CSV file; see ``analysis.latency.COLUMNS``.  Ratios below 1 are faster
        (times) or smaller (memory), but ``decode_ratio`` is of speeds.

    Raises:
        InputError: for everything that the user can mend.
    """
    opened, picks = _models(model, run, drop, dtype)
    config = opened.config
    terminal, rows = Terminal(quiet), []
    for batch in batches:
        asked = dataclasses.replace(work, batch=batch)
        asked.check(config.max_position_embeddings)  # before anything is measured
    for batch in batches:
        asked = dataclasses.replace(work, batch=batch)
        measured = measure_models(config, opened.params, list(picks.values()), asked)
        rows += [{"model": name, **row} for name, row in zip(picks, measured, strict=True)]
        terminal.table(
            f"batch {batch}: {work.prompt_length} prompt tokens, {work.new_tokens} new ones, "
            f"{config.dtype} on {jax.devices()[0].device_kind}",
            ["", "dropped", "first token", "decoding", "all", "memory"],
            [_line(row) for row in rows if row["batch"] == batch],
        )
    if out is not None:
        write_measurements(Path(out), rows)
        terminal.message(f"written: {out}")
    return rows


def _models(
    model: str | None, run: str | Path | None, drop: Sequence[Unit], dtype: Any
) -> tuple[Model, dict[str, Dropped]]:
    """The model, and by name the layers that each variant goes without, the baseline first."""
    if run is None:
        if model is None or not drop:
            raise InputError("give --run, or both --model and --drop")
        opened = open_model(model, Options(dtype=dtype or "float32"))
        layers = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
        return opened, {"baseline": (), "dropped": layers}
    if drop:
        raise InputError("a run says which layers to drop: leave out --drop")
    found = load_run(run)
    if dtype is not None:
        found.summary["options"]["dtype"] = dtype
    picks = {name if name == "baseline" else name.upper(): found.dropped(name) for name in PICKS}
    return reopen_model(found, model), picks


def _line(row: dict[str, Any]) -> list[str]:
    return [
        row["model"],
        layer_list(row["dropped"]),
        f"{row['first_token_ms']:.2f} ms ({row['first_token_ratio']:.2f}x)",
        f"{row['decode_tokens_s']:.0f}/s ({row['decode_ratio']:.2f}x)",
        f"{row['total_ms']:.1f} ms ({row['total_ratio']:.2f}x)",
        f"{row['program_mib']:.1f} MiB ({row['memory_ratio']:.2f}x)",
    ]
