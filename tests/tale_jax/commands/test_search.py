"""The commands as a user calls them, on tiny random models."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import Transformer, load_pretrained
from tale_jax import evaluate, export, search
from tale_jax.cli import main

PICKS = ("baseline", "best", "bsba")


def write_task(file: Path, count: int, seed: int = 0, **fields) -> Path:
    number = np.random.default_rng(seed)
    letters = list("abcdefghij")

    def line() -> dict:
        prompt = "".join(number.choice(letters, number.integers(9, 13)))
        return {"prompt": prompt, "choices": ["ab", "cd", "e"], "answer": int(number.integers(3))}

    file.write_text("".join(json.dumps({**line(), **fields}) + "\n" for _ in range(count)))
    return file


@pytest.fixture(scope="module")
def folder(write_model, tmp_path_factory) -> Path:
    """A folder with the model `tiny`, the task `task.jsonl` and the file `test.jsonl`."""
    root = tmp_path_factory.mktemp("commands")
    write_model(root / "tiny")
    write_task(root / "task.jsonl", 47)
    write_task(root / "test.jsonl", 31, seed=1)
    return root


@pytest.fixture(scope="module")
def run(folder) -> Path:
    """A finished search."""
    search(
        str(folder / "tiny"),
        str(folder / "task.jsonl"),
        folder / "run",
        **options_of_run(folder),
    )
    return folder / "run"


def test_the_files_of_a_run_agree(run, folder):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["num_layers"] == 5
    assert summary["examples"] == 47
    assert summary["too_long"] == 0
    assert summary["protocol"] == "loglikelihood"
    assert summary["compilations"] > 0
    with (run / "candidates.csv").open() as file:
        candidates = list(csv.DictReader(file))
    steps = [json.loads(line) for line in (run / "trajectory.jsonl").read_text().splitlines()]
    for step in steps:
        scored = [c for c in candidates if int(c["iteration"]) == step["iteration"]]
        assert len(scored) == 6 - step["iteration"]
        assert step["correct"] == max(int(c["correct"].removeprefix("<=")) for c in scored)
        assert step["correct"] / 47 >= summary["baseline"]["accuracy"] - 0.2
    predictions = [json.loads(x) for x in (run / "predictions.jsonl").read_text().splitlines()]
    for pick in PICKS:
        found = summary[pick]
        for split, part in (("search", found), ("test", found["test"])):
            rows = [p for p in predictions if p["split"] == split and p["pick"] == pick]
            assert sum(row["correct"] for row in rows) == part["correct"]
            assert len(rows) == part["total"] == {"search": 47, "test": 31}[split]
        again = evaluate(
            str(folder / "tiny"),
            str(folder / "task.jsonl"),
            drop=found["dropped"],
            test=str(folder / "test.jsonl"),
        )
        assert again["search"]["correct"] == found["correct"]
        assert again["test"]["correct"] == found["test"]["correct"]
    assert "<svg" in (run / "report.html").read_text()


def test_an_exported_model_is_the_one_that_was_scored(write_model, run, folder, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    for pick in ("best", "bsba"):
        found = export(run, pick, tmp_path / pick)
        assert found["dropped"] == summary[pick]["dropped"]
        again = evaluate(str(tmp_path / pick), str(folder / "task.jsonl"))
        assert again["search"]["correct"] == summary[pick]["correct"]
        config, params = load_pretrained(tmp_path / pick)
        full, whole = load_pretrained(folder / "tiny")
        tokens = np.arange(11)[None]
        mask = tuple(i not in found["dropped"] for i in range(5))
        apply = jax.jit(Transformer(full).apply, static_argnames="layer_mask")
        expected = apply({"params": whole}, tokens, layer_mask=mask)
        logits = jax.jit(Transformer(config).apply)({"params": params}, tokens)
        np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
        readme = (tmp_path / pick / "README.md").read_text()
        assert "task.jsonl" in readme
        assert str(found["kept"])[1:-1] in readme
    with pytest.raises(InputError, match="not an empty folder"):
        export(run, "best", tmp_path / "best")
    write_model(tmp_path / "other", seed=3)
    with pytest.raises(InputError, match="not the checkpoint"):
        export(run, "best", tmp_path / "fresh", model=str(tmp_path / "other"))
    assert not (tmp_path / "fresh").exists()


def contents(directory: Path) -> dict[str, str]:
    files = {p.name: p.read_text() for p in directory.iterdir()}
    files["summary.json"] = re.sub(r'"(seconds|compilations)": [0-9.]+', "", files["summary.json"])
    return files


def options_of_run(folder: Path) -> dict:
    return {"epsilon": 0.2, "test": str(folder / "test.jsonl")}


def test_a_journal_cut_anywhere_ends_with_the_same_files(run, folder, tmp_path):
    """All that a kill can leave is a beginning of the journal, to the byte."""
    whole = (run / "journal.jsonl").read_bytes()
    model, task = str(folder / "tiny"), str(folder / "task.jsonl")
    number = np.random.default_rng(5)
    for place in (1, *number.integers(2, len(whole), 1).tolist(), len(whole) - 1):
        (tmp_path / f"{place}").mkdir()
        shutil.copy(run / "settings.json", tmp_path / f"{place}")
        (tmp_path / f"{place}" / "journal.jsonl").write_bytes(whole[:place])
        search(model, task, tmp_path / f"{place}", resume=True, **options_of_run(folder))
        assert contents(tmp_path / f"{place}") == contents(run), place


KILLED = """
import os, signal
from tale_jax import search
from attention.files import Journal

append, lines = Journal.append, []

def killing(self, kind, **fields):
    append(self, kind, **fields)
    lines.append(kind)
    if len(lines) == 7:
        os.kill(os.getpid(), signal.SIGKILL)

Journal.append = killing
search(*{arguments!r}, **{options!r})
"""


@pytest.mark.nightly  # test_runs.py kills one that compiles nothing
def test_a_killed_search_goes_on_to_the_same_files(run, folder, tmp_path):
    arguments = [str(folder / "tiny"), str(folder / "task.jsonl"), str(tmp_path / "killed")]
    code = KILLED.format(arguments=arguments, options=options_of_run(folder))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len((tmp_path / "killed" / "journal.jsonl").read_text().splitlines()) == 7
    search(*arguments, resume=True, **options_of_run(folder))
    assert contents(tmp_path / "killed") == contents(run)


def test_a_directory_is_not_used_twice(run, folder, failing):
    usual = [
        "search", "--model", str(folder / "tiny"), "--task", str(folder / "task.jsonl"),
        "--out", str(run), "--no-compilation-cache",
    ]  # fmt: skip
    before = contents(run)
    assert "already holds a run" in failing(*usual)
    assert "other settings" in failing(*usual, "--resume")
    assert contents(run) == before


def test_a_finished_run_resumes_to_itself(run, folder, capsys):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    search(
        str(folder / "tiny"),
        str(folder / "task.jsonl"),
        run,
        epsilon=0.2,
        test=str(folder / "test.jsonl"),
        resume=True,
    )
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before
    # The answers are random, so the model is told to be at chance.
    assert "baseline: not above one fixed answer" in capsys.readouterr().err


def test_data_folders_and_holdout(folder, tmp_path):
    for split, seed in (("validation", 2), ("test", 3), ("train", 4)):
        (tmp_path / "mine").mkdir(exist_ok=True)
        write_task(tmp_path / "mine" / f"{split}.jsonl", 11, seed)
    model = str(folder / "tiny")
    found = evaluate(model, "mine", data=str(tmp_path), shots=1, limit=7)
    assert (found["search"]["total"], found["test"]["total"]) == (7, 7)
    found = evaluate(model, str(folder / "task.jsonl"), holdout=0.5)
    assert found["search"]["total"] + found["test"]["total"] == 47
    with pytest.raises(InputError, match=r"no validation\.jsonl"):
        evaluate(model, "theirs", data=str(tmp_path))


def test_decoding_a_task_with_choices(folder):
    found = evaluate(str(folder / "tiny"), str(folder / "task.jsonl"), protocol="decode")
    assert 0 < found["search"]["unparsed"] <= 47
    with pytest.raises(InputError, match="unknown protocol"):
        evaluate(str(folder / "tiny"), str(folder / "task.jsonl"), protocol="guess")


@pytest.mark.nightly  # training/test_processes.py has eight devices
def test_eight_devices_give_the_same_run(run, folder, tmp_path):
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    code = (
        "import jax, sys; assert jax.device_count() == 8; from tale_jax.cli import main; "
        "main(sys.argv[1:])"
    )
    subprocess.run(
        [
            sys.executable, "-c", code, "search", "--model", str(folder / "tiny"), "--task",
            str(folder / "task.jsonl"), "--test", str(folder / "test.jsonl"), "--epsilon", "0.2",
            "--out", str(tmp_path / "eight"), "--no-compilation-cache", "--mesh", "data=-1,model=2",
        ],
        env={**os.environ, "XLA_FLAGS": flags},
        check=True,
    )  # fmt: skip
    assert (tmp_path / "eight" / "candidates.csv").read_text() == (
        run / "candidates.csv"
    ).read_text()


def test_real_model_and_real_minimal_pairs(shared, tmp_path):
    import gzip

    lines = []
    source = shared / "blimp" / "determiner_noun_agreement_1.jsonl.gz"
    for number, line in enumerate(gzip.decompress(source.read_bytes()).splitlines()):
        pair = json.loads(line)
        choices = [pair["sentence_good"], pair["sentence_bad"]]
        answer = number % 2
        lines.append({"prompt": "", "choices": choices[:: 1 - 2 * answer], "answer": answer})
    task = tmp_path / "pairs.jsonl"
    task.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = evaluate(str(shared / "models" / "stories260K-hf"), str(task))
    assert found["search"]["correct"] == 680


def test_ctrl_c_prints_the_command_that_resumes(folder, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tale_jax.opening.named.load_task", interrupted)
    words = ["search", "--model", "demo", "--task", "a b.jsonl", "--out", "run"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--no-compilation-cache"])
    assert ended.value.code == 130
    again = "tale search --model demo --task 'a b.jsonl' --out run --no-compilation-cache"
    assert capsys.readouterr().err.strip().endswith(f"{again} --resume")
