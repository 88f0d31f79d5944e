"""Pages of the site that follow from the code: the reference, a page for each room.

MkDocs calls the functions of this file while it builds (``hooks`` in mkdocs.yml).  A room is a
folder with a public list, ``__init__.pyi``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "attention": "scoring functions, the transformer, its training, and what attention explains",
    "tale_jax": "task-aware elimination of layers",
    "icl": "learning functions in context",
}
APART = {"__init__", "__main__", "cli"}  # not part of the ground of a package


def rooms(package: str) -> dict[str, list[str]]:
    """The pages of a package and the modules that each shows.

    Returns:
        Modules by page: ``ground`` for the files beside the rooms, then the rooms with the rooms
        inside them.
    """
    root = ROOT / package
    files = [file.stem for file in sorted(root.glob("*.py")) if file.stem not in APART]
    pages = {"ground": [f"{package}.{name}" for name in files]}
    for stub in sorted(root.rglob("__init__.pyi"), key=lambda path: path.parts[:-1]):
        parts = stub.parent.relative_to(root).parts
        if parts:
            pages.setdefault(parts[0], []).append(".".join([package, *parts]))
    return {name: modules for name, modules in pages.items() if modules}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference."""
    index = ["# Reference", "", "The public names of each room, from their docstrings.", ""]
    for package, about in PACKAGES.items():
        index += [f"## {package}", "", f"{about.capitalize()}.", ""]
        for name, modules in rooms(package).items():
            text = [f"# {package}.{name}" if name != "ground" else f"# {package}: the ground"]
            text += [f"::: {module}" for module in modules]
            place = f"reference/{package}/{name}.md"
            files.append(File.generated(config, place, content="\n\n".join(text) + "\n"))
            index.append(f"- [{name}]({package}/{name}.md)")
        index.append("")
    content = "\n".join(index)
    files.append(File.generated(config, "reference/index.md", content=content))
    return files


def on_config(config: Any) -> Any:
    """Add the pages of the reference to the navigation."""
    pages: list[Any] = ["reference/index.md"]
    for package in PACKAGES:
        names = rooms(package)
        pages.append({package: [{n: f"reference/{package}/{n}.md"} for n in names]})
    config.nav.append({"Reference": pages})
    return config
