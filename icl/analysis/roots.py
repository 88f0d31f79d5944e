"""The inverse problem: a root of the function shown in the prompt, in two readings.

*swap*: a model trained on pairs in the other order, ``(f(x_1), x_1, f(x_2), x_2, …)``
(``FunctionTask(inverse=True)``), is asked for the x of the value 0.  *scan*: a model trained to
predict f(x) is asked for f at many x, and where its answer changes sign is its root.  Both are
scored by the distance to the nearest true root; functions with no real root are left out, counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from icl.evaluation import forward
from icl.tasks.functions import Affine, Chebyshev, Polynomial
from icl.training import Trained


def real_roots(ascending: Float[np.ndarray, " N"]) -> Float[np.ndarray, " R"]:
    """Distinct real roots of ``c_0 + c_1 x + … ``, ascending, in float64.

    Eigenvalues of the companion matrix, those real to 1e-7 of their size, then Newton's steps.  The
    zero polynomial has none here.
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


def roots_of(functions: Any, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " R"]:
    """Real roots of a drawn function of a class of one number."""
    if isinstance(functions, Polynomial):
        return real_roots(coefficients)
    if isinstance(functions, Affine) and functions.d == 1:
        return real_roots(np.asarray(coefficients)[::-1])
    if isinstance(functions, Chebyshev):
        return real_roots(np.polynomial.chebyshev.cheb2poly(np.asarray(coefficients, np.float64)))
    raise InputError(
        f"roots are known of affine, polynomial and chebyshev functions, not {functions}"
    )


def approximate(
    trained: Trained,
    *,
    count: int = 256,
    seed: int = 0,
    low: float = -3.0,
    high: float = 3.0,
    grid: int = 121,
) -> Mapping[str, float]:
    """Median distance to the nearest root within ``low … high``, by the reading of the run.

    Returns:
        ``functions`` scored, ``without_root`` left out, ``unanswered`` (scan: no change of sign),
        ``median_distance``, ``within_0.1`` (share of those scored), and ``median_distance_of_zero``
        and ``within_0.1_of_zero``: the same of always answering 0.
    """
    task: Any = trained.task
    if getattr(task, "functions", None) is None:
        raise InputError("roots are those of functions, not of quantifiers")
    keys = jax.random.split(jax.random.key(seed), 2)
    drawn = jax.vmap(lambda k: task.functions.draw(k, task.coefficients))(
        jax.random.split(keys[0], count)
    )
    x_BT = np.array(task.inputs.sample(keys[1], (count, task.points)))
    y_BT = np.array(jax.vmap(task.functions.value)(drawn, x_BT[:, :, None]))
    answers = (_swapped if task.inverse else _scanned)(trained, x_BT, y_BT, low, high, grid)
    distances, of_zero, without, unanswered = [], [], 0, 0
    for i in range(count):
        roots = roots_of(task.functions, np.asarray(drawn[i]))
        roots = roots[(roots >= low) & (roots <= high)]
        if not roots.size:
            without += 1
            continue
        unanswered += int(np.isnan(answers[i]))
        distances.append(np.inf if np.isnan(answers[i]) else np.abs(roots - answers[i]).min())
        of_zero.append(np.abs(roots).min())
    if not distances:
        raise InputError(f"none of {count} functions has a root between {low:g} and {high:g}")
    return {
        "functions": len(distances),
        "without_root": without,
        "unanswered": unanswered,
        "median_distance": float(np.median(distances)),
        "within_0.1": float(np.mean(np.array(distances) < 0.1)),
        "median_distance_of_zero": float(np.median(of_zero)),
        "within_0.1_of_zero": float(np.mean(np.array(of_zero) < 0.1)),
    }


def _ask(trained: Trained, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = forward(trained.config, trained.params, np.float32(x[:, :, None]), np.float32(y), True)
    return np.asarray(out)[:, -1]


def _swapped(trained: Trained, x_BT: Any, y_BT: Any, low: float, high: float, grid: int) -> Any:
    asked_BT = np.array(y_BT)
    asked_BT[:, -1] = 0
    return _ask(trained, asked_BT, x_BT)


def _scanned(trained: Trained, x_BT: Any, y_BT: Any, low: float, high: float, grid: int) -> Any:
    """The first change of sign nearest to 0, by linear interpolation; NaN where there is none."""
    places = np.linspace(low, high, grid)
    values = np.empty((len(x_BT), grid))
    for i, place in enumerate(places):
        asked_BT = np.array(x_BT)
        asked_BT[:, -1] = place
        values[:, i] = _ask(trained, asked_BT, y_BT)
    answers = np.full(len(x_BT), np.nan)
    for row, value in enumerate(values):
        crossing = np.flatnonzero(np.sign(value[:-1]) != np.sign(value[1:]))
        if crossing.size:
            left, right = value[crossing], value[crossing + 1]
            at = places[crossing] + (places[1] - places[0]) * left / (left - right)
            answers[row] = at[np.argmin(np.abs(at))]
    return answers
