"""The bundled model: real accuracies on its tasks, and the search that `make demo` runs."""

import json
import math
import os
import re
import subprocess
import sys

import pytest

from tale_jax import evaluate
from tale_jax.models import DEMO
from tale_jax.tasks.demo_tasks import DEMO_TASKS


def of_the_readme(name):
    """Accuracy on the whole search and test splits."""
    pattern = rf"\| {name} \| ([0-9.]+)% \| ([0-9.]+)% \|"
    found = re.search(pattern, (DEMO / "README.md").read_text())
    assert found is not None
    return [float(share) / 100 for share in found.groups()]


def test_baselines_are_neither_chance_nor_saturated():
    for name in DEMO_TASKS:
        assert all(0.6 <= accuracy <= 0.97 for accuracy in of_the_readme(name))


@pytest.mark.quick("boolean")
@pytest.mark.parametrize("name", ["boolean", "facts", "quantifiers"])
def test_choices_are_made_as_the_readme_says(name):
    found = evaluate("demo", f"demo:{name}")
    for split, share in zip(("search", "test"), of_the_readme(name), strict=True):
        assert found[split]["accuracy"] == pytest.approx(share, abs=0.0005)


@pytest.mark.nightly  # the choices above are asked in every run
@pytest.mark.parametrize("name", ["arithmetic", "reverse"])
def test_answers_are_written_as_the_readme_says(name):
    """On the first 100 of each split, within three standard errors: writing takes long."""
    found = evaluate("demo", f"demo:{name}", limit=100)
    for split, share in zip(("search", "test"), of_the_readme(name), strict=True):
        assert found[split]["total"] == 100
        within = 3 * math.sqrt(share * (1 - share) / 100)
        assert found[split]["accuracy"] == pytest.approx(share, abs=within)


def test_the_demo_model_is_small_and_needs_no_more_than_its_folder():
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 4 * 2**20
    assert json.loads((DEMO / "config.json").read_text())["max_position_embeddings"] >= 4096


@pytest.mark.nightly
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
