"""The pure modules, and the quick tests of each."""

from __future__ import annotations

import dataclasses

SHARE = 0.9
"""Of the mutants that compute something else, so many must be caught."""


@dataclasses.dataclass(frozen=True)
class Module:
    """What is mutated together.

    Attributes:
        files: that are mutated.
        tests: files of tests, which must notice.
        fixtures: whether the tests need the models of ``conftest.py``, which take a second.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    fixtures: bool = True


ELIMINATION = "control early_rejection loop objectives options stopping strategies".split()
FORMULAS = ("equations", "specification")
SOLVER = "active_set min_support newton path smallest_norm".split()

MODULES = {
    "statistics": Module(
        ("attention/statistics.py",), ("tests/attention/test_statistics.py",), False
    ),
    "elimination": Module(
        tuple(f"tale_jax/elimination/{name}.py" for name in ELIMINATION),
        ("tests/tale_jax/elimination",),
    ),
    "answers": Module(
        ("tale_jax/tasks/answers.py",), ("tests/tale_jax/tasks/test_answers.py",), False
    ),
    "journal": Module(
        ("attention/files/journal.py",), ("tests/attention/files/test_journal.py",), False
    ),
    "formulas": Module(
        ("attention/normalizers/formulas.py",),
        tuple(f"tests/attention/normalizers/test_{name}.py" for name in FORMULAS),
        fixtures=False,
    ),
    "solver": Module(
        tuple(f"attention/explanation/solver/{name}.py" for name in SOLVER),
        (
            "tests/attention/explanation/test_solver.py",
            "tests/attention/explanation/test_row_batches.py",
            "tests/attention/explanation/test_efficient.py",
        ),
        fixtures=False,
    ),
    "depth": Module(
        ("attention/transformer/depth.py",),
        ("tests/attention/transformer/test_depth.py", "tests/attention/transformer/test_halves.py"),
    ),
    "rotary": Module(
        ("attention/transformer/rotary.py",), ("tests/attention/transformer/test_rotary.py",)
    ),
    "baselines": Module(
        ("icl/tasks/baselines.py", "icl/tasks/functions/estimators.py"),
        ("tests/icl/tasks/test_estimators.py",),
    ),
    "saturation": Module(
        ("icl/analysis/saturation.py",), ("tests/icl/analysis/test_saturation.py",)
    ),
}
