"""Estimators: baselines that predict the next value of a function from its earlier points.

Most are linear in the values: ``ŷ_t = Σ_{s<t} W_ts y_s``.  A function such as `ridge` gives the
weights ``W``, which depend on the inputs alone: one ``W`` for a prompt serves any number of
functions.  ``W`` is strictly lower triangular, because no value is seen before it is predicted.
Weights are computed in float64.  The lasso and the trees of scikit-learn are fitted again for each
prefix, which is far slower.  Without earlier points every estimator predicts 0.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Bool, Float

from attention.choices import Choices
from icl.tasks.baselines import ZERO, Baseline
from icl.tasks.prompts import Inputs, Values

if TYPE_CHECKING:
    from icl.tasks.functions.values import FunctionTask
    from icl.tasks.kind import Task

POOL_SEED = 11  # of the functions of a finite pool
SPREAD = 0.1  # of values without noise about those of a pool
Points = Float[Array, "T d"]
Weights = Float[Array, "T T"]
Weigh = Callable[[Points, float], Weights]
"""Makes weights ``W[t, s]`` of the inputs of a prompt and the number of a baseline."""


def _linear(weigh: Weigh, task: Task, number: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """``ŷ = W y`` in float64."""
    with jax.enable_x64(True):
        x_BTD, y_FBT = np.asarray(x_BTD, np.float64), np.asarray(y_FBT, np.float64)
        weights_BTS = _weights(weigh, number, x_BTD)
        return np.asarray(jnp.einsum("BTS,FBS->FBT", weights_BTS, y_FBT, precision="highest"))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _weights(weigh: Weigh, number: float, x_BTD: Float[Array, "B T d"]) -> Float[Array, "B T T"]:
    return jax.vmap(lambda x_TD: weigh(x_TD, number))(x_BTD)


def _earlier(points: int) -> Bool[Array, "T T"]:
    return jnp.tril(jnp.ones((points, points), bool), -1)


def _with_one(x_TD: Points) -> Points:
    return jnp.concatenate([x_TD, jnp.ones_like(x_TD[:, :1])], axis=1)


def _prefixes(a_TC: Points) -> tuple[Float[Array, "T T C"], Float[Array, "T C C"]]:
    """For each t the rows before t, with the others set to zero, and the products ``AᵀA``."""
    prefixes_TSC = _earlier(a_TC.shape[0])[:, :, None] * a_TC[None]
    return prefixes_TSC, jnp.einsum("TSC,TSE->TCE", prefixes_TSC, prefixes_TSC)


def least_squares(a_TC: Points, number: float = 0) -> Weights:
    """``W_t = a_t · pinv(A_{<t})``: least squares, with the smallest norm if not unique."""
    where_TS = _earlier(a_TC.shape[0])
    prefixes_TSC = where_TS[:, :, None] * a_TC[None]
    return jnp.einsum("TC,TCS->TS", a_TC, jnp.linalg.pinv(prefixes_TSC)) * where_TS


def affine_least_squares(x_TD: Points, number: float) -> Weights:
    """Least squares with an intercept."""
    return least_squares(_with_one(x_TD))


def polynomial(x_TD: Points, degree: float) -> Weights:
    """Least squares on the powers 1 to ``degree`` of each coordinate, with an intercept."""
    powers = [x_TD**power for power in range(1, int(degree) + 1)]
    return least_squares(_with_one(jnp.concatenate(powers, axis=1)))


def ridge(x_TD: Points, penalty: float) -> Weights:
    """Ridge regression with an intercept: ``W_t = a_t (AᵀA + λ)⁻¹ Aᵀ``.

    For coefficients N(0, σ²), the intercept among them, and noise N(0, τ²) this is the posterior
    mean if λ = τ²/σ², and hence optimal.  As λ → 0 it becomes least squares.
    """
    a_TC = _with_one(x_TD)
    prefixes_TSC, gram_TCC = _prefixes(a_TC)
    gram_TCC += penalty * jnp.eye(a_TC.shape[1], dtype=a_TC.dtype)[None]
    fitted_TCS = jnp.linalg.solve(gram_TCC, prefixes_TSC.swapaxes(1, 2))
    return jnp.einsum("TC,TCS->TS", a_TC, fitted_TCS)


def nearest(x_TD: Points, k: float) -> Weights:
    """The mean of the ``k`` nearest earlier points; of two equally near, the earlier one counts."""
    where_TS = _earlier(x_TD.shape[0])
    distance_TS = jnp.sum(jnp.square(x_TD[:, None] - x_TD[None]), axis=2)
    order_TS = jnp.argsort(jnp.where(where_TS, distance_TS, jnp.inf), axis=1, stable=True)
    chosen_TS = (jnp.argsort(order_TS, axis=1) < k) & where_TS
    return chosen_TS / jnp.maximum(jnp.sum(chosen_TS, axis=1, keepdims=True), 1)


def _averaged(products_TS: Weights) -> Weights:
    count_T1 = jnp.maximum(jnp.arange(products_TS.shape[0]), 1)[:, None]
    return jnp.where(_earlier(products_TS.shape[0]), products_TS, 0) / count_T1


def averaging(x_TD: Points, number: float) -> Weights:
    """``ŷ_t = x_t · mean(y_s x_s)``."""
    return _averaged(x_TD @ x_TD.T)


def mean(x_TD: Points, number: float) -> Weights:
    """The mean of the earlier values."""
    return _averaged(jnp.ones((x_TD.shape[0],) * 2, x_TD.dtype))


def gradient_descent(x_TD: Points, steps: float) -> Weights:
    """Gradient descent from 0 on the squared error of each prefix, with an intercept.

    The rate is 1/λ₁, where λ₁ is the largest eigenvalue of ``AᵀA = V λ Vᵀ``.  After n steps the
    coefficients are ``V (1 − (1 − λ/λ₁)ⁿ)/λ Vᵀ Aᵀ y``.
    """
    a_TC = _with_one(x_TD)
    prefixes_TSC, gram_TCC = _prefixes(a_TC)
    values_TC, vectors_TCC = jnp.linalg.eigh(gram_TCC)
    values_TC = jnp.maximum(values_TC, 0)
    largest_T1 = jnp.maximum(values_TC[:, -1:], jnp.finfo(a_TC.dtype).tiny)
    left_TC = (1 - values_TC / largest_T1) ** int(steps)
    small_TC = values_TC < 1e-12 * largest_T1  # the limit of (1 − (1 − λ/λ₁)ⁿ)/λ at 0
    gain_TC = jnp.where(
        small_TC, int(steps) / largest_T1, (1 - left_TC) / jnp.where(small_TC, 1, values_TC)
    )
    gain_TC = jnp.where(values_TC[:, -1:] > 0, gain_TC, 0)  # no earlier point
    inverse = jnp.einsum("TCE,TE,TGE->TCG", vectors_TCC, gain_TC, vectors_TCC)
    return jnp.einsum("TC,TCG,TSG->TS", a_TC, inverse, prefixes_TSC)


def finite_pool(task: FunctionTask, number: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """The Bayes predictor where the function is one of a finite pool, all equally likely.

        ŷ_t = Σ_m w_tm f_m(x_t),   w_tm ∝ exp(−Σ_{s<t} (y_s − f_m(x_s))² / (2 τ²))

    The ``number`` functions f_m are drawn from the task's own distribution with a fixed key.  τ is
    the deviation of the class's noise, or 0.1 where it has none.  A large pool stands for the
    distribution itself.  Source: Raventós et al. (2023), "Pretraining task diversity and the
    emergence of non-Bayesian in-context learning for regression".
    """
    functions, pool = task.functions, int(number)
    keys = jax.random.split(jax.random.key(POOL_SEED), pool)
    drawn_M = jax.vmap(lambda key: functions.draw(key, task.coefficients))(keys)
    spread = getattr(functions, "noise", 0.0) or SPREAD
    found_FBT = np.empty(np.shape(y_FBT))
    value = jax.jit(jax.vmap(functions.value, (0, None)))
    for b, x_TD in enumerate(np.asarray(x_BTD, np.float32)):
        pool_MT = np.asarray(value(drawn_M, x_TD), np.float64)
        for f, y_T in enumerate(y_FBT[:, b]):
            distance_MT = np.cumsum(np.square(pool_MT - y_T), axis=1)
            before_MT = np.concatenate([np.zeros((pool, 1)), distance_MT[:, :-1]], axis=1)
            weights_MT = scipy.special.softmax(-before_MT / (2 * spread**2), axis=0)
            found_FBT[f, b] = np.sum(weights_MT * pool_MT, axis=0)
    return found_FBT


def clipped(task: Task, bound: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """Least squares with an intercept, its answer clipped to ±``bound``."""
    return np.clip(_linear(affine_least_squares, task, 0, x_BTD, y_FBT), -bound, bound)


def _refitted(
    model: Callable[[float], Any], task: Task, number: float, x_BTD: Inputs, y_FBT: Values
) -> Values:
    """Predictions of a model of scikit-learn that is fitted to each prefix."""
    from sklearn.exceptions import ConvergenceWarning

    predicted_FBT = np.zeros(y_FBT.shape)
    x_BTD = np.asarray(x_BTD, np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for f, b, t in np.ndindex(y_FBT.shape):
            if t > 0:
                fitted = model(number).fit(x_BTD[b, :t], y_FBT[f, b, :t])
                predicted_FBT[f, b, t] = fitted.predict(x_BTD[b, t : t + 1])[0]
    return predicted_FBT


def _lasso(penalty: float) -> Any:  # scikit-learn has no types
    from sklearn.linear_model import Lasso

    return Lasso(alpha=penalty)


def _tree(depth: float) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=int(depth), random_state=0)


def _row(weigh: Weigh, *number: Any, whole: bool = True) -> Baseline:
    return Baseline(functools.partial(_linear, weigh), *number, whole=whole)


ESTIMATORS = Choices(
    "predictor",
    {
        "zero": ZERO,
        "least-squares": _row(affine_least_squares),
        "least-squares-no-intercept": _row(least_squares),
        "ridge": _row(ridge, 1.0, "λ", whole=False),
        "polynomial": _row(polynomial, 3, "DEGREE"),
        "knn": _row(nearest, 3, "K"),
        "averaging": _row(averaging),
        "mean": _row(mean),
        "gradient-descent": _row(gradient_descent, 100, "STEPS"),
        "clipped": Baseline(clipped, 10.0, "B", whole=False),
        "dmmse": Baseline(finite_pool, 1024, "FUNCTIONS"),
        "lasso": Baseline(functools.partial(_refitted, _lasso), 0.01, "α", whole=False),
        "tree": Baseline(functools.partial(_refitted, _tree), 4, "DEPTH"),
    },
)
"""The baselines of functions, by name."""
