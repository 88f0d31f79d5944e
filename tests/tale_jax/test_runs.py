"""The run directory: what is in it, what it refuses, and being killed at any moment."""

import csv
import functools
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attention.errors import InputError
from attention.files import read_journal
from tale_jax.elimination import eliminate
from tale_jax.runs import Run, finish, load_run
from tale_jax.runs.directory import KINDS
from tale_jax.tasks import Answer

SETTINGS = {
    "model": "m",
    "task": "t:1234",
    "protocol": "decode",
    "num_layers": 4,
    "epsilon": 0.08,
    "floor": "baseline",
    "limit": None,
}
FILES = {
    "settings.json",
    "journal.jsonl",
    "summary.json",
    "trajectory.jsonl",
    "candidates.csv",
    "predictions.jsonl",
    "report.html",
}
TOTAL = 20


def count(dropped):
    return {0: 15, 1: 16, 2: 14, 3: 3}[len(dropped)] - sum(dropped) % 3


def search(directory, resume=False, seconds=1.5, settings=SETTINGS, on_count=lambda: None):
    """A whole run on a pretended model; `on_count` is called before each count and answer."""

    def score(candidates):
        for dropped in candidates:
            on_count()
            yield count(dropped)

    def answer(dropped, split):
        on_count()
        return [Answer(f"é{split}{i}", i % 20 < count(dropped)) for i in range(TOTAL)]

    with Run(directory, "tale search", settings, resume=resume) as run:
        result = eliminate(
            score,
            4,
            TOTAL,
            known=run.known,
            on_candidate=run.candidate,
            on_accepted=run.accepted,
        )
        for split in ("search", "test"):
            for pick in (result.baseline, result.best, result.bsba):
                dropped = pick.dropped
                run.evaluate(split, dropped, lambda d=dropped, s=split: answer(d, s))
        return finish(run, result, ["tale search"], seconds=seconds, compilations=2, too_long=0)


def opened(directory, resume=False):
    return Run(directory, "tale search", SETTINGS, resume=resume)


def contents(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    search(directory)
    return directory


def test_files_follow_their_schemas(whole):
    assert set(contents(whole)) == FILES
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["best"]["dropped"] == [0]
    assert summary["best"]["test"]["correct"] == 16
    assert (summary["seconds"], summary["compilations"], summary["too_long"]) == (1.5, 2, 0)
    text = (whole / "trajectory.jsonl").read_text()
    trajectory = [json.loads(line) for line in text.splitlines()]
    assert trajectory[0] == {"iteration": 1, "layer": 0, "correct": 16, "total": 20, "dropped": [0]}
    with (whole / "candidates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "iteration": "1",
        "layer": "0",
        "correct": "16",
        "total": "20",
        "dropped": "0",
    }
    assert [row["layer"] for row in rows[:4]] == ["0", "1", "2", "3"]
    text = (whole / "predictions.jsonl").read_text()
    predictions = [json.loads(line) for line in text.splitlines()]
    assert len(predictions) == 2 * 3 * TOTAL
    assert predictions[0] == {
        "split": "search",
        "pick": "baseline",
        "example": 0,
        "prediction": "ésearch0",
        "correct": True,
    }
    records, _ = read_journal(whole / "journal.jsonl", KINDS)
    assert records[0] == {
        "kind": "candidate",
        "iteration": 0,
        "layer": None,
        "dropped": [],
        "correct": 15,
        "bound": False,
    }


def test_reads_back(whole):
    run = load_run(whole)
    assert run.settings == SETTINGS
    assert run.dropped("best") == (0,)
    assert run.dropped("baseline") == ()
    assert run.trajectory[0]["layer"] == 0
    assert run.candidates[0] == {
        "iteration": 1,
        "layer": 0,
        "correct": 16,
        "total": 20,
        "bound": False,
        "dropped": [0],
    }


def test_resuming_a_finished_run_changes_and_asks_nothing(whole):
    before = contents(whole)

    def refuse():
        raise AssertionError("asked again")

    summary = search(whole, resume=True, seconds=99.0, on_count=refuse)
    assert contents(whole) == before
    assert summary["seconds"] == 1.5


def test_resumes_from_every_byte_of_the_journal(whole, tmp_path_factory, monkeypatch):
    drawn = "tale_jax.runs.finished.render_report"
    monkeypatch.setattr(drawn, lambda *run: "page")  # drawn elsewhere
    journal = (whole / "journal.jsonl").read_bytes()
    expected = contents(whole) | {"report.html": b"page"}
    for end in [*range(0, len(journal), 41), *range(len(journal) - 3, len(journal) + 1)]:
        directory = tmp_path_factory.mktemp("cut")
        shutil.copy(whole / "settings.json", directory)
        (directory / "journal.jsonl").write_bytes(journal[:end])
        (directory / ".report.html.part").write_text("half a pa")
        search(directory, resume=True)
        assert contents(directory) == expected


def test_survives_being_killed(whole, tmp_path):
    """SIGKILL before the n-th count, over and over, until the run comes through."""
    program = (
        f"import os, signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_runs\n"
        "left = int(sys.argv[2])\n"
        "def on_count():\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "test_runs.search(sys.argv[1], resume=True, on_count=on_count)\n"
    )
    codes = []
    while not codes or codes[-1] != 0:
        done = subprocess.run([sys.executable, "-c", program, tmp_path / "run", "5"], check=False)
        codes.append(done.returncode)
        assert codes[-1] in (0, -signal.SIGKILL)
    assert len(codes) > 2
    assert contents(tmp_path / "run") == contents(whole)


def test_resume_without_a_run_starts_one(whole, tmp_path):
    search(tmp_path / "deep" / "run", resume=True)
    assert contents(tmp_path / "deep" / "run") == contents(whole)


@pytest.mark.parametrize("resume", [False, True])
def test_leaves_nothing_behind_when_nothing_was_found(tmp_path, resume):
    def fail():
        raise InputError("the logits are NaN")

    with pytest.raises(InputError, match="NaN"):
        search(tmp_path / "deep" / "run", resume=resume, on_count=fail)
    assert list(tmp_path.iterdir()) == []


def test_keeps_what_was_found_when_interrupted(whole, tmp_path):
    left = iter(range(3))

    def interrupt():
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run", on_count=interrupt)
    assert len(read_journal(tmp_path / "run" / "journal.jsonl", KINDS)[0]) == 3
    with pytest.raises(InputError, match=r"not finished.*--resume"):
        load_run(tmp_path / "run")
    search(tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(whole)


def test_refuses_a_second_process(tmp_path):
    with opened(tmp_path / "run") as run:
        with pytest.raises(InputError, match="another process"):
            opened(tmp_path / "run", resume=True).__enter__()
        run.evaluate("test", (), lambda: [Answer(0, True)])
    with opened(tmp_path / "run", resume=True) as run:
        assert run.evaluate("test", (), lambda: []) == [Answer(0, True)]


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "candidate", "iteration": 1, "layer": [], "dropped": [], "correct": 1}',
        '{"kind": "candidate", "iteration": 1, "layer": 1, "dropped": ["a"], "correct": 1, '
        '"bound": false}',
        '{"kind": "candidate", "iteration": 1, "layer": 1, "dropped": [1], "correct": "x", '
        '"bound": false}',
        '{"kind": "candidate", "iteration": 1, "layer": 1, "dropped": [1], "correct": 1, '
        '"bound": 0}',
        '{"kind": "evaluated", "split": "test", "dropped": [1], "answers": [[1]]}',
        '{"kind": "evaluated", "split": "test", "dropped": [1], "answers": [[1, 1]]}',
    ],
)
def test_a_damaged_line_is_named(whole, tmp_path, line):
    shutil.copytree(whole, tmp_path / "run")
    with (tmp_path / "run" / "journal.jsonl").open("a") as file:
        file.write(line + "\n")
    number = (whole / "journal.jsonl").read_text().count("\n") + 1
    with pytest.raises(InputError, match=rf"journal\.jsonl:{number}: not a line"):
        search(tmp_path / "run", resume=True)
    with opened(tmp_path / "other"):  # and the directory is not locked for ever
        pass


def test_refuses_a_search_that_disagrees_with_its_journal(tmp_path):
    directory = tmp_path / "run"
    search(directory)
    text = (directory / "journal.jsonl").read_text()
    old = '"accepted", "iteration": 1, "layer": 0'
    assert old in text
    text = re.sub(r', "crc": \d+', "", text.replace(old, old[:-1] + "2"))
    (directory / "journal.jsonl").write_text(text)
    (directory / "summary.json").unlink()
    with opened(directory, resume=True) as run, pytest.raises(InputError, match="otherwise"):
        run.candidate(eliminate(lambda c: iter([7]), 1, 9).baseline)


def _edited(directory):
    """Final files that were edited: layers that do not exist, other counts, other types."""
    summary = (directory / "summary.json").read_text()
    for path, value in (
        ("best.dropped", [99]),
        ("best.dropped", [-1]),
        ("best.dropped", [1]),
        ("best.dropped", ["0.mlp"]),
        ("best.correct", 10**30),
        ("best.correct", 15),
        ("best.test", None),
        ("best.test.correct", 15),
        ("baseline.total", 0),
        ("bsba.accuracy", float("nan")),
        ("examples", True),
        ("num_layers", 10**9),
        ("stop_reason", "tired"),
    ):
        *most, last = path.split(".")
        whole = json.loads(summary)
        functools.reduce(dict.__getitem__, most, whole)[last] = value
        yield "summary.json", json.dumps(whole)
    lines = (directory / "trajectory.jsonl").read_text()
    yield "trajectory.jsonl", lines.replace('"dropped": [0', '"dropped": [99')
    yield "trajectory.jsonl", lines.replace('"correct": 16', '"correct": 17')
    rows = (directory / "candidates.csv").read_text()
    yield "candidates.csv", rows.replace("1,0,16,20,0", "1,0,21,20,0")
    yield "candidates.csv", rows.replace("1,0,16,20,0", "1,0,17,20,0")
    yield "candidates.csv", rows.replace("1,0,16,20,0", "1,7,16,20,7")


def test_load_refuses_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        load_run(tmp_path / "nowhere")
    search(tmp_path / "run")
    for name, text in (
        ("candidates.csv", "iteration,layer\n1,2\n"),
        ("trajectory.jsonl", "{\n"),
        ("summary.json", "{}"),
        *_edited(tmp_path / "run"),
    ):
        whole_text = (tmp_path / "run" / name).read_text()
        (tmp_path / "run" / name).write_text(text)
        with pytest.raises(InputError, match="damaged files"):
            load_run(tmp_path / "run")
        (tmp_path / "run" / name).write_text(whole_text)
    load_run(tmp_path / "run")
    (tmp_path / "run" / "candidates.csv").unlink()
    with pytest.raises(InputError, match="damaged files"):
        load_run(tmp_path / "run")
