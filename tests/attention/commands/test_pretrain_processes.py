"""Pretraining in processes of its own: killed and resumed, and on eight devices."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attention.files import read_json_lines

RUN = [sys.executable, "-c", "import sys; from attention.cli import main; main(sys.argv[1:])"]
HOW = (
    "pretrain --steps 9 --length 16 --batch 8 --vocabulary 300 --save-every 2 --log-every 1 "
    "--evaluate-every 3 --evaluate-rows 16 --normalizer ssa --quiet"
).split()


def command(out: Path, cache: Path, *more: str, devices: int = 1) -> subprocess.Popen:
    flags = os.environ["XLA_FLAGS"] + f" --xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "XLA_FLAGS": flags}
    return subprocess.Popen([*RUN, *HOW, "--out", str(out), *more], env=env)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert command(folder / "run", folder / "cache").wait(600) == 0
    return folder


@pytest.mark.nightly
def test_killed_and_resumed_bitwise(whole, tmp_path):
    out = tmp_path / "run"
    process = command(out, whole / "cache")
    for _ in range(3000):
        if (out / "checkpoints/4").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert command(out, whole / "cache").wait(600) == 0
    for name in ("model/model.safetensors", "heldout.jsonl", "summary.json"):
        assert (out / name).read_bytes() == (whole / "run" / name).read_bytes(), name
    losses = [
        [(line["step"], line["loss"]) for line in read_json_lines(each / "metrics.jsonl")]
        for each in (out, whole / "run")
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 9


@pytest.mark.nightly
@pytest.mark.parametrize("mesh", ["data=8", "data=4,model=2"])
def test_eight_devices_as_one(whole, tmp_path, mesh):
    out = tmp_path / "run"
    assert command(out, whole / "cache", "--mesh", mesh, devices=8).wait(600) == 0
    found, expected = (
        [line["loss"] for line in read_json_lines(each / "heldout.jsonl")]
        for each in (out, whole / "run")
    )
    assert found == pytest.approx(expected, rel=1e-4)
