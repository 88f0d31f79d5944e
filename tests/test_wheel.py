"""What is shipped: the wheel holds all that a command needs, and the sdist makes the same wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("attention", "icl", "tale_jax")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(out)], check=True, capture_output=True,
                          text=True, cwd=ROOT)  # fmt: skip
    return out / done.stdout.split()[-1]


@pytest.mark.nightly
def test_the_wheel_has_every_file_of_the_packages(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(ROOT)) in names
        assert f"{package}/py.typed" in names


@pytest.mark.nightly
def test_the_wheel_alone_runs(wheel, tmp_path):
    """In a venv that has the libraries and this wheel, away from the sources."""
    folder = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(folder), str(wheel)], check=True, capture_output=True)
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import tale_jax; "
        f"assert tale_jax.__file__.startswith({str(folder)!r}); "
        "from tale_jax.cli import main; main(sys.argv[1:])"
    )
    words = ["search", "--model", "demo", "--task", "demo:boolean", "--limit", "13",
             "--max-drops", "1", "--out", "run"]  # fmt: skip
    subprocess.run([sys.executable, "-I", "-c", code, *words], check=True, cwd=tmp_path)
    assert (tmp_path / "run" / "report.html").is_file()
