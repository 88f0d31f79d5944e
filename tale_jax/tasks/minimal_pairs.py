"""Minimal pairs from local files: which of two sentences is the more probable (BLiMP, Zorro)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from attention.language.probing import PAIR_SETS
from tale_jax.tasks.examples import Example, Task, divide, divided_note, place
from tale_jax.tasks.request import Request


def read_pairs(request: Request) -> Task:
    """The task ``SET:<paradigm>``, divided into halves; the sets are those of ``PAIR_SETS``.

    Files are ``DATA/SET/<paradigm>.ENDING[.gz]``, such as ``DATA/blimp/passive_1.jsonl.gz``, or lie
    in ``DATA`` itself. Pairs of two identical sentences are left out.

    Raises:
        InputError: there is no such file, or it has a bad line.
    """
    name = request.name
    kind, _, paradigm = name.partition(":")
    if request.data is None:
        raise InputError(f"{name} is read from local files: give --data DIR with DIR/{kind}/")
    folders = [request.data / kind, request.data]
    found = (PAIR_SETS[kind].files(folder).get(paradigm) for folder in folders)
    file = next((file for file in found if file is not None), None)
    if file is None:
        raise InputError(f"{name}: {_known(kind, folders)}")
    pairs = PAIR_SETS[kind].read(file)
    kept = [_example(pair.good, pair.bad) for pair in pairs if pair.good != pair.bad]
    if not kept:
        raise InputError(f"{file}: no pair of two different sentences")
    search, test = divide(kept)
    if not search or not test:
        raise InputError(f"{file}: too few pairs to divide")
    notes = [divided_note(name, f"{len(kept)} pairs are", search, test)]
    if same := len(pairs) - len(kept):
        notes.append(f"{name}: {same} pairs of identical sentences are left out")
    return Task(
        name,
        tuple(search),
        tuple(test),
        validation=tuple(kept),
        halves=True,
        notes=tuple(notes),
    )


def _known(kind: str, folders: Sequence[Path]) -> str:
    """What an error says of the paradigms that are there."""
    ending = PAIR_SETS[kind].ending
    names = sorted({name for folder in folders for name in PAIR_SETS[kind].files(folder)})
    if not names:
        return f"no *{ending} or *{ending}.gz in {folders[0]} or {folders[1]}"
    return f"no such paradigm in {folders[0]}; there are {', '.join(names)}"


def _example(good: str, bad: str) -> Example:
    """The pair in an order that its hash draws, so that neither place is always right."""
    example = Example("", (good, bad), 0)
    if int(place(example) * 2**20) % 2:
        example = Example("", (bad, good), 1)
    return example
