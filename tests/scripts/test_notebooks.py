"""The notebooks run, whole and with small sizes; what they show is kept."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "docs/notebooks").glob("*.ipynb"))
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
nbformat = pytest.importorskip("nbformat")


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("run_notebooks")


def read():
    return {name: nbformat.read(ROOT / f"docs/notebooks/{name}.ipynb", 4) for name in NAMES}


def shown(book):
    """The kinds of what the cells show."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    return {kind for output in outputs for kind in output.get("data", ())}


@pytest.mark.nightly
def test_notebooks_run_with_small_sizes(script, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    books = read()
    script.run_books(list(books.values()), tmp_path, small=True)
    for name in NAMES:
        kinds = shown(books[name])
        assert kinds, f"{name} shows something"
        # The one across the packages compares numbers; the others show a command's result.
        assert name == "across" or "text/html" in kinds, f"{name} has a rich display"


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_notebooks_run_as_they_are(script, name, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    script.run_books([read()[name]], tmp_path, small=False)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_kept(name):
    book = read()[name]
    assert book.cells[1].source.startswith("import importlib.util"), "the first cell installs"
    ran = [cell for cell in book.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in ran), "make notebooks keeps what they show"
    assert not any(o.output_type == "error" for cell in ran for o in cell.outputs)
