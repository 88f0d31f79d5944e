"""The scripts for an accelerator run without the libraries that only add convenience."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
MISSING = (
    *("datasets", "docstring_parser", "gguf", "lm_eval", "msgspec", "tyro"),
    "transformers.integrations.gguf",  # of newer versions
)
BLOCK = f"""
import sys
sys.modules |= dict.fromkeys({MISSING})  # an import of these fails
sys.path.insert(0, {str(SCRIPTS)!r})
"""
ROWS = {
    "benchmark_search": (
        "import benchmark_search\n"
        "found = benchmark_search.main(rows=('llama-8b',), tiny=True)['llama-8b']\n"
        "assert found['iterations'] == 5 and found['examples'] == 23"
    ),
    "benchmark_icl": (
        "import benchmark_icl\n"
        "benchmark_icl.main(models=('1l1ah',), seeds=(2,), rival=False, blocks=1, steps=2)"
    ),
}


@pytest.mark.nightly
@pytest.mark.quick("benchmark_icl")
@pytest.mark.parametrize("name", ROWS)
def test_a_tiny_run_without_conveniences(name):
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + ROWS[name]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert name != "benchmark_icl" or '"1L1AH x2"' in done.stdout.splitlines()[-1]


def test_missing_libraries_are_missing():
    """The block blocks: without it this test would prove nothing."""
    code = BLOCK + "import datasets"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr
