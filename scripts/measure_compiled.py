"""Run the H200 rows of the compile table on a GPU, and compare memory and time with the table.

Command: ``python scripts/measure_compiled.py [--rows ROW,ROW] [--steps N]`` (three minutes on one
H200, most of it compilation; it needs the extra ``cuda`` or ``cuda12``)

Each row of ``scripts/compile_table.py`` for as many GPUs as are here is made by the function that
compiles it ahead of time, and is run here: first once, then ``--steps`` times, of which the median
counts.  Parameters are small random numbers and tokens are zeros.  The memory measured is the most
that was in use, of the row's process; so each row runs in a process of its own.  ``--tiny`` tries
the script with one small model, also on a CPU.  The last line is JSON.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import time
import zlib
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from compile_table import COMMANDS, FOLDER

from attention import compilation
from attention.command_line import Commas, Result, run_script
from attention.commands.compile import model_config
from attention.errors import InputError
from attention.files import Record, read_json
from attention.terminal import plain_table
from icl import training

GIB = 2**30
TINY = (
    "attn compile --model gpt2 --target h200 --batch 1 --length 32 --attention chunked "
    "--dtype float32"
)
ROWS = {name: words for name, words in COMMANDS.items() if "--target h200" in words}


def step_of(words: str, devices: list[Any]) -> compilation.Step:
    """The step of a row, on devices that are here.

    Args:
        words: the command that compiles it.
        devices: as many as the target has.
    """
    program, _, *rest = shlex.split(words)
    given = dict(zip((word.lstrip("-") for word in rest[::2]), rest[1::2], strict=True))
    target = compilation.find_target(given.pop("target"))
    how: dict[str, Any] = {k: int(v) if v.isdecimal() else v for k, v in given.items()}
    if program == "icl":
        experiment = training.Experiment(**how)
        return training.step_to_compile(experiment, training.TrainingLayout(), devices)
    config = model_config(how.pop("model"), how.pop("normalizer", None))
    return compilation.step_for(target, devices, config, **how)


def filled(argument: Any) -> Any:
    """Arrays for an abstract argument of a step: small parameters, and otherwise zeros or a key."""

    def array(path: Any, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.device_put(jax.random.key(0), leaf.sharding)

        def make() -> Any:
            name = jax.tree_util.keystr(path)
            if name.startswith(".params"):
                key = jax.random.key(zlib.crc32(name.encode()))
                return 0.02 * jax.random.normal(key, leaf.shape, leaf.dtype)
            return jnp.zeros(leaf.shape, leaf.dtype)

        return jax.jit(make, out_shardings=leaf.sharding)()

    return jax.tree_util.tree_map_with_path(array, argument)


def measured(step: compilation.Step, steps: int) -> Record:
    """Seconds of a training step, and the most bytes in use on a device.

    Args:
        step: its first argument is the state, which it gives back first.
        steps: how often it is run, after the first.
    """
    state, *rest = map(filled, step.arguments)
    compiled = step.function.lower(state, *rest).compile()
    planned = compiled.memory_analysis()
    state, metrics = compiled(state, *rest)
    times = []
    for _ in range(steps):
        jax.block_until_ready(state)
        begun = time.perf_counter()
        state, metrics = compiled(state, *rest)
        jax.block_until_ready(state)
        times.append(time.perf_counter() - begun)
    if not bool(metrics["finite"]):
        raise InputError(f"{step.name}: the step is not finite")
    stats = jax.local_devices()[0].memory_stats() or {}
    whole = planned.argument_size_in_bytes + planned.temp_size_in_bytes
    whole += planned.output_size_in_bytes - planned.alias_size_in_bytes
    return {
        "seconds": statistics.median(times),
        "bytes": stats.get("peak_bytes_in_use", 0),
        "planned_bytes_here": whole,
        "device": jax.local_devices()[0].device_kind,
    }


def in_own_process(name: str, words: str, steps: int) -> Record:
    """What one row measures, and what the table says of it."""
    code = "import sys; from measure_compiled import one; one(*sys.argv[1:])"
    command = [sys.executable, "-c", code, words, str(steps)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=sys.path[0] or None)
    if ran.returncode:
        raise InputError(f"{name}: {ran.stderr.strip()[-300:]}")
    found: Record = {"row": name, **json.loads(ran.stdout.strip().splitlines()[-1])}
    file = FOLDER / f"{name}.json"
    if file.exists() and (table := read_json(file))["fits"]:
        found["planned_bytes"] = table["memory"]["total"]
        found |= {f"{kind}_seconds": table["roofline"][kind] for kind in ("overlapped", "serial")}
        useful = table["roofline"]["mfu"] * table["roofline"]["overlapped"]
        found["mfu"] = useful / found["seconds"]
    return found


def one(words: str, steps: str) -> None:
    """Measure a row in this process, and print it as JSON."""
    count = compilation.find_target(words.partition("--target ")[2].split()[0]).count
    print(json.dumps(measured(step_of(words, jax.devices()[:count]), int(steps))))


def main(
    rows: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    steps: int = 20,
    *,
    tiny: bool = False,
) -> Result:
    """Measure rows of the compile table on the GPUs at hand.

    Args:
        rows: names of rows; by default those for as many GPUs as are here
        steps: runs of a step, after the first
        tiny: try the script with one small model on any device
    """
    if unknown := {*rows} - ROWS.keys():
        raise InputError(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    here = len(jax.devices())
    sizes = {name: compilation.find_target(w.partition("--target ")[2].split()[0]).count
             for name, w in ROWS.items()}  # fmt: skip
    chosen = {name: ROWS[name] for name in rows or ROWS if sizes[name] <= here}
    if tiny:
        chosen = {"tiny": TINY}
    elif jax.default_backend() != "gpu":
        raise InputError("no GPU is here; --tiny tries the script without one")
    found = []
    for name, words in chosen.items():
        found.append(in_own_process(name, words, steps))
        print(json.dumps(found[-1]), flush=True)
    return Result({"rows": found}, plain_table(*shown(found)))


def shown(found: list[Record]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the table."""
    columns = ["row", "GiB planned / in use", "ms at least / measured", "MFU"]
    lines = []
    for row in found:
        planned = row.get("planned_bytes", row["planned_bytes_here"]) / GIB
        least = f"{1e3 * row['overlapped_seconds']:.1f}" if "overlapped_seconds" in row else "?"
        mfu = f"{row['mfu']:.0%}" if "mfu" in row else ""
        memory, times = f"{planned:.2f} / {row['bytes'] / GIB:.2f}", f"{1e3 * row['seconds']:.1f}"
        lines.append([row["row"], memory, f"{least} / {times}", mfu])
    return columns, lines


if __name__ == "__main__":
    run_script(main)
