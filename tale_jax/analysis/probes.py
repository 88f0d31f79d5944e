"""Probes: how much of a label can be read off states, in bits.

    I(X; Y) = H(Y) − E[−log₂ p(y | x)]

p is a classifier of the states. The paper's probe is fitted and scored on the same states: with
fewer examples than dimensions it tells nearly anything apart, so that this figure is biased
upwards. Beside it a regularised probe is scored on folds that it was not fitted on. That estimate
is unbiased for the probe, and so lies below the information itself. Where there is nothing to be
read it is about 0, and may be a little below.

Source of the first estimate: TELL-TALE, arXiv 2510.22767, section on mutual information.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import ThreadpoolController

from attention.statistics import bootstrap_interval

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS, CALIBRATION_FOLDS, INNER_FOLDS = 5, 3, 3
BOOTSTRAPS = 2000
COMPONENTS = 128
"""Directions of the largest variance that the regularised probe reads."""
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""C of its ridge, which is chosen on inner folds; the first is next to no reading."""


class Estimate(NamedTuple):
    """Information in bits.

    Attributes:
        same_states: by a probe that is fitted and scored on the same states.
        cross_validated: by probes that are scored on folds left out.
        low: lower end of the bootstrap 95 % interval of the latter.
        high: its upper end.
    """

    same_states: float
    cross_validated: float
    low: float
    high: float


def entropy(labels_E: Int[np.ndarray, " E"]) -> float:
    """The entropy of the observed frequencies, in bits."""
    shares = np.bincount(labels_E) / len(labels_E)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log2(shares)))


def estimate(
    states_ED: Float[np.ndarray, "E D"],
    labels_E: Int[np.ndarray, " E"],
    groups_E: Int[np.ndarray, " E"] | None = None,
) -> Estimate:
    """Both estimates, with the bootstrap interval of the cross-validated one.

    Args:
        states_ED: a state for each example.
        labels_E: their classes; each has at least ``FOLDS`` members.
        groups_E: examples of one group, such as the choices of a question, are left out together
            and drawn together; None: each is on its own.
    """
    every = np.arange(len(labels_E))
    paper = make_probe(int(np.bincount(labels_E).min()))
    same = entropy(labels_E) + np.mean(_log2_probability(paper, states_ED, labels_E, every, every))
    shares = np.bincount(labels_E) / len(labels_E)
    points_E = -np.log2(shares[labels_E])  # pointwise information when the fold is left out
    groups_E = every if groups_E is None else groups_E
    for fitted, scored in _folds(labels_E, groups_E, FOLDS):
        probe = _regularised(states_ED[fitted], labels_E[fitted], groups_E[fitted])
        points_E[scored] += _log2_probability(probe, states_ED, labels_E, fitted, scored)
    sizes_G = np.bincount(groups_E)
    means_G = np.bincount(groups_E, points_E)[sizes_G > 0] / sizes_G[sizes_G > 0]
    low, high = bootstrap_interval(means_G, BOOTSTRAPS)
    return Estimate(max(0.0, float(same)), float(np.mean(means_G)), low, high)


def _log2_probability(
    probe: Pipeline,
    states_ED: Float[np.ndarray, "E D"],
    labels_E: Int[np.ndarray, " E"],
    fitted: Int[np.ndarray, " F"],
    scored: Int[np.ndarray, " S"],
) -> Float[np.ndarray, " S"]:
    """Bits of probability that a probe fitted on some examples gives the answers of others."""
    with _quiet_probes():
        probe.fit(states_ED[fitted], labels_E[fitted])
        predicted = probe.predict_proba(states_ED[scored])
    chosen = predicted[np.arange(len(scored)), labels_E[scored]]
    return np.log2(np.clip(chosen, 1e-12, None))


def make_probe(rarest: int) -> Pipeline:
    """The paper's probe: scaled, one logistic regression a class, calibrated on folds.

    Args:
        rarest: members of the smallest class.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = OneVsRestClassifier(LogisticRegression(max_iter=1000, random_state=42))
    folds = max(2, min(CALIBRATION_FOLDS, rarest))
    calibrated = CalibratedClassifierCV(regression, method="sigmoid", cv=folds)
    return make_pipeline(StandardScaler(with_mean=False), calibrated)


def _regularised(
    states_ED: Float[np.ndarray, "E D"],
    labels_E: Int[np.ndarray, " E"],
    groups_E: Int[np.ndarray, " E"],
) -> Pipeline:
    """A logistic regression on principal components, its ridge chosen on inner folds.

    The strongest ridge is taken whose loss is within one standard error of the least, so that a
    weaker one, which noise favours as often as not, must show that it is better.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    count = len(set(groups_E.tolist()))
    # For two classes Newton's method takes few steps; for more its matrix is large.
    how: Any = {"max_iter": 1000, "solver": "newton-cholesky" if labels_E.max() == 1 else "lbfgs"}
    losses_SE = np.zeros((len(STRENGTHS), len(labels_E)))
    with _quiet_probes():
        for fitted, scored in _folds(labels_E, groups_E, min(INNER_FOLDS, count)):
            front = make_pipeline(*_components(len(fitted), states_ED.shape[1]))
            read, held = front.fit_transform(states_ED[fitted]), front.transform(states_ED[scored])
            for i, strength in enumerate(STRENGTHS):
                ridge = LogisticRegression(C=strength, **how).fit(read, labels_E[fitted])
                places = np.searchsorted(ridge.classes_, labels_E[scored])
                chosen = ridge.predict_proba(held)[np.arange(len(scored)), places]
                losses_SE[i, scored] = -np.log(np.clip(chosen, 1e-12, None))
    worse_SE = losses_SE - losses_SE[np.argmin(losses_SE.mean(1))]
    margins_S = worse_SE.std(1) / np.sqrt(count)
    strength = STRENGTHS[int(np.argmax(worse_SE.mean(1) <= margins_S))]  # the first that is
    best = LogisticRegression(C=strength, **how)
    return make_pipeline(*_components(len(labels_E), states_ED.shape[1]), best)


def _components(examples: int, dimensions: int) -> list[object]:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    return [StandardScaler(), PCA(min(COMPONENTS, examples - 1, dimensions), random_state=42)]


def _folds(
    labels_E: Int[np.ndarray, " E"], groups_E: Int[np.ndarray, " E"], count: int
) -> Iterator[tuple[Int[np.ndarray, " F"], Int[np.ndarray, " S"]]]:
    """Places to fit on and to score, with the classes in equal shares."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(set(groups_E.tolist())) == len(groups_E)
    how = {"shuffle": True, "random_state": 42}
    if alone:
        return StratifiedKFold(count, **how).split(labels_E, labels_E)
    return StratifiedGroupKFold(count, **how).split(labels_E, labels_E, groups_E)


@functools.cache
def _threadpools() -> ThreadpoolController:
    """Those that probes use; to find them takes about as long as a fit."""
    importlib.import_module("sklearn.linear_model")  # and so are they loaded
    return ThreadpoolController()


@contextlib.contextmanager
def _quiet_probes() -> Iterator[None]:
    """One thread, because the matrices are small, and no warning that weights still grow.

    The weights of a probe that separates its classes always do.  Nor is there a warning about
    states that are all the same, as before the first layer: shares of their variance are not read.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), _threadpools().limit(limits=1), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
