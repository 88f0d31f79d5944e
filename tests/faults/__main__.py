"""Tries all cases: ``python -m faults [--folder DIR] [--group NAME] [--every N]``; it resumes.

The folder has the world and ``results.jsonl``, one line for each case.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path

from faults.cases import GROUPS, Case, every
from faults.trying import environment, start_worker, try_one
from faults.world import make


def _left(folder: Path, cases: list[Case]) -> list[str]:
    file = folder / "results.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    known = {json.loads(line)["case"] for line in lines if line.endswith("}")}
    return [case.key for case in cases if case.key not in known]


def main() -> None:
    """Try what has not been tried, and print the counts."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/faults"))
    parser.add_argument("--group", help="groups of faults, between commas")
    parser.add_argument("--every", type=int, default=1, help="only each N-th case")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    folder, start = given.folder.resolve(), time.monotonic()
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, environment, (folder,)) as pool:
        pool.submit(make, folder / "world").result()  # it computes; what forks later must not
    groups = GROUPS if given.group is None else given.group.split(",")
    cases = [case for case in every(folder / "world") if case.group in groups]
    left = _left(folder, cases[:: given.every])
    random.Random(0).shuffle(left)  # a part of them is a part of every kind
    print(f"{len(cases)} cases, {len(left)} of them now", file=sys.stderr)
    with (
        (folder / "results.jsonl").open("a") as results,
        concurrent.futures.ProcessPoolExecutor(
            given.workers, context, start_worker, (folder,)
        ) as pool,
    ):
        for number, found in enumerate(pool.map(try_one, left), start=1):
            results.write(json.dumps(found) + "\n")
            results.flush()
            if "fault" in found:
                print(f"FAULT {found['case']}: {found['fault']}", file=sys.stderr)
            if number % 100 == 0:
                took = time.monotonic() - start
                print(f"{number} of {len(left)}, {took:.0f} s", file=sys.stderr)
    _summary(folder)


def _summary(folder: Path) -> None:
    found = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for each in found:
        table[each["group"]][each["outcome"]] += 1
    for group, counts in table.items():
        work = sum(each["work"] for each in found if each["group"] == group)
        print(f"{group:8} {sum(counts.values()):5}  {work:6.0f} s  {dict(counts)}")
    faults = sum(each["outcome"] == "fault" for each in found)
    own, work = sum(each["own"] for each in found), sum(each["work"] for each in found)
    took = f"{work / 60:.0f} minutes of a processor"
    print(f"{len(found)} cases, {own} as processes of their own, {took}: {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
