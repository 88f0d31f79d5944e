"""Boundary values: where a model's output stops following the function.

A pre-LN model's output is bounded, whatever its input: every update of the residual stream is a
function of normalised states, hence bounded by the weights.  With one number in,
``h_0 = w x + c + p_t``, so that as the queried x grows, the last norm sees the direction of ±w
alone, and the output tends to two constants that no context can change:

    c± = norm_f(±w) · w_out + b_out
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from attention.errors import InputError
from attention.transformer import Transformer
from icl.evaluation import (
    evaluate,
    forward,
    functions_of,
    plots,
    sweeps,
    write_csv,
)
from icl.evaluation.errors import model_predictor
from icl.tasks import inputs_and_places
from icl.training import Trained


def limits(trained: Trained) -> tuple[float, float]:
    """``(c+, c−)``, from the weights alone.

    Raises:
        InputError: a model with no last LayerNorm, no residual stream, or of several numbers.
    """
    c = trained.config
    if not (c.final_norm and c.norm == "layernorm" and c.residual and c.input_size == 1):
        raise InputError("the limits c+ and c- are those of pre-LN models of one number")
    params = jax.tree.map(np.asarray, trained.params)
    w_D = params["embed"]["kernel"][0].astype(np.float64)
    centred_D = (w_D - w_D.mean()) / w_D.std()
    norm, out = params["final_norm"], params["head"]["out"]

    def read(h: np.ndarray) -> float:
        return float((h * norm["scale"] + norm["bias"]) @ out["kernel"][:, 0] + out["bias"][0])

    return read(centred_D), read(-centred_D)


def follow(
    trained: Trained, slopes: Sequence[float], query: float = 1.0, seed: int = 0, prompts: int = 64
) -> Float[np.ndarray, " C"]:
    """Mean output for ``f = c·x`` at the last point, ``x = query``, one number for each c.

    The other inputs are the training distribution's.
    """
    task: Any = trained.task
    x_BT = np.array(task.inputs.sample(jax.random.key(seed), (prompts, task.points)))
    x_BT[:, -1] = query
    return np.array([_last(trained, x_BT, slope * x_BT) for slope in slopes])


def along_inputs(
    trained: Trained, queries: Sequence[float], slope: float = 1.0, seed: int = 0, prompts: int = 64
) -> Float[np.ndarray, " Q"]:
    """Mean output for ``f = slope·x`` at the last point, one number for each queried x."""
    return np.array([follow(trained, [slope], query, seed, prompts)[0] for query in queries])


def _last(trained: Trained, x_BT: np.ndarray, y_BT: np.ndarray) -> float:
    out_BT = forward(
        trained.config,
        trained.params,
        np.float32(x_BT[:, :, None]),
        np.float32(y_BT),
        trained.task.labels,
    )
    return float(np.mean(np.asarray(out_BT)[:, -1]))


def plateau(curve: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """``(−B, B)``: smallest and largest value of a curve over −N … N."""
    return float(np.min(curve)), float(np.max(curve))


def effective_bound(
    values_by_sigma: Sequence[Float[np.ndarray, " N"]], errors: Sequence[float]
) -> float:
    """B_eff: the exact predictor clipped at ±B whose row of errors is nearest to ``errors``.

    Least squares on square roots: ``min_B Σ_σ (sqrt(mean (clip(y, ±B) − y)²) − sqrt(error_σ))²``.

    Args:
        values_by_sigma: y of the evaluated points, one array a σ.
        errors: a row of the table.
    """
    roots = np.sqrt(np.asarray(errors))
    tails: list[
        tuple[Any, Any, Any]
    ] = []  # sizes ascending, and sums of them and their squares from each on
    for y in values_by_sigma:
        sizes = np.sort(np.abs(np.asarray(y, np.float64)).ravel())
        sums = [np.append(np.cumsum(z[::-1])[::-1], 0.0) for z in (sizes, sizes**2)]
        tails.append((sizes, sums[0], sums[1]))

    def distance(bound: float) -> float:
        clipped = [_clipping_error(*each, bound) for each in tails]
        return float(np.sum(np.square(np.sqrt(clipped) - roots)))

    most = max(float(sizes[-1]) for sizes, _, _ in tails)
    grid = np.linspace(0, most, 200)
    best = int(np.argmin([distance(bound) for bound in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found: Any = minimize_scalar(distance, bounds=around, method="bounded")
    return float(found.x)


def bound_of(trained: Trained, functions: int = 50, prompts: int = 16) -> float:
    """B_eff of a model's own row: σ = 1 … 10 times its coefficients, on its inputs."""
    of, law, inputs = functions_of(trained)
    base = sweeps.Design(inputs=inputs, points=trained.task.points)
    cases = [
        sweeps.drawn(each, of, law, count=functions, prompts=prompts)
        for each in sweeps.designs(["sigma=1:10"], base)
    ]
    rows, _ = evaluate(cases, {"model": model_predictor(trained)})
    counted = [case.y_FBT[:, :, case.skip :] for case in cases]
    return effective_bound(counted, [row["error"] for row in rows])


def _clipping_error(
    sizes: np.ndarray, sums: np.ndarray, squares: np.ndarray, bound: float
) -> float:
    """``mean max(|y| − bound, 0)²``."""
    first = int(np.searchsorted(sizes, bound))
    beyond = sizes.size - first
    total = squares[first] - 2 * bound * sums[first] + beyond * bound**2
    return max(float(total), 0.0) / sizes.size


def entropies(
    trained: Trained, magnitudes: Sequence[float], seed: int = 0, prompts: int = 16
) -> list[Mapping[str, float]]:
    """Mean entropy (nats) of the last query's attention weights, by layer, against magnitude.

    The prompt is that of the training distribution, all inputs times the magnitude, with f = x.
    """
    if not trained.config.attention:
        raise InputError("a model without attention has no entropy of attention")
    task: Any = trained.task
    x_BT = task.inputs.sample(jax.random.key(seed), (prompts, task.points))
    rows = []

    @jax.jit
    def entropy(params: Any, x_BT: Any) -> Any:
        tokens, _ = inputs_and_places(x_BT[:, :, None], x_BT, trained.task.labels)
        _, captured = Transformer(trained.config).apply(
            {"params": params}, tokens, capture=("attention_weights",)
        )
        weights = captured["attention_weights"][:, :, :, -1]  # [layer, B, N, S]
        return -jnp.sum(jax.scipy.special.xlogy(weights, weights), axis=-1).mean(axis=(1, 2))

    for magnitude in magnitudes:
        by_layer = np.asarray(entropy(trained.params, magnitude * x_BT))
        rows += [
            {"magnitude": float(magnitude), "layer": i, "entropy": float(value)}
            for i, value in enumerate(by_layer)
        ]
    return rows


MAGNITUDES = (0.1, 1, 3, 10, 30, 100)  # of prompts whose attention is looked at


def survey(
    trained: Trained, out: Path, most: float = 30.0, count: int = 61
) -> dict[str, tuple[float, ...]]:
    """All of it, written: ``saturation.json``, ``entropy.csv``, ``boundary.png``.

    Args:
        trained: a model of functions of one number.
        out: directory.
        most: slopes from −most to most.
        count: slopes, and inputs.

    Returns:
        Pairs ``plateau_along_slopes``, ``plateau_along_x``, ``observed_limits`` at x = ±1e6, and
        ``limits_from_weights`` where there are any; ``effective_bound`` alone (``bound_of``).

    Raises:
        InputError: bad numbers, or a model of another task.
    """
    functions, _, _ = functions_of(trained)  # raises for other tasks
    if functions.d != 1:
        raise InputError(f"boundary values are those of functions of one number, not {functions}")
    if count < 2 or not 0 < most < np.inf:
        raise InputError("there must be at least 2 slopes, up to a positive number")
    slopes = np.linspace(-most, most, count)
    queries = np.sign(slopes) * np.geomspace(1e-2, 1e5, count)[np.argsort(np.argsort(abs(slopes)))]
    curve = follow(trained, [float(c) for c in slopes])
    far = along_inputs(trained, [float(x) for x in queries])
    high, low = along_inputs(trained, [1e6, -1e6])
    found: dict[str, tuple[float, ...]] = {
        "plateau_along_slopes": plateau(curve),
        "plateau_along_x": plateau(far),
    }
    found["observed_limits"] = (float(high), float(low))
    expected = None
    with contextlib.suppress(InputError):  # there are none without LayerNorm
        found["limits_from_weights"] = expected = limits(trained)
    if trained.task.points > sweeps.SKIP and functions.loss == "squared":
        found["effective_bound"] = (bound_of(trained),)
    out.mkdir(parents=True, exist_ok=True)
    if trained.config.attention:
        write_csv(out / "entropy.csv", entropies(trained, MAGNITUDES))
    (out / "saturation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    plots.boundary(out / "boundary.png", slopes, curve, queries, far, expected)
    return found
