"""Compile the steps of the table in docs/guides/pods.md, and write the table.

Command: ``python scripts/compile_table.py [--rows ROW,ROW]`` (an hour on 2 CPU cores: an 8B step
takes 150 to 230 processor seconds; it needs the extra ``tpu``, and no TPU)

Each row is a command of its own, in a process of its own.  What it finds is written to
``docs/results/data/compile/ROW.json``, and a row whose file is there is not compiled again.  The
table in the guide is then written anew, between two marks.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from attention.command_line import Commas, Result, run_script
from attention.errors import InputError
from attention.files import Record, read_json, write_json

HOME = Path(__file__).parents[1]
FOLDER = HOME / "docs" / "results" / "data" / "compile"
GUIDE = HOME / "docs" / "guides" / "pods.md"
MARKS = ("<!-- rows of scripts/compile_table.py -->\n", "<!-- end of the rows -->\n")
ROOMS = {"attn": "attention", "tale": "tale_jax", "icl": "icl"}
GIB = 2**30

COMMANDS = {
    "train-8b-v5e-256": "attn compile --model llama-3.1-8b --target v5e-256",
    "train-8b-v5e-256-fsdp": "attn compile --model llama-3.1-8b --target v5e-256 --mesh fsdp=256",
    "train-8b-v5p-64": "attn compile --model llama-3.1-8b --target v5p-64",
    "train-8b-v5e-16": "attn compile --model llama-3.1-8b --target v5e-16",
    "train-8b-v5p-8": "attn compile --model llama-3.1-8b --target v5p-8",
    "train-qwen-7b-v5e-256": "attn compile --model qwen2.5-7b --target v5e-256",
    "train-70b-v5e-256": "attn compile --model llama-3.1-70b --target v5e-256",
    "train-70b-v5p-64": "attn compile --model llama-3.1-70b --target v5p-64",
    "train-gpt2-v5e-8": "attn compile --model gpt2 --target v5e-8 --batch 16 --length 1024",
    "train-ssa-v5e-8": (
        "attn compile --model ssa-114m --normalizer ssa --target v5e-8 --batch 16 --length 1024"
    ),
    "train-12l8ah-v5e-8": "icl compile --preset linear-12l8ah --target v5e-8",
    "train-8b-h200-8": "attn compile --model llama-3.1-8b --target h200-8",
    "train-gpt2-h200": "attn compile --model gpt2 --target h200 --batch 4 --length 1024",
    "train-ssa-h200": (
        "attn compile --model ssa-114m --normalizer ssa --target h200 --batch 4 --length 1024"
    ),
    "train-12l8ah-h200": "icl compile --preset linear-12l8ah --target h200",
    "search-8b-v5e-4": "tale compile --model llama-3.1-8b --target v5e-4",
    "search-70b-v5e-16": "tale compile --model llama-3.1-70b --target v5e-16",
    "decode-8b-v5e-4": "attn compile --model llama-3.1-8b --target v5e-4 --step decode --batch 8",
    "decode-70b-v5e-16": (
        "attn compile --model llama-3.1-70b --target v5e-16 --step decode --batch 8"
    ),
    "decode-70b-v5e-32": (
        "attn compile --model llama-3.1-70b --target v5e-32 --step decode --batch 8"
    ),
}
"""The rows, by name; docs/guides/pods.md says why these."""


def compile_row(name: str) -> Record:
    """Compile a row, or read what was found before.

    Raises:
        InputError: the command does not run; a step that does not fit is a finding.
    """
    file = FOLDER / f"{name}.json"
    if file.exists():
        return read_json(file)
    room, *words = shlex.split(COMMANDS[name])
    code = f"import sys; from {ROOMS[room]}.cli import main; main(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", code, *words, "--json"], capture_output=True, text=True
    )
    if ran.returncode == 0:
        found = json.loads(ran.stdout.strip().splitlines()[-1])
    elif "does not fit" in ran.stderr:
        found = {"fits": False, "verdict": ran.stderr.strip().splitlines()[-1]}
    else:
        raise InputError(f"{name}: {ran.stderr.strip()[-300:]}")
    row = {"command": COMMANDS[name], **found}
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(file, row)
    return row


def cells(row: Record) -> list[str]:
    """A row of the table."""
    command = f"`{row['command']}`"
    if not row["fits"]:
        missing = row["verdict"].partition("takes ")[2].partition(",")[0]
        return [command, f"does not fit: {missing}", "", "", "", "", "", ""]
    memory, times, layout = row["memory"], row["roofline"], row["layout"]
    parts = (memory[name] / GIB for name in ("arguments", "temporaries", "outputs", "program"))
    held = " + ".join(f"{size:.2f}" for size in parts)
    whole = f"{memory['total'] / GIB:.2f} of {memory['available'] / GIB:.2f}"
    messages = "; ".join(
        f"{c['kind']} {c['count']} ({c['hidden']} hidden), {c['bytes'] / 1e9:.3g} GB"
        for c in row["collectives"]
    )
    milliseconds = [f"{1e3 * times[name]:.3g}" for name in ("serial", "overlapped")]
    share = f"{times['mfu']:.0%}" if row["model_flops"] else ""
    return [
        command, str(layout["mesh"]), f"{whole} ({held})", f"{row['flops']:.3g}",
        messages or "none", " / ".join(milliseconds), str(row["limit"]), share,
    ]  # fmt: skip


def table() -> str:
    """All rows that were compiled so far, as Markdown."""
    head = [
        "command", "mesh", "GiB of a chip (arguments + temporaries + outputs + program)",
        "operations", "collectives of a chip", "ms, serial / overlapped", "limit", "MFU at most",
    ]  # fmt: skip
    files = (FOLDER / f"{name}.json" for name in COMMANDS)
    lines = [head, ["---"] * len(head), *(cells(read_json(f)) for f in files if f.exists())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_guide() -> None:
    """Put the table into the guide."""
    text = GUIDE.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    GUIDE.write_text(f"{before}{MARKS[0]}{table()}{MARKS[1]}{after}")


def main(rows: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ()) -> Result:
    """Compile rows of the table, and write it.

    Args:
        rows: names of rows; by default all of them
    """
    if unknown := {*rows} - COMMANDS.keys():
        raise InputError(f"no row {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    for name in rows or COMMANDS:
        row = compile_row(name)
        print(f"{name}: {'fits' if row['fits'] else row['verdict']}", flush=True)
        write_guide()
    return Result({"rows": len(list(FOLDER.glob("*.json")))}, table())


if __name__ == "__main__":
    run_script(main)
