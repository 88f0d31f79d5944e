"""README and docs say what is so: links lead somewhere, commands parse, examples run."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from attention.choices import Choices
from attention.command_line import SHARED, command
from attention.words import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PROGRAMS = {"tale": "tale_jax", "icl": "icl", "attn": "attention"}
PACKAGES = set(PROGRAMS.values())
MADE_BY_THE_SITE = "reference/"  # docs/site_pages.py
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Commands that take under 5 seconds, of those that the pages name.
QUICK = ["tale tasks"]


class Block(NamedTuple):
    """A fenced piece of a page."""

    language: str
    file: str
    text: str


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    return [Block(*found.groups("")) for found in FENCE.finditer(text)]


def without_blocks(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """What headings are called in links, as the site and GitHub make it."""
    found = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in found)
    return {re.sub(r"[-\s]+", "-", heading) for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for link in LINK.findall(without_blocks(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if MADE_BY_THE_SITE in path:
            continue
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def lines() -> Iterator[tuple[Path, str]]:
    """Every command of every page, on one line; those of the page about extending are run."""
    for page in PAGES:
        if page.name == "extending.md":
            continue
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "sh":
                for line in block.text.replace("\\\n", " ").splitlines():
                    if line.split("#")[0].strip():
                        yield page, line


@cache
def function_of(program: str, name: str) -> Any:
    """The command of a program, or the one function of a script."""
    if program in PROGRAMS:
        package = "attention" if name in SHARED else PROGRAMS[program]
        module = importlib.import_module(f"{package}.commands.{name.replace('-', '_')}")
        return getattr(module, name.replace("-", "_"))
    spec = importlib.util.spec_from_file_location(f"docs_{Path(name).stem}", ROOT / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks for the names of its types
    sys.path.insert(0, str((ROOT / name).parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module.main


def check(line: str) -> None:
    """Fail unless a command line is understood."""
    words = shlex.split(line.replace("$(cat dropped.txt)", "3,5"), comments=True)
    program, *rest = words
    if program == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        assert rest[0] == "install"
    elif program == "pytest":
        assert (ROOT / rest[0]).exists()
    elif program == "python" and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]) is not None
    elif program in PROGRAMS or rest[0].startswith("scripts/"):
        name, *options = rest
        function = function_of(program, name)
        found = function if hasattr(function, "command") else command(function)
        parse(found.command, options, program, f"{program} {name}")
    else:
        raise AssertionError(f"{program} is not known")


@pytest.mark.parametrize("page, line", [*lines()], ids=str)
def test_commands_are_understood(page, line, tmp_path, monkeypatch):
    for option in re.findall(r"--config (\S+)", line):  # what a run of before has written
        kept = tmp_path / option
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("model: demo\ntask: demo:boolean\n")
        monkeypatch.chdir(tmp_path)
    check(line)


@pytest.mark.parametrize("line", QUICK)
def test_quick_commands_run(line, capsys):
    assert line in {shlex.join(shlex.split(found, comments=True)) for _, found in lines()}
    program, *words = line.split()
    importlib.import_module(f"{PROGRAMS[program]}.cli").main(words)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_is_python(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python":
            compile(block.text, named(page), "exec", dont_inherit=True)


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A folder of one's own; tables and modules are as before afterwards."""
    ours = [vars(module) for name, module in sys.modules.items() if name.split(".")[0] in PACKAGES]
    tables = {id(value): value for names in ours for value in names.values()
              if isinstance(value, Choices)}  # fmt: skip
    before = [(table, dict(table)) for table in tables.values()]
    modules = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for table, rows in before:
        table.clear()
        table.update(rows)
    for name in set(sys.modules) - modules:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


def follow(found: list[Block], folder: Path) -> None:
    """Do what a reader does: write the files, run the commands and the code, in order."""
    scope: dict[str, Any] = {"__name__": "example"}
    for block in found:
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, "example", "exec", dont_inherit=True), scope)
        elif block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                program, *words = shlex.split(line, comments=True)
                if program in PROGRAMS:
                    importlib.import_module(f"{PROGRAMS[program]}.cli").main(words)
                else:
                    script(folder / words[0], words[1:])


def script(file: Path, words: list[str]) -> None:
    module = importlib.import_module(file.stem)
    from attention.command_line import run_script

    run_script(getattr(module, file.stem), words)


def sections() -> dict[str, list[Block]]:
    """The examples of each section of the page about extending."""
    _, *parts = re.split(r"^## ", (ROOT / "docs/extending.md").read_text(), flags=re.MULTILINE)
    found = {part.splitlines()[0]: blocks(part) for part in parts}
    assert len(found) == len(parts), "two sections have one name"
    return found


# Those that train, search or convert a model: `make nightly` runs them.
LONG = [
    "An intervention", "A criterion", "A model family", "A tracker", "A protocol",
    "A normalizer", "An export format", "An in-context task kind",
    "A distribution, a prompting strategy, a design",
]  # fmt: skip


@pytest.mark.quick(*(name for name in sections() if name not in LONG))
@pytest.mark.parametrize("section", [*sections()])
def test_extending_works_from_outside(section, apart):
    found = sections()[section]
    assert found, "no example"
    follow(found, apart)


GUIDES = ["scoring", "explanation", "training"]


@pytest.mark.quick("scoring", "explanation")
@pytest.mark.parametrize("guide", GUIDES)
def test_examples_of_guides_run(guide, apart):
    """All Python of a guide, but for what needs the hub."""
    text = (ROOT / "docs/guides" / f"{guide}.md").read_text(encoding="utf-8")
    found = [b for b in blocks(text) if b.language == "python" and "Qwen/" not in b.text]
    assert found
    follow(found, apart)
