"""Pages of the site that follow from the code: a page for each program and for each room.

MkDocs calls the functions of this file while it builds (``hooks`` in mkdocs.yml). A room is a
folder with a public list, ``__init__.pyi``.
"""

from __future__ import annotations

import html
import importlib
import json
import os
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "attention": "scoring functions, the transformer, its training, and what attention explains",
    "tale_jax": "task-aware elimination of layers",
    "icl": "learning functions in context",
}
PROGRAMS = {"tale": "tale_jax", "attn": "attention", "icl": "icl"}
APART = {"__init__", "__main__", "cli"}  # not part of the ground of a package


def rooms(package: str) -> dict[str, list[str]]:
    """The pages of a package and the modules that each shows.

    Returns:
        Modules by page: ``ground`` for the files beside the rooms, then the rooms with the rooms
        inside them.
    """
    root = ROOT / package
    files = [file.stem for file in sorted(root.glob("*.py")) if file.stem not in APART]
    found = {"ground": [f"{package}.{name}" for name in files]}
    for stub in sorted(root.rglob("__init__.pyi"), key=lambda path: path.parts[:-1]):
        parts = stub.parent.relative_to(root).parts
        if parts:
            found.setdefault(parts[0], []).append(".".join([package, *parts]))
    return {name: modules for name, modules in found.items() if modules}


def help_page(program: str) -> str:
    """The text of a page: what each command prints for ``--help``."""
    from attention.words import help_text

    os.environ["COLUMNS"] = "96"  # as wide as the page
    package = PROGRAMS[program]
    text = [f"# {program}"]
    for name, about in getattr(importlib.import_module(f"{package}.cli"), "COMMANDS", {}).items():
        place = name.replace("-", "_")
        function = getattr(importlib.import_module(f"{package}.commands.{place}"), place)
        shown = help_text(function.command, f"{program} {name}")
        text += [f"## {program} {name}", about, f"```text\n{shown}\n```"]
    return "\n\n".join(text) + "\n"


def pages() -> dict[str, dict[str, tuple[str, str]]]:
    """The pages of the reference.

    Returns:
        For each heading the place and the text of its pages, by name.
    """
    found = {"Commands": {p: (f"reference/commands/{p}.md", help_page(p)) for p in PROGRAMS}}
    for package in PACKAGES:
        found[package] = {}
        for name, modules in rooms(package).items():
            title = f"# {package}.{name}" if name != "ground" else f"# {package}: the ground"
            text = "\n\n".join([title, *(f"::: {module}" for module in modules)]) + "\n"
            found[package][name] = f"reference/{package}/{name}.md", text
    return found


def notebook_page(path: Path) -> str:
    """A notebook as a page: its texts, its code, and what it shows."""
    book = json.loads(path.read_text(encoding="utf-8"))
    text = []
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text.append(source)
            continue
        text.append(f"```python\n{source}\n```")
        text += [shown for output in cell["outputs"] if (shown := _shown(output))]
    text.insert(1, f"[Download this notebook]({path.name}): it runs on Colab, and here.")
    return "\n\n".join(text) + "\n"


def _shown(output: dict[str, Any]) -> str:
    """An output of a cell as HTML; empty for what is not shown."""
    data = output.get("data", {})
    text = "".join(data.get("text/plain", output.get("text", ""))).rstrip()
    if "text/html" in data:
        inner = "".join(data["text/html"])
    elif "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        inner = f'<img alt="figure" src="data:image/png;base64,{picture}">'
    elif text and output.get("name") != "stderr":
        inner = f"<pre>{html.escape(text)}</pre>"
    else:
        return ""
    return f'<div class="output">{inner}</div>'


def on_config(config: Any) -> Any:
    """Add the pages of the reference to the navigation."""
    chapters: list[Any] = ["reference/index.md"]
    for heading, chapter in pages().items():
        chapters.append({heading: [{name: place} for name, (place, _) in chapter.items()]})
    config.nav.append({"Reference": chapters})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the notebooks and of the reference."""
    for notebook in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        place = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, place, content=notebook_page(notebook)))
    index = ["# Reference", "", "The options of every command, and the public names of each room."]
    for heading, chapter in pages().items():
        index += ["", f"## {heading}", ""]
        if heading in PACKAGES:
            index += [f"{PACKAGES[heading].capitalize()}.", ""]
        for name, (place, text) in chapter.items():
            files.append(File.generated(config, place, content=text))
            index.append(f"- [{name}]({place.removeprefix('reference/')})")
    content = "\n".join(index) + "\n"
    files.append(File.generated(config, "reference/index.md", content=content))
    return files
