"""What a prompt's earlier points say of its next value: causal predictors, all positions at once.

Most are linear in the values: ``ŷ_t = Σ_{s<t} W_ts y_s`` with weights that depend on the inputs
alone, so that one ``W`` per prompt serves any number of functions.  ``W`` is strictly lower
triangular, which is causality.  Computed in float64 and jitted; scikit-learn's Lasso and trees, a
fit for each prefix, are far slower.  With no earlier point every predictor says 0.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.errors import InputError

Weights = Float[Array, "B T T"]
NAMES = (
    "zero, least-squares, least-squares-no-intercept, ridge-λ, polynomial-DEGREE, knn-K, "
    "averaging, mean, gradient-descent-STEPS, lasso-α, tree-DEPTH"
)


def predict(
    name: str, x_BTD: Float[np.ndarray, "B T d"], y_FBT: Float[np.ndarray, "F B T"]
) -> Float[np.ndarray, "F B T"]:
    """Predictions of ``F`` functions on the same inputs.

    Args:
        name: one of ``NAMES``; numbers may be left out (ridge: 1, polynomial: 3, knn: 3,
            gradient-descent: 100, lasso: 0.01, tree: 4).
        x_BTD: inputs.
        y_FBT: values.

    Raises:
        InputError: unknown name.
    """
    stem, parameter = _parsed(name)
    with jax.enable_x64(True):
        x_BTD, y_FBT = np.asarray(x_BTD, np.float64), np.asarray(y_FBT, np.float64)
        if stem in ("lasso", "tree"):
            return _refitted(stem, parameter, x_BTD, y_FBT)
        weights_BTS = _weigh(stem, parameter, x_BTD)
        return np.asarray(jnp.einsum("BTS,FBS->FBT", weights_BTS, y_FBT, precision="highest"))


def _parsed(name: str) -> tuple[str, float]:
    usual = {
        **dict.fromkeys(("zero", "least-squares", "least-squares-no-intercept"), None),
        **{"averaging": None, "mean": None, "ridge": 1.0, "polynomial": 3, "knn": 3},
        **{"gradient-descent": 100, "lasso": 0.01, "tree": 4},
    }
    if name in usual:
        return name, usual[name] or 0
    stem, _, number = name.rpartition("-")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    whole = stem not in ("ridge", "lasso")
    if usual.get(stem) is None or value <= 0 or (whole and value != int(value)):
        raise InputError(f"unknown predictor {name!r}; there are {NAMES}")
    return stem, value


@functools.partial(jax.jit, static_argnums=(0, 1))
def _weigh(stem: str, parameter: float, x_BTD: Array) -> Weights:
    one: Callable[[Array], Array] = {
        "zero": lambda x: jnp.zeros((x.shape[0],) * 2, x.dtype),
        "least-squares": lambda x: _prefix_least_squares(_with_one(x)),
        "least-squares-no-intercept": _prefix_least_squares,
        "ridge": lambda x: _prefix_ridge(_with_one(x), parameter),
        "polynomial": lambda x: _prefix_least_squares(_powers(x, int(parameter))),
        "knn": lambda x: _nearest(x, int(parameter)),
        "averaging": lambda x: _averaged(x @ x.T),
        "mean": lambda x: _averaged(jnp.ones((x.shape[0],) * 2, x.dtype)),
        "gradient-descent": lambda x: _descended(_with_one(x), int(parameter)),
    }[stem]
    return jax.vmap(one)(x_BTD)


def _earlier(points: int) -> Array:
    return jnp.tril(jnp.ones((points, points), bool), -1)


def _with_one(x_TD: Array) -> Array:
    return jnp.concatenate([x_TD, jnp.ones_like(x_TD[:, :1])], axis=1)


def _powers(x_TD: Array, degree: int) -> Array:
    """Powers of each coordinate, and one."""
    return _with_one(jnp.concatenate([x_TD**power for power in range(1, degree + 1)], axis=1))


def _prefix_least_squares(a_TC: Array) -> Array:
    """``W_t = a_t · pinv(A_{<t})``: least squares, of the smallest norm where not unique."""
    where_TS = _earlier(a_TC.shape[0])
    prefixes_TSC = where_TS[:, :, None] * a_TC[None]
    return jnp.einsum("TC,TCS->TS", a_TC, jnp.linalg.pinv(prefixes_TSC)) * where_TS


def _prefix_ridge(a_TC: Array, penalty: float) -> Array:
    """``W_t = a_t (AᵀA + λ)⁻¹ Aᵀ``.

    The posterior mean, and Bayes-optimal, for coefficients N(0, σ²) and noise N(0, τ²) with
    λ = τ²/σ² (the intercept is a coefficient too); as λ → 0 it is least squares.
    """
    where_TS = _earlier(a_TC.shape[0])
    prefixes_TSC = where_TS[:, :, None] * a_TC[None]
    gram_TCC = jnp.einsum("TSC,TSE->TCE", prefixes_TSC, prefixes_TSC)
    gram_TCC += penalty * jnp.eye(a_TC.shape[1], dtype=a_TC.dtype)[None]
    fitted_TCS = jnp.linalg.solve(gram_TCC, prefixes_TSC.swapaxes(1, 2))
    return jnp.einsum("TC,TCS->TS", a_TC, fitted_TCS)


def _nearest(x_TD: Array, k: int) -> Array:
    """Mean of the up to ``k`` nearest earlier points; of two equally near, the earlier one."""
    where_TS = _earlier(x_TD.shape[0])
    distance_TS = jnp.sum(jnp.square(x_TD[:, None] - x_TD[None]), axis=2)
    order_TS = jnp.argsort(jnp.where(where_TS, distance_TS, jnp.inf), axis=1, stable=True)
    chosen_TS = (jnp.argsort(order_TS, axis=1) < k) & where_TS
    return chosen_TS / jnp.maximum(jnp.sum(chosen_TS, axis=1, keepdims=True), 1)


def _averaged(products_TS: Array) -> Array:
    """Garg's averaging is ``ŷ = x_t · mean(y_s x_s)``: products of inputs; ones give the mean."""
    count_T1 = jnp.maximum(jnp.arange(products_TS.shape[0]), 1)[:, None]
    return jnp.where(_earlier(products_TS.shape[0]), products_TS, 0) / count_T1


def _descended(a_TC: Array, steps: int) -> Array:
    """Gradient descent on each prefix's squared error from 0, at 1/(largest eigenvalue).

    After n steps the coefficients are ``V (1 − (1 − λ/λ₁)ⁿ)/λ Vᵀ Aᵀ y``.
    """
    where_TS = _earlier(a_TC.shape[0])
    prefixes_TSC = where_TS[:, :, None] * a_TC[None]
    gram_TCC = jnp.einsum("TSC,TSE->TCE", prefixes_TSC, prefixes_TSC)
    values_TC, vectors_TCC = jnp.linalg.eigh(gram_TCC)
    values_TC = jnp.maximum(values_TC, 0)
    largest_T1 = jnp.maximum(values_TC[:, -1:], jnp.finfo(a_TC.dtype).tiny)
    left_TC = (1 - values_TC / largest_T1) ** steps
    small_TC = values_TC < 1e-12 * largest_T1  # the limit of (1 − (1 − λ/λ₁)ⁿ)/λ at 0
    gain_TC = jnp.where(
        small_TC, steps / largest_T1, (1 - left_TC) / jnp.where(small_TC, 1, values_TC)
    )
    gain_TC = jnp.where(values_TC[:, -1:] > 0, gain_TC, 0)  # no earlier point
    inverse = jnp.einsum("TCE,TE,TGE->TCG", vectors_TCC, gain_TC, vectors_TCC)
    return jnp.einsum("TC,TCG,TSG->TS", a_TC, inverse, prefixes_TSC)


def _refitted(stem: str, parameter: float, x_BTD: np.ndarray, y_FBT: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso
    from sklearn.tree import DecisionTreeRegressor

    predicted = np.zeros_like(y_FBT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for f, b, t in np.ndindex(y_FBT.shape):
            if t == 0:
                continue
            model = (
                Lasso(alpha=parameter)
                if stem == "lasso"
                else DecisionTreeRegressor(max_depth=int(parameter), random_state=0)
            )
            model.fit(x_BTD[b, :t], y_FBT[f, b, :t])
            predicted[f, b, t] = model.predict(x_BTD[b, t : t + 1])[0]
    return predicted
