"""The house rules of CONTRIBUTING.md that can be checked by reading the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import itertools
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import pytest

ROOT = Path(__file__).parents[1]

# Rooms and modules of each package in their order.  A line may import the lines before it.  What
# stands in one line does not import the rest of that line, except that the ground is one room.
GROUND = (
    "errors choices completion limits invocation marks flags signature results words "
    "options terminal statistics command_line"
)
ORDER = {
    "attention": [
        f"{GROUND} files processes",
        "meshes",
        "normalizers",
        "dot_product",
        "transformer",
        "likelihood",
        "training",
        "compilation",
        "language",
        "explanation",
        "commands",
        "cli",
    ],
    "tale_jax": [
        "units",
        "tasks",
        "elimination",
        "runs options",
        "models",
        "scoring",
        "criteria formats",
        "opening",
        "analysis finetuning harness",
        "searches",
        "commands",
        "cli",
    ],
    "icl": ["tasks", "training", "evaluation", "analysis language papers", "commands", "cli"],
}
# Packages that a package may import besides itself.
BELOW = {"attention": set(), "tale_jax": {"attention"}, "icl": {"attention"}}
NO_JAX = ("tale_jax.tasks", "tale_jax.elimination", "tale_jax.runs", "attention.files")
NEVER = {"torch", "pickle", "tyro"}
FOR_TORCH = {"attention.transformer.huggingface.torch_attention"}  # SSA in models of transformers
# Libraries that are an extra, or take long to import and are needed by few: imported where used.
LATE = {
    *"datasets lm_eval httpx matplotlib rich transformers tokenizers huggingface_hub".split(),
    *"yaml tensorboardX wandb mlflow".split(),
    *"docstring_parser scipy sklearn jinja2 torch optax jax filelock importlib".split(),
}
ENDINGS = ("s", "ing", "er", "ning", "_options")
JUNK = set("utils util common helpers helper misc core base".split())
MOST_LINES, LONGEST_FUNCTION, MOST_MODULES = 300, 60, 15


class Import(NamedTuple):
    """One name that a file imports."""

    module: str
    name: str | None  # of ``from module import name``
    inner: bool  # inside a function


def sources(*folders: str) -> list[Path]:
    return [file for folder in folders or ORDER for file in sorted((ROOT / folder).rglob("*.py"))]


def module_of(file: Path) -> str:
    dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


MODULES = {module_of(file): file for file in sources()}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path) -> tuple[Import, ...]:
    functions = [n for n in ast.walk(tree(file)) if isinstance(n, ast.FunctionDef)]
    inner = {id(child) for function in functions for child in ast.walk(function)}
    found = []
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, id(node) in inner) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [alias.name for alias in node.names]
            found += [Import(node.module or "", name, id(node) in inner) for name in names]
    return tuple(found)


def targets(file: Path) -> Iterator[str]:
    """Modules and rooms of the project that a file imports."""
    for module, name, _ in imports(file):
        if module.split(".")[0] in ORDER:
            whole = f"{module}.{name}"
            yield whole if whole in MODULES else module


def rank(module: str) -> int:
    package, *rest = module.split(".")
    if not rest or rest == ["__main__"]:
        return len(ORDER[package]) if rest else -1
    lines = [i for i, line in enumerate(ORDER[package]) if rest[0] in line.split()]
    assert lines, f"{module} has no place in ORDER"
    return lines[0]


def room(module: str) -> str:
    """The folder that a module lies in."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


@cache
def listed(folder: str) -> dict[str, str | None]:
    """The public names of a room and the modules they come from; None for a module itself."""
    stub = MODULES[folder].with_suffix(".pyi")
    body = tree(stub).body if stub.is_file() else []
    return {
        alias.asname or alias.name: node.module
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def upward(file: Path) -> Iterator[str]:
    """Imports of a file that go up, or into a package beside its own."""
    own = module_of(file)
    package, *rest = own.split(".")
    for target in targets(file):
        other, *there = target.split(".")
        if other not in {package} | BELOW[package]:
            yield f"{own} imports {target}"
        if other != package or not rest or rest[:1] == there[:1]:
            continue
        ground = package == "attention" and rank(own) == rank(target) == 0
        if not ground and rank(target) >= rank(own):
            yield f"{own} imports {target}, which is above it"


def test_imports_walk_downstairs_only():
    assert [line for file in sources() for line in upward(file)] == []


def private(file: Path) -> Iterator[str]:
    """Imports of a file that no room lists."""
    own = module_of(file)
    for module, name, _ in imports(file):
        if module.split(".")[0] not in ORDER or module.count(".") == 0:
            continue
        folder = room(module)
        if folder.count(".") == 0 or f"{own}.".startswith(f"{folder}."):
            continue  # a module beside the rooms, or of the room itself
        if folder.endswith(".commands"):
            if not own.startswith(("scripts", *(f"{p}.commands" for p in ORDER))):
                yield f"{own} imports the command {module}"
        elif module != folder:
            yield f"{own} reaches into {module}: import from {folder}"
        elif name not in listed(folder):
            yield f"{folder} does not list {name}, which {own} imports"


def test_only_public_names_leave_a_room():
    assert [line for file in sources(*ORDER, "scripts") for line in private(file)] == []


def misplaced(file: Path) -> Iterator[str]:
    """Libraries that a file imports in the wrong place, or at all."""
    for module, _, inner in imports(file):
        first = module.split(".")[0]
        if first in NEVER and not (first == "torch" and module_of(file) in FOR_TORCH):
            yield f"{named(file)} imports {module}"
        if inner and first not in LATE:
            yield f"{named(file)}: {module} is imported in a function"
        if module_of(file).startswith(NO_JAX) and first in ("jax", "flax"):
            yield f"{named(file)} knows {module}"


def test_libraries_stand_at_the_top():
    """An import inside a function hides a cycle, or a library that few need."""
    assert [line for file in sources() for line in misplaced(file)] == []


def rooms() -> list[str]:
    return sorted(m for m, file in MODULES.items() if file.name == "__init__.py")


def test_rooms_list_names_that_exist_and_shadow_nothing():
    for folder in rooms():
        __import__(folder)
        modules = {m.rpartition(".")[2] for m in MODULES if m.rpartition(".")[0] == folder}
        for name, module in listed(folder).items():
            assert getattr(sys.modules[folder], name) is not None
            assert module is None or name not in modules, f"{folder}: {name} is a module's name"
        doc = ast.get_docstring(tree(MODULES[folder])) or ""
        assert len(doc) > 20, f"{folder} says nothing of itself"


def test_rooms_stay_small():
    sizes = {room: len(list(MODULES[room].parent.glob("*.py"))) - 1 for room in rooms()}
    assert {room: size for room, size in sizes.items() if size > MOST_MODULES} == {}


def too_long(file: Path) -> Iterator[str]:
    """What of a file has too many lines."""
    lines = file.read_text(encoding="utf-8").count("\n")
    if lines > MOST_LINES:
        yield f"{named(file)} has {lines} lines: is a room missing?"
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if size > LONGEST_FUNCTION:
                yield f"{named(file)}: {node.name} has {size} lines"


def test_files_and_functions_stay_short():
    assert [line for file in sources() for line in too_long(file)] == []


def test_names_say_one_thing():
    """No drawer for what has no place, and no two modules that differ by an ending."""
    files = [*sources(), *(ROOT / "scripts").rglob("*.py")]
    assert not [named(file) for file in files if file.stem in JUNK]
    for package in ORDER:  # commands are named by what a user types
        rooms_and_files = [file for file in sources(package) if "commands" not in file.parts]
        stems = {name for file in rooms_and_files for name in (file.stem, file.parent.name)}
        for one, other in itertools.permutations(stems - {"__init__", "__main__", package}, 2):
            longer = other.startswith(one) and other[len(one) :] in ENDINGS
            assert not longer, f"{package}: {one} and {other}"


@pytest.mark.parametrize("package", ORDER)
def test_help_imports_nothing_heavy(package):
    code = (
        "import contextlib, importlib, sys\n"
        f"cli = importlib.import_module('{package}.cli')\n"
        "for name in ['', *cli.COMMANDS]:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        cli.main([*filter(None, [name]), '--help'])\n"
        "heavy = {'jax', 'transformers', 'numpy', 'scipy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.filterwarnings("ignore")  # those of libraries
def test_float64_is_never_switched_on_globally():
    absent = () if importlib.util.find_spec("lm_eval") else ("tale_jax.harness",)
    for name in MODULES:
        if not name.endswith("__main__") and name not in absent:
            importlib.import_module(name)
    assert not jax.config.jax_enable_x64
