"""Two processes with four devices each, against one with eight: the same run, also stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

STEPS = 12
WORDS = [
    "train", "--preset", "linear-1l2ah", "--batch", "16", "--points", "5", "--hidden-size", "8",
    "--dispatch", "1", "--log-every", "1", "--accumulate", "1", "--quiet",
]  # fmt: skip
SHORT = [*WORDS, "--steps", str(STEPS), "--save-every", "4"]
LONG = [*WORDS, "--save-every", "50000", "--steps"]  # and how many
LOST = 60  # seconds after which a process is gone whose fellow was killed
CODE = "import sys; from {package}.cli import main; main(sys.argv[1:])"


def start(out, words, devices, process=None, port=0, package="icl"):
    count = f" --xla_force_host_platform_device_count={devices}"
    environment = {
        **os.environ,
        "XLA_FLAGS": os.environ["XLA_FLAGS"] + count,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(Path(out).parent / "cache"),
    }
    if process is not None:
        environment |= {
            "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(process),
        }
    command = [sys.executable, "-c", CODE.format(package=package), *words]
    if words[0] != "evaluate":  # which has no directory
        command += ["--out", str(out)]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def two(out, words, package="icl"):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [start(out, words, 4, process, port, package) for process in (0, 1)]


def ended(processes, timeout=900):
    """Exit codes, and what was written to the standard error."""
    errors = [process.communicate(timeout=timeout)[1] for process in processes]
    return [process.returncode for process in processes], errors


def losses(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def wait_for_step(out, step, processes):
    path = out / "metrics.jsonl"
    end = time.monotonic() + 900
    while not (path.exists() and len(path.read_text().splitlines()) > step):
        assert all(process.poll() is None for process in processes), ended(processes)
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.nightly
def test_two_processes_train_like_one_and_stop_together(tmp_path):
    one, both = tmp_path / "one", tmp_path / "two"
    codes, errors = ended([start(one, SHORT, 8)])
    assert codes == [0], errors
    running = two(both, [*LONG, "100000"])
    wait_for_step(both, 3, running)
    running[1].send_signal(signal.SIGTERM)  # one of them is asked, and both stop
    codes, errors = ended(running)
    assert codes == [75, 75], errors
    assert all("preempted" in error for error in errors), errors
    first = losses(both)
    np.testing.assert_allclose(first[:STEPS], losses(one)[: len(first)], rtol=1e-5)
    # what two have saved, one goes on with
    codes, errors = ended([start(both, [*LONG, str(len(first) + 2)], 8)])
    assert codes == [0], errors
    assert len(losses(both)) == len(first) + 2


@pytest.mark.nightly
@pytest.mark.parametrize("mesh", ["data=-1", "data=1,model=-1", "fsdp=2,model=4"])
def test_meshes_over_two_processes(tmp_path, mesh):
    one, both = tmp_path / "one", tmp_path / "two"
    words = [*SHORT, "--mesh", mesh]
    assert ended([start(one, words, 8)])[0] == [0]
    codes, errors = ended(two(both, words))
    assert codes == [0, 0], errors
    np.testing.assert_allclose(losses(both), losses(one), rtol=1e-5)


@pytest.mark.nightly
def test_a_run_goes_on_with_other_processes_and_devices(tmp_path):
    one, out = tmp_path / "one", tmp_path / "moved"
    assert ended([start(one, [*LONG, "12"], 8)])[0] == [0]
    codes, errors = ended(two(out, [*LONG, "4"]))  # 2 processes with 4 devices each
    assert codes == [0, 0], errors
    for steps, devices in (("8", 8), ("12", 1)):
        codes, errors = ended([start(out, [*LONG, steps], devices)])
        assert codes == [0], errors
    np.testing.assert_allclose(losses(out), losses(one), rtol=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other(tmp_path, victim):
    out = tmp_path / "out"
    running = two(out, [*LONG, "100000"])
    wait_for_step(out, 3, running)
    running[victim].kill()
    _, error = running[1 - victim].communicate(timeout=LOST)
    running[victim].communicate()
    assert running[1 - victim].returncode == 75, error
    [line] = error.splitlines()
    assert line.startswith("icl: another process of this run has ended; go on with: icl"), error


PRETRAIN = [
    "pretrain", "--steps", "6", "--length", "16", "--batch", "8", "--vocabulary", "300", "--quiet",
    "--log-every", "1", "--evaluate-every", "3", "--evaluate-rows", "16", "--save-every", "3",
]  # fmt: skip
FINETUNE = [
    "finetune", "--model", "demo", "--task", "demo:boolean", "--limit", "40", "--steps", "6",
    "--batch-size", "8", "--lora-rank", "3", "--lora-dropout", "0", "--quiet",
    "--no-compilation-cache",
]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("package", "words", "file"),
    [("attention", PRETRAIN, "metrics.jsonl"), ("tale_jax", FINETUNE, "training/metrics.jsonl")],
)
def test_two_processes_train_language_models_like_one(tmp_path, package, words, file):
    one, both = tmp_path / "one", tmp_path / "two"
    codes, errors = ended([start(one, words, 8, package=package)])
    assert codes == [0], errors
    codes, errors = ended(two(both, words, package))
    assert codes == [0, 0], errors
    found, expected = (
        [json.loads(line)["loss"] for line in (out / file).read_text().splitlines()]
        for out in (both, one)
    )
    assert found == pytest.approx(expected, rel=1e-5) and found
    names = [
        sorted(str(f.relative_to(out)) for f in out.rglob("*.safetensors")) for out in (both, one)
    ]
    assert names[0] == names[1] and names[0]


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)],
)
def test_one_process_saves_when_it_is_asked_to_stop(tmp_path, number):
    out = tmp_path / "out"
    running = [start(out, [*LONG, "100000"], 1)]
    wait_for_step(out, 3, running)
    running[0].send_signal(number)
    codes, errors = ended(running)
    assert codes == [75 if number == signal.SIGTERM else 130], errors
    assert "icl train" in errors[0]
    saved = [int(path.name) for path in (out / "checkpoints").iterdir() if path.name.isdecimal()]
    assert max(saved) == len(losses(out))


@pytest.mark.nightly
@pytest.mark.parametrize("protocol", ["loglikelihood", "decode"])
def test_two_processes_search_like_one(tmp_path, protocol):
    words = [
        "search", "--model", "demo", "--task", "demo:boolean", "--limit", "40", "--quiet",
        "--mesh", "data=-1,model=2", "--max-drops", "2", "--no-compilation-cache",
        "--protocol", protocol,
    ]  # fmt: skip
    codes, errors = ended([start(tmp_path / "one", words, 8, package="tale_jax")])
    assert codes == [0], errors
    codes, errors = ended(two(tmp_path / "two", words, "tale_jax"))
    assert codes == [0, 0], errors
    summaries = [json.loads((tmp_path / n / "summary.json").read_text()) for n in ("one", "two")]
    for name in ("baseline", "best", "bsba"):
        assert summaries[0][name] == summaries[1][name]


@pytest.mark.nightly
@pytest.mark.parametrize("protocol", ["loglikelihood", "decode"])
def test_two_processes_evaluate_like_one(tmp_path, protocol):
    words = [
        "evaluate", "--model", "demo", "--task", "demo:boolean", "--limit", "37", "--quiet",
        "--mesh", "data=-1,model=2", "--drop", "3", "--no-compilation-cache", "--json",
        "--protocol", protocol,
    ]  # fmt: skip
    [alone] = said([start(tmp_path / "one", words, 8, package="tale_jax")])
    first, second = said(two(tmp_path / "two", words, "tale_jax"))
    assert json.loads(first) == json.loads(alone)
    assert second == ""  # the first process speaks for both


def said(processes):
    """What processes print which end well: nothing but their results."""
    found = [process.communicate(timeout=900) for process in processes]
    assert all(process.returncode == 0 for process in processes), found
    return [out for out, _ in found]
