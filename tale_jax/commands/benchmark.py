"""``tale benchmark``: speed and memory of what a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attention import files
from attention.command_line import Between, Commas, Result, command
from attention.files import Record
from attention.options import Display, Weights
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening, runs
from tale_jax.options import Dtype, Layers, Mesh, Workload

COLUMNS = ["", "dropped", "first token", "decoding", "all", "memory"]


@command
def benchmark(
    *,
    run: Path | None = None,
    model: str | None = None,
    drop: Layers = (),
    batch: Annotated[tuple[int, ...], Commas(metavar="1,8"), Between(ge=1)] = (1,),
    work: Workload = Workload(),
    mesh: Mesh = "",
    dtype: Dtype | None = None,
    weights: Weights | None = None,
    out: Path | None = None,
    display: Display = Display(),
) -> Result:
    """Time baseline, BEST and BSBA as shorter models with a KV cache.

    Measures the time to the first token, the speed of decoding after it, and memory.  Prompts are
    random tokens.  With few new tokens the speed of decoding cannot be told from noise: a dash
    stands for it.

    Args:
        run: directory of a finished search
        model: local folder, hub id, or "demo"; with --run, where its checkpoint is now
        drop: layers to leave out, 0-based, or halves such as 3.mlp, in place of a run
        batch: prompts at a time, one measurement for each number
        mesh: devices along each axis, such as data=4,model=2: prompts are divided over data, the
            parameters over model; by default one device
        dtype: type of the parameters and products; by default that of the run, or float32
        weights: int8 holds the linear layers in 8 bits; by default that of the run, or exact
        out: CSV file to write

    Returns:
        ``rows``: for each model and batch what :func:`tale_jax.analysis.measure_models` gives.

    Raises:
        InputError: there is neither a run nor both a model and layers, the model has too few
            positions, or a batch cannot be divided over the devices.
    """
    opened, variants = opening.open_variants(run, model, drop, dtype, weights, mesh)
    terminal, rows, shown = Terminal(display.quiet), [], []
    for size in batch:  # before anything is measured
        analysis.check_workload(opened, work, size)
    with terminal.steps("models timed", len(batch)) as advance:
        for size in batch:
            drops = list(variants.values())
            measured = analysis.measure_models(opened, drops, work, size)
            named = [{"model": n, **row} for n, row in zip(variants, measured, strict=True)]
            shown += [
                f"batch {size}: {work.prompt_length} prompt tokens, {work.new_tokens} new ones, "
                f"{opened.config.dtype} on {analysis.devices_of(opened)}",
                plain_table(COLUMNS, [_line(row) for row in named]),
            ]
            rows += named
            advance()
    if out is not None:
        files.write_table(out, rows, analysis.LATENCY_COLUMNS)
        shown.append(f"written: {out}")
    return Result({"rows": rows}, *shown)


def _line(row: Record) -> list[str]:
    speed, ratio = row["decode_tokens_s"], row["decode_ratio"]
    return [
        row["model"],
        runs.layer_list(row["dropped"]),
        f"{row['first_token_ms']:.2f} ms ({row['first_token_ratio']:.2f}x)",
        "–" if speed is None else f"{speed:.0f}/s{f' ({ratio:.2f}x)' if ratio else ''}",
        f"{row['total_ms']:.1f} ms ({row['total_ratio']:.2f}x)",
        f"{row['program_mib']:.1f} MiB ({row['memory_ratio']:.2f}x)",
    ]
