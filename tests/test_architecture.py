"""The house rules that can be checked by reading the code."""

import ast
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("attention", "icl", "tale_jax")
# Who may import whom: data walks downstairs only.
FORBIDDEN = {
    "attention": {"icl", "tale_jax", "scripts"},
    "icl": {"tale_jax", "scripts"},
    "tale_jax": {"icl", "scripts"},
}
JUNK_DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "core", "base"}
# Rooms that a computation has no business in.
NO_JAX = {
    *("elimination", "significance", "journal", "runs", "report"),
    *("tasks", "examples", "prompts", "chat", "answers"),
    *("benchmarks", "asking", "sources", "minimal_pairs", "lm_eval_tasks"),
}
MOST_LINES, LONGEST_FUNCTION = 300, 60


def sources() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def imported(tree: ast.AST) -> set[str]:
    """Every module named by an import, wherever it stands."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_walk_downstairs_only(file):
    package = file.relative_to(ROOT).parts[0]
    found = imported(ast.parse(file.read_text()))
    assert not {name for name in found if name.split(".")[0] in FORBIDDEN[package]}
    if package == "tale_jax" and file.stem in NO_JAX:
        assert not {name for name in found if name.split(".")[0] in ("jax", "flax")}
    assert not {name for name in found if name.split(".")[0] in ("torch", "pickle")}


def test_no_junk_drawers():
    rooms = [*sources(), *(ROOT / "scripts").rglob("*.py")]
    assert not [file for file in rooms if file.stem in JUNK_DRAWERS]


def test_names_in_all_exist():
    import importlib

    for package in ("attention.transformer", "tale_jax"):
        module = importlib.import_module(package)
        assert all(hasattr(module, name) for name in module.__all__)


def test_nothing_heavy_is_imported_for_help():
    heavy = {"jax", "transformers", "numpy"}
    code = f"import sys, tale_jax.cli; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_float64_is_never_switched_on_globally():
    code = (
        "import importlib, pkgutil, jax\n"
        f"for name in {PACKAGES}:\n"
        "    package = importlib.import_module(name)\n"
        "    for module in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "assert not jax.config.jax_enable_x64\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_long_files_and_functions_are_reported():
    """A report, not a failure: where a room may be missing."""
    long = []
    for file in sources():
        text = file.read_text()
        if (lines := text.count("\n")) > MOST_LINES:
            long.append(f"{file.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if not body:
                    continue
                size = (body[-1].end_lineno or 0) - body[0].lineno + 1
                if size > LONGEST_FUNCTION:
                    long.append(f"{file.relative_to(ROOT)}: {node.name} has {size} lines")
    if long:
        warnings.warn(f"is a room missing? {'; '.join(long)}", stacklevel=1)
