"""Tries all mutants: ``python -m mutants [--folder DIR] [--modules NAME,…]``; it resumes.

A mutant is a module with one change: another operator, another number, a condition turned round.
Its own tests must fail.  Those that they let live are printed; ``equivalent.toml`` lists those that
compute the same, each with its reason.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import os
import sys
import time
import tomllib
from pathlib import Path

from mutants.changes import Mutant, mutants_of
from mutants.modules import MODULES, SHARE
from mutants.trying import start_worker, try_one, undisturbed

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


def main() -> None:
    """Try what has not been tried, and print the shares; code 1 if one is too small."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/mutants"))
    parser.add_argument("--modules", help="names between commas; by default all")
    parser.add_argument("--most", type=int, help="of each module, evenly spread; by default all")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    names = list(MODULES) if given.modules is None else given.modules.split(",")
    file = given.folder / "results.jsonl"
    known = {line["key"]: line for line in _lines(file)}
    reasons = {each["mutant"] for each in tomllib.loads(EQUIVALENT.read_text())["equivalent"]}
    context = multiprocessing.get_context("spawn")
    with (
        file.open("a") as results,
        concurrent.futures.ProcessPoolExecutor(given.workers, context, start_worker) as pool,
    ):
        for name in names:
            chosen = _spread(mutants_of(name), given.most)
            todo = [m for m in chosen if m.key not in known and m.text not in reasons]
            if not todo:
                continue
            start, seconds = time.monotonic(), pool.submit(undisturbed, name).result()
            for found in pool.map(try_one, todo, [seconds] * len(todo)):
                results.write(json.dumps(found) + "\n")
                results.flush()
                known[found["key"]] = found
            print(f"{name}: {len(todo)} in {time.monotonic() - start:.0f} s", file=sys.stderr)
    enough = [
        _summary(name, _spread(mutants_of(name), given.most), known, reasons) for name in names
    ]
    sys.exit(0 if all(enough) else 1)


def _spread(mutants: list[Mutant], most: int | None) -> list[Mutant]:
    count = min(most or len(mutants), len(mutants))
    return [mutants[i * len(mutants) // count] for i in range(count)]


def _lines(file: Path) -> list[dict[str, str]]:
    lines = file.read_text().splitlines() if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _summary(
    name: str, mutants: list[Mutant], known: dict[str, dict[str, str]], reasons: set[str]
) -> bool:
    """Print what became of the mutants of a module; whether enough of them are caught."""
    counts: collections.Counter[str] = collections.Counter()
    for mutant in mutants:
        end = "equivalent" if mutant.text in reasons else known[mutant.key]["end"]
        counts[end] += 1
        if end == "lived":
            print(f"LIVED {mutant.text}")
    tried = counts["caught"] + counts["lived"]
    share = counts["caught"] / max(1, tried)
    print(f"{name:16} {share:6.1%} of {tried} caught  {dict(counts)}")
    return share >= SHARE


if __name__ == "__main__":
    main()
