"""The inverse problem: find an x at which the function that a prompt shows is 0."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from icl.tasks.distributions import distribution
from icl.tasks.functions.values import FunctionTask
from icl.tasks.prompts import Setting

NEAR = 0.1  # an answer this near to a root has found it
ROOT_AXES = ("inputs", "sigma", "degree", "points")
"""What a sweep may vary where roots are asked for."""


def real_roots(ascending: Float[np.ndarray, " N"]) -> Float[np.ndarray, " R"]:
    """The distinct real roots of ``c_0 + c_1 x + …``, in ascending order and float64.

    They are eigenvalues of the companion matrix whose imaginary part is below 1e-7 of their size,
    improved by Newton's method.  The zero polynomial has no roots here.

    Args:
        ascending: the coefficients ``c_0, c_1, …``.
    """
    c = np.trim_zeros(np.asarray(ascending, np.float64), "b")
    if c.size < 2:
        return np.zeros(0)
    found = np.polynomial.polynomial.polyroots(c)
    scale = np.maximum(1.0, np.abs(found))
    real = np.sort(found.real[np.abs(found.imag) < 1e-7 * scale])
    derivative = np.polynomial.polynomial.polyder(c)
    for _ in range(3):
        value = np.polynomial.polynomial.polyval(real, c)
        slope = np.polynomial.polynomial.polyval(real, derivative)
        step = np.divide(value, slope, out=np.zeros_like(value), where=slope != 0)
        moved = real - step
        better = np.abs(np.polynomial.polynomial.polyval(moved, c)) < np.abs(value)
        real = np.where(better, moved, real)
    apart = np.concatenate([[True], np.diff(real) > 1e-7 * np.maximum(1.0, np.abs(real[1:]))])
    return real[apart[: real.size]]


@dataclasses.dataclass(frozen=True)
class RootQuestions:
    """Prompts of functions whose roots are asked for, one function a prompt.

    Attributes:
        x_BT: inputs.
        y_BT: values.
        roots: of each function, those that count, ascending; a function may have none.
    """

    x_BT: Float[np.ndarray, "B T"]
    y_BT: Float[np.ndarray, "B T"]
    roots: Sequence[Float[np.ndarray, " R"]]

    def score(self, answers: Sequence[Float[np.ndarray, " A"]]) -> dict[str, float]:
        """Score the roots that were named for each function; those without a root are left out.

        Args:
            answers: the roots that were named, the one to be judged first; empty: no answer.

        Returns:
            - ``functions``: number of functions that are scored.
            - ``without_root``: number of functions that are left out.
            - ``unanswered``: number of scored functions for which no root was named.
            - ``median_distance`` of the first answer to the nearest root, and ``within_0.1``, the
              share of first answers nearer than 0.1.
            - ``coverage``: the mean share of a function's roots that have an answer within 0.1.
            - ``median_distance_of_zero``, ``within_0.1_of_zero`` and ``coverage_of_zero``: the same
              for the answer 0.

        Raises:
            InputError: no function has a root.
        """
        scored = [
            (roots, np.asarray(said, np.float64))
            for roots, said in zip(self.roots, answers, strict=True)
            if roots.size
        ]
        if not scored:
            raise InputError(f"none of {len(self.roots)} functions has a root in the range")
        distances = [np.abs(r - s[0]).min() if s.size else np.inf for r, s in scored]
        of_zero = [np.abs(roots).min() for roots, _ in scored]
        covered = [_coverage(roots, said) for roots, said in scored]
        return {
            "functions": len(scored),
            "without_root": len(self.roots) - len(scored),
            "unanswered": sum(not said.size for _, said in scored),
            "median_distance": float(np.median(distances)),
            "within_0.1": float(np.mean(np.array(distances) < NEAR)),
            "coverage": float(np.mean(covered)),
            "median_distance_of_zero": float(np.median(of_zero)),
            "within_0.1_of_zero": float(np.mean(np.array(of_zero) < NEAR)),
            "coverage_of_zero": float(np.mean([_coverage(r, np.zeros(1)) for r, _ in scored])),
        }


def _coverage(roots: Float[np.ndarray, " R"], said: Float[np.ndarray, " A"]) -> float:
    """The share of the roots that have an answer near them."""
    distances_R = np.abs(roots[:, None] - said[None]).min(axis=1, initial=np.inf)
    return float(np.mean(distances_R < NEAR))


def root_questions(
    task: FunctionTask,
    setting: Setting | None = None,
    *,
    count: int = 256,
    seed: int = 0,
    low: float = -3.0,
    high: float = 3.0,
) -> RootQuestions:
    """Draw functions and prompts, and compute the exact roots.

    Args:
        task: of functions of one number that are polynomials.
        setting: of a sweep; None: that of the task.
        count: number of functions.
        seed: draws functions and inputs.
        low: smallest root that counts.
        high: largest root that counts.

    Raises:
        InputError: the functions have no roots to compare with, or the setting is not possible.
    """
    setting = {**task.setting, **(setting or {})}
    for name, value in task.setting.items():
        if name not in ROOT_AXES and setting[name] != value:
            raise InputError(
                f"roots are asked with a sweep of {', '.join(ROOT_AXES)}, not of {name}"
            )
    functions, of = task.functions_of(setting), task.coefficients.scaled(setting["sigma"])
    keys = jax.random.split(jax.random.key(seed), 2)
    drawn = jax.vmap(lambda k: functions.draw(k, of))(jax.random.split(keys[0], count))
    x_BTD = distribution(setting["inputs"]).sample(keys[1], (count, setting["points"]))[:, :, None]
    y_BT = np.array(jax.vmap(functions.value)(drawn, x_BTD))
    found = [real_roots(functions.monomials(np.asarray(drawn[i]))) for i in range(count)]
    counted = [roots[(roots >= low) & (roots <= high)] for roots in found]
    return RootQuestions(np.array(x_BTD[:, :, 0]), y_BT, counted)
