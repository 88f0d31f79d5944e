"""The bundled model: real accuracies on its tasks, and the search that `make demo` runs."""

import json
import os
import subprocess
import sys

import pytest

from tale_jax import evaluate
from tale_jax.demo_tasks import DEMO_TASKS
from tale_jax.models import DEMO


@pytest.mark.parametrize("name", DEMO_TASKS)
def test_baselines_are_neither_chance_nor_saturated_and_those_of_the_readme(name):
    found = evaluate("demo", f"demo:{name}")
    accuracies = [found[split]["accuracy"] for split in ("search", "test")]
    assert all(0.6 <= accuracy <= 0.97 for accuracy in accuracies)
    shares = [f"{100 * accuracy:.1f}%" for accuracy in accuracies]
    assert f"| {name} | {shares[0]} | {shares[1]} |" in (DEMO / "README.md").read_text()


def test_the_demo_model_is_small_and_needs_no_more_than_its_folder():
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 4 * 2**20
    assert json.loads((DEMO / "config.json").read_text())["max_position_embeddings"] >= 4096


@pytest.mark.slow
def test_the_demo_search_from_the_command_line(tmp_path):
    out = tmp_path / "run"
    words = ["--model", "demo", "--task", "demo:boolean", "--limit", "60", "--max-drops", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tale_jax", "search", *words, "--out", str(out)],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 or any(str(out) in line for line in lines)
    assert [line.split()[0] for line in lines if line.startswith(("base", "BE", "BS"))][:3] == [
        "baseline",
        "BEST",
        "BSBA",
    ]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["num_layers"] == 12
    assert summary["baseline"]["test"]["total"] == 60
