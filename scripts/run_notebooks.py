"""Run the notebooks of docs/notebooks and keep what they show.

    python scripts/run_notebooks.py            # about six minutes on 2 cores

Cells with the tag ``sizes`` hold how much is done; ``--small`` takes their small values.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from attention.command_line import Commas, Result, run_script

FOLDER = Path(__file__).parents[1] / "docs/notebooks"
LONGEST = 900  # seconds of a cell


def main(
    notebook: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    *,
    small: bool = False,
    write: bool = True,
) -> Result:
    """Run notebooks in folders of their own, and keep their outputs.

    Args:
        notebook: names without .ipynb; by default all
        small: run the small sizes; then nothing is written
        write: keep the outputs in the notebooks
    """
    import nbformat

    names = notebook or tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb")))
    books = {name: nbformat.read(FOLDER / f"{name}.ipynb", 4) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        run_books(list(books.values()), Path(folder), small)
    for name, book in books.items():
        if write and not small:
            nbformat.write(book, FOLDER / f"{name}.ipynb")
    return Result({"notebooks": list(names)}, f"ran {', '.join(names)}")


def run_books(books: list[Any], folder: Path, small: bool) -> None:
    """Run notebooks, one after another in one kernel, so that JAX is imported once.

    Args:
        books: what `nbformat` read; they get their outputs.
        folder: in which they run.
        small: take the small sizes.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    import nbclient
    import nbformat

    root = str(FOLDER.parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    cells = [cell for book in books for cell in book.cells]
    if small:
        for cell in cells:
            cell.source = cell.metadata.get("small", cell.source)
    whole = nbformat.v4.new_notebook(cells=cells, metadata=books[0].metadata)
    options: dict[str, Any] = {"resources": {"metadata": {"path": str(folder)}}}
    nbclient.NotebookClient(whole, timeout=LONGEST, kernel_name="python3", **options).execute()
    for cell in cells:
        cell.metadata.pop("execution", None)  # times
        if "outputs" in cell:  # warnings name places of this machine
            cell.outputs = [shown for shown in cell.outputs if shown.get("name") != "stderr"]


if __name__ == "__main__":
    run_script(main)
