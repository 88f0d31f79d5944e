"""A run directory: what it refuses, what it leaves behind, and being killed at any moment."""

import concurrent.futures
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attention.errors import InputError
from attention.files import RecordKind, RunDirectory, read_settings

SETTINGS = {"model": "m", "epsilon": 0.08, "limit": None, "layers": (3, 5)}
KINDS = {"count": RecordKind(("number",), ("number", "square"))}


def work(directory, resume=False, on_count=lambda: None, settings=SETTINGS):
    """A run that counts to eleven."""
    with RunDirectory(directory, "test count", settings, resume=resume) as run:
        journal = run.journal(KINDS)
        for number in range(11):
            if journal.get("count", number) is None:
                on_count()
            journal.append("count", number=number, square=number**2)
        return run


def contents(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert not work(directory).resumed
    return directory


def test_keeps_settings_and_journal_and_no_lock(whole):
    assert set(contents(whole)) == {"settings.json", "journal.jsonl"}
    settings = json.loads((whole / "settings.json").read_text())
    assert settings == {"command": "test count", **SETTINGS, "layers": [3, 5]}
    del settings["command"]
    assert read_settings(whole) == read_settings(whole, "test count") == settings


def test_resuming_a_finished_run_changes_nothing(whole):
    before = contents(whole)

    def refuse():
        raise AssertionError("asked again")

    run = work(whole, resume=True, on_count=refuse)
    assert run.resumed and run.settings["layers"] == [3, 5]
    assert contents(whole) == before


def test_survives_being_killed(whole, tmp_path):
    """SIGKILL before the n-th count, over and over, until the run comes through."""
    program = (
        f"import os, signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_run_directory\n"
        "left = int(sys.argv[2])\n"
        "def on_count():\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "test_run_directory.work(sys.argv[1], resume=True, on_count=on_count)\n"
    )
    codes = []
    while not codes or codes[-1] != 0:
        done = subprocess.run([sys.executable, "-c", program, tmp_path / "run", "5"], check=False)
        codes.append(done.returncode)
        assert codes[-1] in (0, -signal.SIGKILL)
    assert len(codes) == 3
    assert contents(tmp_path / "run") == contents(whole)


def test_what_a_killed_claim_left_is_no_foreign_file(whole, tmp_path):
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".settings.json.part").write_text('{"comm')
    work(tmp_path)
    assert contents(tmp_path) == contents(whole)


@pytest.mark.parametrize("resume", [False, True])
def test_leaves_nothing_behind_when_nothing_was_computed(tmp_path, resume):
    def fail():
        (tmp_path / "deep" / "run" / "checkpoints").mkdir()
        (tmp_path / "deep" / "run" / "metrics.jsonl").touch()
        raise InputError("the logits are NaN")

    with pytest.raises(InputError, match="NaN"):
        work(tmp_path / "deep" / "run", resume, fail)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "deep" / "run").mkdir(parents=True)
    with pytest.raises(InputError, match="NaN"):
        work(tmp_path / "deep" / "run", resume, fail)
    assert list((tmp_path / "deep" / "run").iterdir()) == []


def test_keeps_what_was_computed_when_interrupted(whole, tmp_path):
    left = iter(range(3))

    def interrupt():
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "run", on_count=interrupt)
    assert (tmp_path / "run" / "journal.jsonl").read_text().count("\n") == 3
    work(tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(whole)


def test_refuses_to_overwrite(whole, tmp_path):
    before = contents(whole)
    with pytest.raises(InputError, match=r"already holds a run: go on with --resume or choose"):
        work(whole)
    (tmp_path / "thesis.tex").write_text("mine")
    for resume in (False, True):
        with pytest.raises(InputError, match="not empty and holds no run"):
            work(tmp_path, resume)
        with pytest.raises(InputError, match="cannot write"):
            work(tmp_path / "thesis.tex", resume)
        with pytest.raises(InputError, match="cannot write"):
            work(tmp_path / "thesis.tex" / "run", resume)
    assert contents(tmp_path) == {"thesis.tex": b"mine"}
    assert contents(whole) == before


def test_refuses_other_settings_by_name_in_one_line(whole):
    before = contents(whole)
    other = SETTINGS | {"epsilon": 0.05, "shots": 5}
    del other["limit"]
    with pytest.raises(InputError) as caught:
        work(whole, resume=True, settings=other)
    message = str(caught.value)
    assert "epsilon was 0.08 and is now 0.05" in message
    assert 'shots was "(unset)" and is now 5' in message
    assert "limit was null" in message
    assert "model" not in message and "layers" not in message
    assert "\n" not in message
    assert contents(whole) == before


def test_refuses_the_run_of_another_command(whole):
    claim = RunDirectory(whole, "test other", SETTINGS, resume=True)
    with pytest.raises(InputError, match="holds a run of test count, not of test other"), claim:
        pass
    with pytest.raises(InputError, match="holds a run of test count, not of test other"):
        read_settings(whole, "test other")


def test_refuses_a_second_process(tmp_path):
    second = RunDirectory(tmp_path / "run", "test count", SETTINGS, resume=True)
    with RunDirectory(tmp_path / "run", "test count", SETTINGS) as run:
        with pytest.raises(InputError, match="another process is writing"), second:
            pass
        run.journal(KINDS).append("count", number=0, square=0)
    with second as run:
        assert run.journal(KINDS).get("count", 0) is not None


def test_other_processes_of_one_run_wait_and_write_nothing(tmp_path, monkeypatch):
    first = RunDirectory(tmp_path / "run", "test count", SETTINGS)
    other = RunDirectory(tmp_path / "run", "test count", SETTINGS, owner=False)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(other.__enter__)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        assert list(tmp_path.iterdir()) == []
        with first:
            assert waiting.result(timeout=60) is other
            before = contents(first.path)
            other.__exit__()
            assert contents(first.path) == before
            (first.path / "result").write_text("done")
    assert set(contents(tmp_path / "run")) == {"settings.json", "result"}
    monkeypatch.setattr("attention.files.run_directory.PATIENCE", 0.0)
    alone = RunDirectory(tmp_path / "alone", "test count", SETTINGS, owner=False)
    with pytest.raises(InputError, match="the first process has not made it"), alone:
        pass
    assert not (tmp_path / "alone").exists()


def test_settings_must_be_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        RunDirectory(tmp_path / "run", "test count", {"epsilon": float("nan")})


def test_reads_no_settings_where_there_is_no_run(tmp_path):
    with pytest.raises(InputError, match="holds no run of test count: give the --out directory"):
        read_settings(tmp_path / "nowhere", "test count")
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_settings(tmp_path)
