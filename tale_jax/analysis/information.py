"""How much the state after each layer tells a linear probe about the answer.

    I(X_l; Y) = H(Y) − E[−log₂ p(y | x_l)]    bits

X_l is the state of a prompt's last token after layer l, Y the right answer, p a calibrated logistic
regression. As in the paper the probe is fitted and scored on the same states, and the result is cut
off at 0. With fewer examples than dimensions such a probe tells nearly anything apart, so that this
figure is biased upwards. Beside it the same probe is scored on folds that it was not fitted on.
That estimate is unbiased for the probe, and so lies below the information itself. It may be
negative (a probe worse than the frequencies of the answers), and is not cut off.

Source: TELL-TALE, arXiv 2510.22767, section on mutual information.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from attention.errors import InputError
from attention.likelihood import Row, RowBatches
from attention.statistics import bootstrap_interval
from tale_jax.analysis.by_layer import EMBEDDING, variants
from tale_jax.models import LoadedModel
from tale_jax.scoring import last_states
from tale_jax.tasks import Example, encode_prompts, fitting
from tale_jax.units import Dropped, kept_layers

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS, CALIBRATION_FOLDS = 5, 3
MOST_CLASSES = 26
BOOTSTRAPS = 2000
INFORMATION_COLUMNS = "model layer entropy same_states cross_validated low high examples".split()


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


class Labelled(NamedTuple):
    """Prompts, and the classes of their right answers."""

    prompts: list[Row]
    labels_E: Int[np.ndarray, " E"]


def label_prompts(model: LoadedModel, examples: Sequence[Example], name: str) -> Labelled:
    """The prompts that fit the model, with the classes of their answers; rare ones are left out.

    Args:
        model: which reads them.
        examples: of one split.
        name: of the task.

    Raises:
        InputError: there are too few examples, or too few or too many answers.
    """
    if len(examples) < 2 * FOLDS:
        raise InputError(
            f"{FOLDS} folds take at least {2 * FOLDS} examples, not {len(examples)} as in {name}"
        )
    prompts = encode_prompts(model.tokenizer, examples)
    kept = fitting([len(prompt) for prompt in prompts], model.config.longest_text, name)
    answers = [str(examples[i].answer) for i in kept]
    counts = Counter(answers)
    common = [answer for answer in sorted(counts) if counts[answer] >= FOLDS]
    if not 2 <= len(common) <= MOST_CLASSES or len(counts) > 4 * MOST_CLASSES:
        raise InputError(
            f"{name}: information needs 2 to {MOST_CLASSES} different answers that occur at least "
            f"{FOLDS} times each; of {len(kept)} examples {len(common)} do"
        )
    places = [i for i, answer in zip(kept, answers, strict=True) if answer in common]
    labels = [common.index(str(examples[i].answer)) for i in places]
    return Labelled([Row.prompt(prompts[i]) for i in places], np.array(labels))


def probe_layers(
    model: LoadedModel,
    asked: Labelled,
    dropped: Dropped,
    batch_tokens: int,
    steps: Callable[[str, int], contextlib.AbstractContextManager[Callable[[], None]]],
) -> list[dict[str, Any]]:
    """The information in every layer of the full model and of the one without some layers.

    Args:
        model: the whole model.
        asked: the prompts and the classes of their answers.
        dropped: layers and half-layers to leave out.
        batch_tokens: tokens in a batch.
        steps: shows progress, as :meth:`attention.terminal.Terminal.steps`.

    Returns:
        The rows of ``information.csv``; ``model`` is "full" or "without 3, 5", and layer −1 is the
        state before the first layer.
    """
    rows = RowBatches(asked.prompts, batch_tokens, model.batch_sharding)
    found, labels_E = [], asked.labels_E
    for name, without in variants(dropped):
        states_ELD = last_states(model.config, model.params, without, rows)
        layers = [EMBEDDING, *kept_layers(without, model.config.num_hidden_layers)]
        with steps(f"probes, {name}", len(layers)) as advance:
            for place, layer in enumerate(layers):
                bits = estimate(states_ELD[:, place], labels_E)._asdict()
                row = {"model": name, "layer": layer, "entropy": entropy(labels_E), **bits}
                found.append({**row, "examples": len(labels_E)})
                advance()
    return found


def entropy(labels_E: Int[np.ndarray, " E"]) -> float:
    """The entropy of the observed frequencies, in bits."""
    shares = np.bincount(labels_E) / len(labels_E)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log2(shares)))


def estimate(states_ED: Float[np.ndarray, "E D"], labels_E: Int[np.ndarray, " E"]) -> Estimate:
    """Both estimates, with the bootstrap interval of the cross-validated one.

    Args:
        states_ED: a state for each example.
        labels_E: their classes; each has at least ``FOLDS`` members.
    """
    from sklearn.model_selection import StratifiedKFold

    every = np.arange(len(labels_E))
    same = entropy(labels_E) + np.mean(_log2_probability(states_ED, labels_E, every, every))
    shares = np.bincount(labels_E) / len(labels_E)
    # pointwise information of each example when its fold is left out
    points_E = -np.log2(shares[labels_E])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=42)
    for fitted, scored in folds.split(states_ED, labels_E):
        points_E[scored] += _log2_probability(states_ED, labels_E, fitted, scored)
    low, high = bootstrap_interval(points_E, BOOTSTRAPS)
    return Estimate(max(0.0, float(same)), float(np.mean(points_E)), low, high)


def _log2_probability(
    states_ED: Float[np.ndarray, "E D"],
    labels_E: Int[np.ndarray, " E"],
    fitted: Int[np.ndarray, " F"],
    scored: Int[np.ndarray, " S"],
) -> Float[np.ndarray, " S"]:
    """Bits of probability that a probe fitted on some examples gives the answers of others."""
    probe = make_probe(int(np.bincount(labels_E[fitted]).min()))
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


@contextlib.contextmanager
def _quiet_probes() -> Iterator[None]:
    """One thread, because the matrices are small, and no warning that weights still grow.

    The weights of a probe that separates its classes always do.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
