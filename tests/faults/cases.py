"""The table of commands × faults; a case is a distinct command, input and fault through `main`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.damage import BYTES, fields
from faults.world import LONG, SHORT
from faulty_server import FAULTS

READERS = {
    "search": ("export", "pick"),
    "train": ("roots", "plot"),
    "finetune": (),
    "compare": (),
    "transfer": (),
    "arms": (),
    "ask": (),
    "pretrain": ("opened", "versus"),
}
"""Runs, and the short commands that read them; each run is also gone on with."""

MODEL_READERS = ("describe", "evaluate")
FIELDS = {
    "search": ("settings.json", "summary.json", "trajectory.jsonl", "candidates.csv",
               "journal.jsonl"),
    "train": ("settings.json", "metrics.jsonl"),
    "finetune": ("settings.json", "result.json", "training/metrics.jsonl"),
    "compare": ("journal.jsonl",),
    "ask": ("settings.json", "journal.jsonl"),
    "transfer": ("settings.json", "journal.jsonl"),
    "arms": ("journal.jsonl", "tale/settings.json", "ft/result.json"),
    "pretrain": ("settings.json", "summary.json", "metrics.jsonl", "heldout.jsonl",
                 "model/config.json"),
    "tiny": ("config.json", "tokenizer_config.json", "generation_config.json"),
}  # fmt: skip
NUMBERS = ("-1", "0.5", "nan", "inf", "-inf", "1e400", "99999999999999999999", "abc", "", "0x10")
OUTS = (
    "a.jsonl",
    "a.jsonl/below",
    "/proc/nothing",
    "/dev/null",
    "/dev/full/run",
    "n" * 300,
    "d/" * 2000 + "run",
    "nul\0name",
    "line\nbreak",
    "\udcff",
    "tiny",
    "search",
)
URLS = (
    "http://", "ftp://127.0.0.1/v1", "file:///etc/hosts", "http://example.org/v1", "127.0.0.1:9",
    "http://a:b@127.0.0.1/v1", "http://[::1/v1", "http://127.0.0.1:99999/v1", "http:///v1",
    "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=1", "http://local host/v1", "https://",
    "http://127.0.0.1:9/\x07", "//127.0.0.1", "javascript:alert(1)", "http://\udcff/",
    "https://" + "a" * 300 + "/v1", "http://0x7f.1/v1", "https://xn--/v1",
)  # fmt: skip
MODEL = "model/config.json"  # of a run; who changes it describes another model
READ = ("run", "model", "corpus")  # options that name what is read
KILLS, SIZES = 20, 10
OWN = 4  # of so many cases that compute, one is a process of its own; the others are forks
OF_NUMBERS = 6  # so many are tried with one option; all of them with its neighbours
MOST = {"bytes": 30, "fields": 30}  # cases of a group that one command has
QUICK = ("tale export", "tale pick")  # commands that do not compute have five times as many


@dataclasses.dataclass(frozen=True)
class Case:
    """A case.

    Attributes:
        group: of the fault.
        name: of the fault, with the file where there is one.
        line: the command line, as in `world`; OUT and URL stand for what a case is given.
        folder: of the world, which is copied because it is damaged; empty: none.
        file: that is damaged, below the folder.
        change: damages it.
        same: whether the result must be the undisturbed one if the command does not refuse.
        resumes: the run that the line makes; OUT is then its copy.
        own: whether it runs in a process of its own.
        server: what the server answers.
        kill: share of the undisturbed time after which the command is killed.
        size: bytes that a file may have.
        words: further words, as they are.
    """

    group: str
    name: str
    line: str
    folder: str = ""
    file: str = ""
    change: Callable[[Path], None] | None = None
    same: bool = False
    resumes: str = ""
    own: bool = False
    server: str = ""
    kill: float | None = None
    size: int | None = None
    words: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.group} | {self.name} | {' '.join(self.line.split()[:2])}"


def _files(folder: Path) -> list[str]:
    found = (file for file in folder.rglob("*") if file.is_file())
    names = [str(file.relative_to(folder)) for file in found]
    return sorted(n for n in names if "checkpoints/" not in n and not n.endswith((".png", ".svg")))


def going_on(run: str) -> str:
    """The line that goes on with a run."""
    return LONG[run] + (" --resume" if LONG[run].startswith("tale") else "")


def damaged_bytes(world: Path) -> Iterator[Case]:
    """Each file of a run directory and of a model, cut, emptied, flipped and replaced."""
    for run, readers in READERS.items():
        for file in _files(world / run):
            for name, change in BYTES.items():
                given = (run, file, change)
                same = file != MODEL
                for reader in readers:
                    yield Case("bytes", f"{run}/{file}: {name}", SHORT[reader], *given, same=same)
                yield Case("bytes", f"{run}/{file}: {name}", going_on(run), *given, resumes=run)
    for file in _files(world / "tiny"):
        for name, change in BYTES.items():
            for reader in (*MODEL_READERS, "ask"):
                line = (
                    "icl ask --model tiny --count 2 --examples 0 --out OUT"
                    if reader == "ask"
                    else ""
                )
                line = line or SHORT[reader]
                yield Case("bytes", f"tiny/{file}: {name}", line, "tiny", file, change)
    for file, reader in (("a.jsonl", "evaluate"), ("text.txt", "convert")):
        line = SHORT.get(
            reader, "attn convert --model tiny --text text.txt --normalizer ssa --out OUT"
        )
        for name, change in BYTES.items():
            yield Case("bytes", f"{file}: {name}", line, file, "", change)


def damaged_fields(world: Path) -> Iterator[Case]:
    """Each field of JSON and each cell of a table, in turn of another type or size."""
    for folder, files in FIELDS.items():
        for file in files:
            if not (world / folder / file).is_file():
                continue
            for name, change in fields(world / folder / file):
                given = (f"{folder}/{file} {name}", folder, file, change)
                if folder == "tiny":
                    number = sum(map(ord, name)) % 2
                    yield Case("fields", given[0], SHORT[MODEL_READERS[number]], *given[1:])
                elif file == MODEL:
                    yield Case("fields", given[0], SHORT["opened"], *given[1:])
                elif READERS[folder] and file != "journal.jsonl":
                    number = sum(map(ord, name)) % 2
                    line = SHORT[READERS[folder][number]]
                    yield Case("fields", given[0], line, *given[1:], same=True)
                else:
                    yield Case("fields", given[0], going_on(folder), *given[1:], resumes=folder)
    for name, change in fields(world / "a.jsonl"):
        yield Case("fields", f"a.jsonl {name}", SHORT["evaluate"], "a.jsonl", "", change)


def commands() -> Iterator[tuple[str, str, object]]:
    """Each command of each program, with its description."""
    for program, package in (("tale", "tale_jax"), ("icl", "icl"), ("attn", "attention")):
        for name in importlib.import_module(f"{package}.cli").COMMANDS:
            module = name.replace("-", "_")
            found = getattr(importlib.import_module(f"{package}.commands.{module}"), module)
            yield program, name, found.command


def needed(command: object) -> list[str]:
    """Words for what a command requires; what they name is not there."""
    words = []
    for flag in command.flags.values():  # type: ignore[attr-defined]
        if flag.default is inspect.Parameter.empty or flag.name in READ:
            words += [flag.words, "OUT/nothing" if flag.name != "preset" else "linear-9l5ah"]
    return words


def bad_numbers(world: Path) -> Iterator[Case]:
    """Each numeric option of each command; what else the command needs is not there."""
    del world
    for program, name, command in commands():
        for flag in command.flags.values():  # type: ignore[attr-defined]
            if not any(kind in (int, float) for kind in flag.kinds):
                continue
            words = [program, name, *needed(command)]
            if flag.words in words:
                continue
            number = sum(map(ord, flag.words))
            values = [NUMBERS[(number + 3 * i) % len(NUMBERS)] for i in range(OF_NUMBERS)]
            for value in values:
                case = f"{program} {name} {flag.words} {value!r}"
                yield Case("numbers", case, " ".join(words), words=(flag.words, value),
                           own=value in values[:2])  # fmt: skip


def bad_places(world: Path) -> Iterator[Case]:
    """Directories of results that cannot be."""
    del world
    lines = {**LONG, **{name: line for name, line in SHORT.items() if "OUT" in line}}
    for name, line in lines.items():
        for out in OUTS:
            front = line.split(" --out ")[0]
            yield Case("places", f"{name} --out {out[:40]!r}", front, words=("--out", out))


def bad_servers(world: Path) -> Iterator[Case]:
    """Servers and addresses; what was answered before is kept."""
    del world
    line = "icl ask --model m --count 3 --tries 2 --timeout 2 --endpoint URL --out OUT"
    for fault in FAULTS:
        yield Case("servers", fault, line, server=fault, own=True)
    for url in URLS:
        front = "icl ask --model m --count 3 --tries 2 --timeout 2 --out OUT"
        yield Case("servers", url, front, words=("--endpoint", url))


def full_disks(world: Path) -> Iterator[Case]:
    """Each command that writes, with files that cannot grow; then again with room."""
    sizes = {}
    for run in LONG:
        files = [file for file in (world / run).rglob("*") if file.is_file()]
        sizes[run] = max(file.stat().st_size for file in files)
    lines = {**LONG, **{name: line for name, line in SHORT.items() if "OUT" in line}}
    for name, line in lines.items():
        most = sizes.get(name, 60_000)
        for number in range(SIZES):
            size = int(most * (number + 0.5) / SIZES) if number else 0
            resumes = name if name in LONG else ""
            yield Case("disk", f"{name} with {size} bytes", line, size=size,
                       own=number % OWN == 0, resumes=resumes)  # fmt: skip


def killed(world: Path) -> Iterator[Case]:
    """Each long command, killed at random moments; going on must give the undisturbed result."""
    del world
    number = random.Random(20)
    for name, line in LONG.items():
        for i in range(KILLS):
            share, own = number.random(), i % OWN == 0
            yield Case("kill", f"{name} at {share:.4f}", line, kill=share, own=own, resumes=name)


GROUPS = {
    "numbers": bad_numbers,
    "places": bad_places,
    "servers": bad_servers,
    "fields": damaged_fields,
    "bytes": damaged_bytes,
    "disk": full_disks,
    "kill": killed,
}


def every(world: Path) -> list[Case]:
    """The cases, each once; of a kind that has very many, some."""
    os.environ.setdefault("COLUMNS", "100")
    found = {case.key: case for group in GROUPS.values() for case in group(world)}
    kinds: dict[tuple[str, str], list[Case]] = {}
    for case in found.values():
        kinds.setdefault((case.group, " ".join(case.line.split()[:2])), []).append(case)
    return [
        case
        for (group, command), cases in kinds.items()
        for case in _spread(cases, MOST.get(group, len(cases)) * (5 if command in QUICK else 1))
    ]


def _spread(cases: list[Case], most: int) -> list[Case]:
    """At most so many of the cases, evenly over all files and kinds of damage."""
    count = min(most, len(cases))
    return [cases[i * len(cases) // count] for i in range(count)]
