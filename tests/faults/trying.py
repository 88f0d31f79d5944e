"""Tries a case, and says how it ended: as it should, or with which fault."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pkgutil
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults.cases import Case, every, going_on
from faults.processes import MOST_SECONDS, Ended, prints, run
from faults.world import PROGRAMS, words_of
from faulty_server import FAULTS, FaultyServer, reply

MODULES = {"tale": "tale_jax.cli", "icl": "icl.cli", "attn": "attention.cli"}
VOLATILE = ("seconds", "compilations", "steps_per_s", "total_seconds", "whole_time", "out",
            "endpoint", "commands", "settings", "run")  # fmt: skip
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/v1")
UNEQUAL = (
    "config.yaml",
    ".html",
    ".png",
    ".svg",
    ".log",
    "checkpoints",
    ".lock",
    "arms.csv",
    "README",
)
PRELOADED = (
    "transformers.models.auto.tokenization_auto transformers.tokenization_utils_tokenizers "
    "transformers.models.llama.configuration_llama flax.linen optax orbax.checkpoint rich.table "
    "matplotlib.figure scipy.stats sklearn.linear_model httpx huggingface_hub filelock"
).split()


class Trying:
    """Tries cases in a world.

    Args:
        world: folder that `world.make` made.
        scratch: folder for what cases make.
    """

    def __init__(self, world: Path, scratch: Path):
        self._world, self._scratch = world, scratch
        self._usual: dict[tuple[str, bool], Ended] = {}
        self._work = 0.0

    def __call__(self, case: Case) -> dict[str, Any]:
        """Try a case, and return its ``outcome`` and, if there is one, its ``fault``."""
        start, self._work = time.monotonic(), 0.0
        replies = [reply(), FAULTS[case.server]] if case.server else [reply()]
        with (
            tempfile.TemporaryDirectory(dir=self._scratch) as place,
            FaultyServer(*replies) as server,
        ):
            try:
                root = self._laid(case, Path(place), server.url)
                ended, fault = self._tried(case, root, server)
            except Exception as error:  # one case that is itself wrong must not end all others
                ended, fault = Ended(1, "", "", 0, 0), f"the case is wrong: {error!r}"
        outcome = "fault" if fault else {0: "done", 2: "refused"}.get(ended.code or 0, "stopped")
        if not fault and case.resumes and ended.code == 0:
            outcome = "identical"
        found = {"case": case.key, "group": case.group, "outcome": outcome, "own": case.own}
        if fault:
            found |= {"fault": fault, "code": ended.code, "err": ended.err[-400:]}
        took = {"seconds": time.monotonic() - start, "work": self._work}
        return found | {name: round(value, 2) for name, value in took.items()}

    def _laid(self, case: Case, place: Path, url: str) -> Path:
        """A folder for a case, with copies of what it damages or could damage."""
        root = place / "case"
        root.mkdir()
        for name in (case.folder, *(case.words if case.group == "places" else ())):
            source = self._world / name
            if not name or "/" in name or name not in os.listdir(self._world):  # noqa: PTH208
                continue
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        here, there = str(root / case.folder), str(self._world / case.folder)
        named = ("settings.json", "summary.json") if case.folder else ()
        for file in (file for name in named for file in (root / case.folder).rglob(name)):
            text = file.read_text().replace(there, here)  # a step of a run names another's model
            file.write_text(ADDRESS.sub(url, text))  # the server is at another port now
        if case.change is not None:
            target = root / case.folder
            case.change(target / case.file if case.file else target)
        return root

    def _tried(self, case: Case, root: Path, server: FaultyServer) -> tuple[Ended, str]:
        reading = case.folder and not case.resumes
        before = prints(root / case.folder) if reading and (root / case.folder).is_dir() else None
        out = root / case.folder if case.resumes and case.folder else root / "out"
        ended = self._run(case, root, out, server.url)
        if fault := ended.fault if case.kill is None else "":
            return ended, fault
        if before is not None and prints(root / case.folder) != before:
            return ended, "an input was changed"
        if case.same and ended.code == 0 and self._result(ended) != self._expected(case):
            return ended, f"a wrong result with code 0: {ended.out[:200]}"
        if case.server:
            return ended, self._kept(ended, out)
        if case.resumes and (case.kill is not None or case.size is not None):
            ended = self._run(case, root, out, server.url, again=True)
            if ended.code != 0:
                return ended, ended.fault or f"does not go on: {ended.err[-300:]}"
        if case.resumes and ended.code == 0:
            return ended, self._unlike(out, case)
        return ended, ""

    def _run(self, case: Case, root: Path, out: Path, url: str, again: bool = False) -> Ended:
        line = going_on(case.resumes) if again else case.line
        program, *words = words_of(line, self._world, out, url)
        ours = {str(self._world / entry.name): str(entry) for entry in root.iterdir()}
        words = [ours.get(word, word) for word in words]
        if case.group == "places":
            words += [str(root / w) if (root / w[:200]).exists() else w for w in case.words]
        else:
            words += [word.replace("URL", url) for word in case.words]
        words.append("--json")
        if any("\0" in word for word in words):
            return Ended(2, "", "no process has such words", 0, 0)
        limits: dict[str, Any] = {"file_size": None if again else case.size}
        if case.kill is not None and not again:
            limits["kill_after"] = case.kill * self._time(case)
        if case.kill is not None or case.size is not None or case.resumes:
            limits["seconds"] = 10 * MOST_SECONDS  # these compute
        if case.own and not again:
            code = f"import sys; from {MODULES[program]} import main; main(sys.argv[1:])"
            ended = run(["-c", code, *words], root.parent, **limits)
        else:
            ended = run(lambda: PROGRAMS[program](words), root.parent, **limits)
        self._work += ended.work
        return ended

    def _time(self, case: Case) -> float:
        """Seconds that the undisturbed command takes in a process of the same kind."""
        return self._plain(dataclasses.replace(case, kill=None, size=2**40)).seconds

    def _expected(self, case: Case) -> Any:
        """The result of the undisturbed command."""
        ended = self._plain(Case("", "", case.line))
        assert ended.code == 0, ended.err
        return self._result(ended)

    def _result(self, ended: Ended) -> Any:
        """What a command printed as JSON, without times and the folder of the case."""
        text = re.sub(rf"{re.escape(str(self._scratch))}/[^/\"]+(/case)?", "", ended.out)
        return _plain(json.loads(text)) if text.strip() else None

    def _plain(self, case: Case) -> Ended:
        kind = case.line, case.own
        if kind not in self._usual:
            with (
                tempfile.TemporaryDirectory(dir=self._scratch) as place,
                FaultyServer(reply()) as server,
            ):
                found = self._run(case, Path(place), Path(place) / "out", server.url)
            self._usual[kind] = found
        return self._usual[kind]

    def _kept(self, ended: Ended, out: Path) -> str:
        """Whether a failing server left the first answer in the journal."""
        if ended.code == 0:
            return "a faulty server was believed"
        journal = out / "journal.jsonl"
        return "" if journal.is_file() and journal.read_text() else "the first answer is lost"

    def _unlike(self, out: Path, case: Case) -> str:
        """How a run differs from the undisturbed one.

        A log, and the work of an arm that had ended, are not read again; they stay damaged.
        """
        unread = "metrics.jsonl" in case.file or case.resumes == "arms"
        ours, theirs = (_contents(f, self._world) for f in (out, self._world / case.resumes))
        for file in sorted(theirs.keys() | ours.keys()):
            if ours.get(file) != theirs.get(file) and not (unread and file == case.file):
                return f"{file} is not that of the undisturbed run"
        return ""


def _contents(folder: Path, world: Path) -> dict[str, Any]:
    """The files of a run without what a repeated run does not reproduce."""
    found: dict[str, Any] = {}
    for file in folder.rglob("*"):
        name = str(file.relative_to(folder))
        if not file.is_file() or any(word in name for word in UNEQUAL):
            continue
        data = file.read_bytes()
        for place, short in ((folder, b"RUN"), (folder.parent, b""), (world, b"")):
            data = data.replace(bytes(place), short)
        if file.suffix in (".json", ".jsonl"):
            text = data.decode(errors="replace")
            lines = text.splitlines() if file.suffix == ".jsonl" else [text]
            try:
                found[name] = [_plain(json.loads(line)) for line in lines]
                continue
            except (ValueError, RecursionError):  # nested too deep
                pass
        found[name] = data
    return found


def _plain(value: Any) -> Any:
    """A JSON value without times and paths."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in (*VOLATILE, "crc")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def environment(scratch: Path) -> None:
    """Set what the commands see: a cache of their own, no network, a key that must not show."""
    os.environ |= {
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "JAX_COMPILATION_CACHE_DIR": str(scratch / "programs"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
        "USE_TORCH": "0",  # takes seconds to import, where it is installed, and is not used
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "HF_HUB_OFFLINE": "1",
        "OPENAI_API_KEY": "sk-a-secret-word",
        "COLUMNS": "100",
    }


_work: dict[str, Any] = {}


def start_worker(folder: Path) -> None:
    """Prepare a process that tries cases: all is imported, and nothing computed before a fork."""
    environment(folder)
    for name in [*PRELOADED, *_modules()]:
        importlib.import_module(name)
    _work["try"] = Trying(folder / "world", folder / "scratch")
    _work["cases"] = {case.key: case for case in every(folder / "world")}


def _modules() -> Iterator[str]:
    """All modules of the packages; none of them computes when it is imported."""
    for package in ("attention", "icl", "tale_jax"):
        places = importlib.import_module(package).__path__
        for found in pkgutil.walk_packages(places, f"{package}."):
            if not found.name.endswith(("__main__", "harness")):
                yield found.name


def try_one(key: str) -> dict[str, Any]:
    """Try the case with this key, in a process that `start_worker` prepared."""
    return _work["try"](_work["cases"][key])
