"""The run directory: a journal that everything is computed into, and the files that follow from it.

journal.jsonl      see `journal`; a search resumes from it
summary.json       settings, baseline, best and bsba; written last: a run that has it is finished
trajectory.jsonl   an accepted step per line
candidates.csv     every candidate; `<=123` for one that was rejected early
predictions.jsonl  the picks' answers to every example
report.html        for the eye
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from attention.errors import InputError
from tale_jax.elimination import AtMost, Candidate, Result
from tale_jax.runs.journal import JOURNAL, Journal, read_journal, record_key, to_line
from tale_jax.runs.tables import read_csv
from tale_jax.runs.verdicts import PICKS, summarise
from tale_jax.units import Dropped, parse_unit

COLUMNS = ("iteration", "layer", "correct", "total")
CANDIDATE_COLUMNS = (*COLUMNS, "dropped")  # layers between spaces
INFORMATION = "information.csv"  # of `information`, shown in the report if it is there
VOLATILE = ("seconds", "compilations")  # what a repeated run does not reproduce


class Answer(NamedTuple):
    """What a model answered to one example, as a JSON value, and whether that is right."""

    prediction: Any
    correct: bool


class Run:
    """An open run directory, locked against other processes; a context manager.

    A run that ends before its first count leaves nothing behind.

    Attributes:
        directory: where the files are.
        settings: what identifies the run, as JSON values.
        known: correct answers of every dropped set in the journal, for `elimination.eliminate`.
        finished: whether all final files are there.
    """

    def __init__(self, directory: str | Path, settings: Mapping[str, Any], resume: bool = False):
        """Start a run, or go on with one.

        Args:
            directory: is made if need be; must be empty unless `resume`.
            settings: JSON values that identify the run, among them those that
                `significance.summarise` needs; a resumed run must have the same.
            resume: go on from the journal, if there is one.

        Raises:
            InputError: if the directory holds something else, other settings or a damaged
                journal, cannot be written, or is in use.
        """
        self.directory = Path(directory)
        self._journal = Journal(self.directory, settings, resume)
        self.settings = self._journal.settings
        self.known: dict[Dropped, int] = {
            tuple(record["dropped"]): (AtMost if record["bound"] else int)(record["correct"])
            for record in self._journal.records.values()
            if record["kind"] == "candidate"
        }
        self._previous = _read_object(self.directory / "summary.json")
        self.finished = self._previous is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._journal.close()

    def candidate(self, candidate: Candidate) -> None:
        """Journal a scored candidate: `elimination.eliminate`'s `on_candidate`."""
        self._journal.append({"kind": "candidate", **asdict(candidate)})

    def accepted(self, candidate: Candidate) -> None:
        """Journal an accepted step: `elimination.eliminate`'s `on_accepted`."""
        self._journal.append({"kind": "accepted", **asdict(candidate)})

    def evaluate(
        self, split: str, dropped: Dropped, answer: Callable[[], Iterable[Answer]]
    ) -> list[Answer]:
        """One model's answers to every example of a split, asked for only if not journaled.

        Args:
            split: "search" or "test".
            dropped: the dropped layers.
            answer: answers the examples, in order.
        """
        record = {"kind": "evaluated", "split": split, "dropped": dropped}
        if record_key(record) not in self._journal.records:
            answers = [(prediction, bool(correct)) for prediction, correct in answer()]
            self._journal.append({**record, "answers": answers})
        return self._answers(split, dropped) or []

    def losses(self, criterion: str) -> dict[Dropped, float]:
        """The losses of a criterion in the journal."""
        return self._journal.losses(criterion)

    def loss(self, criterion: str, dropped: Dropped, loss: float) -> None:
        """Journal the loss of a model: `criteria.Greedy`'s `on_loss`."""
        self._journal.loss(criterion, dropped, loss)

    def controls(
        self,
        count: int,
        search: Callable[[int], Mapping[str, Any]],
        on_control: Callable[[int, int], None] = lambda done, count: None,
    ) -> list[dict[str, Any]]:
        """Outcomes of `count` searches on shuffled answers, or of as many as are journaled.

        Args:
            count: at least so many.
            search: the search on shuffle 0, 1, …
            on_control: called with the number done and the number wanted.
        """
        records = self._journal.records
        count = max(count, sum(kind == "control" for kind, *_ in records))
        for shuffle in range(count):
            on_control(shuffle, count)
            if ("control", shuffle) not in records:
                self._journal.append({"kind": "control", "shuffle": shuffle, **search(shuffle)})
        return [records["control", shuffle] for shuffle in range(count)]

    def finish(self, result: Result, commands: Sequence[str] = (), **facts: Any) -> dict[str, Any]:
        """Write the final files and return the contents of `summary.json`.

        Test figures and predictions are those that `evaluate` was given for the three picks. A run
        that had finished before keeps its `seconds` and `compilations`.

        Args:
            result: of the search.
            commands: command lines that reproduce the run, for the report.
            facts: further keys of the summary, such as `compilations`, `seconds`, `too_long`.
        """
        from tale_jax.runs.report import render_report  # matplotlib takes a while

        facts |= {
            name: (self._previous or {}).get(name, facts[name])
            for name in VOLATILE
            if name in facts
        }
        picks: dict[str, Dropped] = {name: getattr(result, name).dropped for name in PICKS}
        answers = {
            (split, name): given
            for split in ("search", "test")
            for name, dropped in picks.items()
            if (given := self._answers(split, dropped)) is not None
        }
        test = {
            picks[name]: [a.correct for a in given]
            for (split, name), given in answers.items()
            if split == "test"
        }
        summary = summarise(self.settings, result, test or None, **facts)
        trajectory = [
            {name: value for name, value in _row(step, result.total).items() if name != "bound"}
            | {"dropped": list(step.dropped)}
            for step in result.steps
        ]
        candidates = [
            _row(candidate, result.total) | {"dropped": list(candidate.dropped)}
            for candidate in result.candidates
        ]
        summary["commands"] = list(commands)
        report = render_report(
            {
                "summary": summary,
                "trajectory": trajectory,
                "candidates": candidates,
                "information": read_csv(self.directory / INFORMATION),
            }
        )
        self._write("trajectory.jsonl", "".join(map(to_line, trajectory)))
        self._write("candidates.csv", _to_csv(candidates))
        self._write("predictions.jsonl", "".join(map(to_line, _prediction_rows(answers))))
        self._write("report.html", report)
        self._write("summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
        self._previous, self.finished = summary, True
        return summary

    def _answers(self, split: str, dropped: Dropped) -> list[Answer] | None:
        record = self._journal.records.get(("evaluated", split, dropped))
        return None if record is None else [Answer(*pair) for pair in record["answers"]]

    def _write(self, name: str, text: str) -> None:
        _replace(self.directory / name, text)


@dataclass(frozen=True)
class FinishedRun:
    """The settings in a run's journal and the contents of its final files."""

    directory: Path
    settings: dict[str, Any]
    summary: dict[str, Any]
    trajectory: list[dict[str, Any]]
    candidates: list[dict[str, Any]]

    def dropped(self, pick: str) -> Dropped:
        """Layers that "baseline", "best" or "bsba" goes without."""
        return tuple(self.summary[pick]["dropped"])


def load_run(directory: str | Path) -> FinishedRun:
    """Read a finished run.

    Raises:
        InputError: if the directory holds no run, an unfinished one, or damaged files.
    """
    directory = Path(directory)
    if not (directory / JOURNAL).is_file():
        raise InputError(f"{directory} holds no run: give the --out directory of a tale search")
    records, _ = read_journal(directory / JOURNAL)
    summary = _read_object(directory / "summary.json")
    if not records or summary is None:
        raise InputError(
            f"the run in {directory} has not finished: go on with tale search --resume"
        )
    try:
        lines = (directory / "trajectory.jsonl").read_text(encoding="utf-8").splitlines()
        with (directory / "candidates.csv").open(encoding="utf-8", newline="") as file:
            candidates = [_from_csv(row) for row in csv.DictReader(file)]
        trajectory = [json.loads(line) for line in lines]
        run = FinishedRun(directory, records[0]["settings"], summary, trajectory, candidates)
        for pick in PICKS:
            run.dropped(pick)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{directory} has damaged files: rewrite them with tale search --resume"
        ) from error
    return run


def rewrite_report(directory: str | Path) -> None:
    """Render the report of a finished run again, with what has been found out since."""
    from tale_jax.runs.report import render_report

    run = load_run(directory)
    page = render_report(
        {
            "summary": run.summary,
            "trajectory": run.trajectory,
            "candidates": run.candidates,
            "information": read_csv(run.directory / INFORMATION),
        }
    )
    _replace(run.directory / "report.html", page)


def _replace(path: Path, text: str) -> None:
    """Replace a file as a whole; a half-written one has a name that the next try reuses."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


def _read_object(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None if there is none, whole and valid."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _row(candidate: Candidate, total: int) -> dict[str, Any]:
    """A row of `candidates.csv`."""
    values = (candidate.iteration, candidate.layer, candidate.correct, total)
    return dict(zip(COLUMNS, values, strict=True)) | {"bound": candidate.bound}


def _from_csv(row: Mapping[str, str]) -> dict[str, Any]:
    bound = row["correct"].startswith("<=")
    numbers = {name: int(row[name].removeprefix("<=")) for name in COLUMNS if name != "layer"}
    dropped = [parse_unit(layer) for layer in row["dropped"].split()]
    return {**numbers, "layer": parse_unit(row["layer"]), "bound": bound, "dropped": dropped}


def _to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CANDIDATE_COLUMNS)
    for row in rows:
        correct = f"<={row['correct']}" if row["bound"] else row["correct"]
        shown = {**row, "correct": correct, "dropped": " ".join(map(str, row["dropped"]))}
        writer.writerow([shown[name] for name in CANDIDATE_COLUMNS])
    return text.getvalue()


def _prediction_rows(answers: Mapping[tuple[str, str], Sequence[Answer]]) -> Iterable[dict]:
    """Lines of `predictions.jsonl`: one per split, pick and example (0-based)."""
    for (split, pick), given in answers.items():
        for number, answer in enumerate(given):
            yield {"split": split, "pick": pick, "example": number, **answer._asdict()}
