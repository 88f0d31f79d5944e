"""The mutants of a file, by the operators of cosmic-ray."""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from mutants.modules import MODULES

ROOT = Path(__file__).parents[2]
OPERATORS = re.compile(
    r"core/(AddNot|NumberReplacer|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse"
    r"|ReplaceFalseWithTrue|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_FloorDiv|Pow_Mul"
    r"|BitOr_BitAnd|BitAnd_BitOr|BitXor_BitOr|RShift_LShift|LShift_RShift)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE"
    r"|GtE_Gt|GtE_Lt|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not|Delete_Invert))"
)
"""One or two changes of each place; a place has up to a dozen, of which most fall alike."""


GUARDS = ("strict", "frozen", "optimize")
"""Options of functions that change no result."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A change of a file.

    Attributes:
        module: the row of ``MODULES``.
        file: that is changed.
        operator: that changes it.
        number: of the place, among those that the operator could change.
        text: the file, and the line before and after, whatever its number is.
    """

    module: str
    file: str
    operator: str
    number: int
    text: str

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.text} ({self.number})"

    @property
    def source(self) -> str:
        """The text of the changed file."""
        return _changed(_source(self.file), self.operator, self.number)


def mutants_of(module: str) -> list[Mutant]:
    """The mutants of a module; what computes nothing is left as it is, such as annotations."""
    found = []
    for file in MODULES[module].files:
        source = _source(file)
        tree, silent = get_ast(source), _silent(source)
        for name in operator_names():
            if OPERATORS.fullmatch(name) is None:
                continue
            places = _places(tree, name)
            for number, (start, end) in enumerate(places):
                if any(first <= start and end <= last for first, last in silent):
                    continue
                text = f"{file}: {_difference(source, _changed(source, name, number))}"
                found.append(Mutant(module, file, name, number, text))
    return list({mutant.key: mutant for mutant in found}.values())


@functools.cache
def _source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _changed(source: str, operator: str, number: int) -> str:
    changed = mutate_code(source, get_operator(operator)(), number)
    assert changed is not None, (operator, number)
    return changed


def _places(tree: Any, operator: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    own = get_operator(operator)()
    return (place for node in ast_nodes(tree) for place in own.mutation_positions(node))


def _silent(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The places that compute nothing, as lines and columns.

    Signatures with their types and defaults; types and defaults of fields; constants and tables;
    errors that are raised; ``GUARDS``; and functions that draw a figure, which people look at.
    """
    tree = ast.parse(source)
    parts: list[Any] = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            draws = "Axes" in ast.unparse(node.args) or "Figure" in ast.unparse(
                node.returns or node
            )
            parts += [node] if draws and node.returns else [node.returns]
            parts += [node.args] if node.args.args + node.args.kwonlyargs else []
        elif isinstance(node, ast.AnnAssign):
            parts += [node.annotation, *([node.value] if _constant(node.value) else [])]
        elif isinstance(node, ast.Raise):
            parts.append(node)
        elif isinstance(node, ast.keyword) and node.arg in GUARDS:
            parts.append(node.value)
    return [_span(part) for part in parts if part is not None]


def _constant(value: ast.AST | None) -> bool:
    """Whether there is no name or call in a value: it is a setting."""
    return value is not None and not any(
        isinstance(node, ast.Name | ast.Call) for node in ast.walk(value)
    )


def _span(part: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a part begins and ends; for arguments, from the first to the last of them."""
    if isinstance(part, ast.arguments):
        inner = [x for x in ast.walk(part) if hasattr(x, "lineno")]
        start = min((x.lineno, x.col_offset) for x in inner)
        return start, max((x.end_lineno, x.end_col_offset) for x in inner)
    return (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _difference(before: str, after: str) -> str:
    """The first line that differs, before and after."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    old, new = next((a, b) for a, b in pairs if a != b)
    return f"{old.strip()} → {new.strip()}"
