"""What is shipped: the wheel holds all that a command needs, and the sdist makes the same wheel."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("attention", "icl", "tale_jax")


def built(kind, out, source):
    """The wheel or the sdist that the build backend makes of a folder."""
    pytest.importorskip("hatchling")
    code = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(out)], check=True, capture_output=True,
                          text=True, cwd=source)  # fmt: skip
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", tmp_path_factory.mktemp("dist"), ROOT)


@pytest.mark.nightly
def test_the_wheel_has_every_file_of_the_packages(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(ROOT)) in names
        assert f"{package}/py.typed" in names


@pytest.mark.nightly
def test_the_sdist_is_whole_and_makes_the_same_wheel(wheel, tmp_path):
    with tarfile.open(built("sdist", tmp_path, ROOT)) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    for name in ("Makefile", "README.md", "LICENSE", "mkdocs.yml", "docs/index.md",
                 "tests/test_wheel.py", "scripts/benchmark_search.py"):  # fmt: skip
        assert (source / name).exists(), f"the sdist lacks {name}"
    again = zipfile.ZipFile(built("wheel", tmp_path, source))
    first = zipfile.ZipFile(wheel)
    files = [{i.filename: i.CRC for i in z.infolist()} for z in (first, again)]
    assert files[0] == files[1]


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
