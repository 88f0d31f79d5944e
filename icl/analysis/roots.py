"""The inverse problem: find a root of the function that a prompt shows, in one of two ways.

*swap*: a model trained on pairs in the other order, ``(f(x_1), x_1, f(x_2), x_2, …)``
(``FunctionTask(inverse=True)``), is asked for the x of the value 0.  *scan*: a model trained to
predict f(x) is asked for f at many x, and the root is where its answers change sign.  The score is
the distance to the nearest true root.  Functions without a real root are counted and left out.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from icl.tasks.functions import require_functions
from icl.training import Trained, predict_last


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


def approximate(
    trained: Trained,
    *,
    count: int = 256,
    seed: int = 0,
    low: float = -3.0,
    high: float = 3.0,
    grid: int = 121,
) -> dict[str, float]:
    """Measure the distance of a model's answers to the nearest root from ``low`` to ``high``.

    A run that was trained on the inverse is asked by *swap*, any other one by *scan*.

    Args:
        trained: a model of functions of one number.
        count: number of functions.
        seed: draws functions and inputs.
        low: smallest root that counts.
        high: largest root that counts.
        grid: number of x at which *scan* asks for f.

    Returns:
        - ``functions``: number of functions that are scored.
        - ``without_root``: number of functions that are left out.
        - ``unanswered``: number of scored functions for which *scan* finds no change of sign.
        - ``median_distance``, and ``within_0.1``, the share of answers nearer than 0.1.
        - ``median_distance_of_zero`` and ``within_0.1_of_zero``: the same for the answer 0.

    Raises:
        InputError: the model learned another kind of task, or no function has a root there.
    """
    task = require_functions(trained.task)
    keys = jax.random.split(jax.random.key(seed), 2)
    drawn = jax.vmap(lambda k: task.functions.draw(k, task.coefficients))(
        jax.random.split(keys[0], count)
    )
    x_BTD = task.inputs.sample(keys[1], (count, task.points))[:, :, None]
    y_BT = np.array(jax.vmap(task.functions.value)(drawn, x_BTD))
    x_BT = np.array(x_BTD[:, :, 0])
    if task.inverse:
        answers_B = _swapped(trained, x_BT, y_BT)
    else:
        answers_B = _scanned(trained, x_BT, y_BT, np.linspace(low, high, grid))
    distances, of_zero, without, unanswered = [], [], 0, 0
    for i in range(count):
        roots = real_roots(task.functions.monomials(np.asarray(drawn[i])))
        roots = roots[(roots >= low) & (roots <= high)]
        if not roots.size:
            without += 1
            continue
        lost = np.isnan(answers_B[i])
        unanswered += int(lost)
        distances.append(np.inf if lost else np.abs(roots - answers_B[i]).min())
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


def _swapped(
    trained: Trained, x_BT: Float[np.ndarray, "B T"], y_BT: Float[np.ndarray, "B T"]
) -> Float[np.ndarray, " B"]:
    asked_BT = np.array(y_BT)
    asked_BT[:, -1] = 0
    return predict_last(trained, asked_BT, x_BT)


def _scanned(
    trained: Trained,
    x_BT: Float[np.ndarray, "B T"],
    y_BT: Float[np.ndarray, "B T"],
    places_G: Float[np.ndarray, " G"],
) -> Float[np.ndarray, " B"]:
    """The change of sign nearest to 0, by linear interpolation; NaN where there is none."""
    values_BG = np.empty((len(x_BT), len(places_G)))
    for i, place in enumerate(places_G):
        asked_BT = np.array(x_BT)
        asked_BT[:, -1] = place
        values_BG[:, i] = predict_last(trained, asked_BT, y_BT)
    answers_B = np.full(len(x_BT), np.nan)
    for row, value_G in enumerate(values_BG):
        crossing = np.flatnonzero(np.sign(value_G[:-1]) != np.sign(value_G[1:]))
        if crossing.size:
            left, right = value_G[crossing], value_G[crossing + 1]
            at = places_G[crossing] + (places_G[1] - places_G[0]) * left / (left - right)
            answers_B[row] = at[np.argmin(np.abs(at))]
    return answers_B
