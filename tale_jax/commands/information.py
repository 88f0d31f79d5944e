"""How much of the answer the state after each layer tells a linear probe: ``tale information``.

    I(X_l; Y) = H(Y) − E[−log₂ p(y | x_l)]    bits

X_l is the state of a prompt's last token after layer l, Y the right answer, p a calibrated logistic
regression.  As in the paper the probe is fitted and scored on the same states, and the result is
cut off at 0; with fewer examples than dimensions such a probe tells nearly anything apart, so that
this figure is biased upwards.  Beside it the same probe is scored on folds that it was not fitted
on.  That estimate is unbiased for the probe, hence below the information itself; it may be negative
(a probe worse than the frequencies of the answers) and is not cut off.

Source: TELL-TALE, arXiv 2510.22767, section on mutual information.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attention.errors import InputError
from attention.files import save_figure, write_table
from attention.likelihood import Row, RowBatches
from attention.statistics import bootstrap_interval
from tale_jax.models import Model
from tale_jax.opening import model_and_layers
from tale_jax.options import Options
from tale_jax.runs import Terminal, information_figure, layer_list, rewrite_report
from tale_jax.scoring import last_states
from tale_jax.tasks import Example, encode_prompts, fitting
from tale_jax.units import Dropped, Unit, kept_layers

FOLDS, CALIBRATION_FOLDS = 5, 3
MOST_CLASSES = 26
BOOTSTRAPS = 2000
EMBEDDING = -1  # the state before the first layer
COLUMNS = "model layer entropy same_states cross_validated low high examples".split()


class Estimate(NamedTuple):
    """Information in bits: fitted and scored on the same states, and on folds left out."""

    same_states: float
    cross_validated: float
    low: float
    high: float


def information(
    model: str | None = None,
    task: str | None = None,
    *,
    run: str | Path | None = None,
    pick: str = "best",
    drop: Sequence[Unit] = (),
    split: str | None = None,
    examples: int = 100,
    out: str | Path | None = None,
    quiet: bool = True,
    **options: Any,
) -> list[dict[str, Any]]:
    """Information about the answer after each layer, before and after elimination.

    Args:
        model: a local folder, a hub id, or ``demo``; None: that of the run.
        task: a JSONL file or a name; None: that of the run.
        run: directory of a finished search, whose report then shows the curve.
        pick: of the run: which layers to leave out.
        drop: layers to leave out, in place of a run.
        split: ``search`` or ``test``; None: test if there is one.
        examples: how many of it, the first; the paper takes 100.
        out: directory for ``information.csv`` and ``.svg``/``.png``; None: that of the run.
        quiet: show nothing.
        options: fields of :class:`tale_jax.options.Options`; those of the run count if the task is
            the run's.

    Returns:
        The rows of ``information.csv``: ``model`` is "full" or "without 3, 5"; layer −1 is the
        state before the first layer.

    Raises:
        InputError: answers that are no classes, too few examples, or whatever else can be mended.
    """
    asked = (model, task, run, pick, drop, Options(**options))
    opened, loaded, dropped, chosen = model_and_layers(*asked)
    directory = out or run
    if directory is None:
        raise InputError("give --out, a directory for the files")
    terminal = Terminal(quiet)
    split = split or ("search" if loaded.test is None else "test")
    given = getattr(loaded, split, None)
    if split not in ("search", "test") or given is None:
        raise InputError(f"{loaded.name} has no split {split!r}")
    if examples < 2 * FOLDS:
        raise InputError(f"{FOLDS} folds take at least {2 * FOLDS} examples, not {examples}")
    tokens, labels_E = _asked(opened, given, examples, loaded.name)
    rows = RowBatches(tokens, chosen.batch_tokens, opened.batch_sharding)
    terminal.message(f"{len(tokens)} examples of the {split} split, {len(set(labels_E))} answers")
    found = []
    for name, without in variants(dropped):
        states_ELD = last_states(opened.config, opened.params, without, rows)
        layers = kept_layers(without, opened.config.num_hidden_layers)
        with terminal.steps(f"probes, {name}", len(layers) + 1) as step:
            for place, layer in enumerate([EMBEDDING, *layers]):
                bits = estimate(states_ELD[:, place], labels_E)
                found.append(
                    {"model": name, "layer": layer, "entropy": entropy(labels_E)}
                    | bits._asdict()
                    | {"examples": len(labels_E)}
                )
                step()
    _write(Path(directory), found, terminal, loaded.name, is_run=run is not None and out is None)
    return found


def variants(dropped: Dropped) -> list[tuple[str, Dropped]]:
    """Names of the full model and, if layers are dropped, of the one without them."""
    after = [(f"without {layer_list(dropped)}", dropped)] if dropped else []
    return [("full", ()), *after]


def _asked(
    model: Model, examples: Sequence[Example], count: int, name: str
) -> tuple[list[Row], Int[np.ndarray, " E"]]:
    """Prompts as rows, and the classes of their answers; rare answers are left out."""
    prompts = encode_prompts(model.tokenizer, examples[:count])
    kept = fitting([len(p) for p in prompts], model.config.max_position_embeddings, name)
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
    return [Row.prompt(prompts[i]) for i in places], np.array(labels)


def entropy(labels_E: Int[np.ndarray, " E"]) -> float:
    """Entropy of the observed frequencies, in bits."""
    shares = np.bincount(labels_E) / len(labels_E)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log2(shares)))


def estimate(states_ED: Float[np.ndarray, "E D"], labels_E: Int[np.ndarray, " E"]) -> Estimate:
    """Both estimates, and the bootstrap 95 % interval of the cross-validated one.

    Every class has at least ``FOLDS`` members.
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


def _log2_probability(states_ED: Any, labels_E: Any, fitted: Any, scored: Any) -> Any:
    """Bits of probability that a probe fitted on some examples gives the answers of others."""
    probe = make_probe(int(np.bincount(labels_E[fitted]).min()))
    with _quiet_probes():
        probe.fit(states_ED[fitted], labels_E[fitted])
        predicted = probe.predict_proba(states_ED[scored])
    chosen = predicted[np.arange(len(scored)), labels_E[scored]]
    return np.log2(np.clip(chosen, 1e-12, None))


def make_probe(rarest: int) -> Any:
    """The paper's probe: scaled, one logistic regression a class, sigmoid-calibrated on folds."""
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
    """One thread, for the matrices are small; no word of weights that still grow.

    Those of a probe that separates its classes always do.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _write(
    directory: Path, rows: list[dict[str, Any]], terminal: Terminal, task: str, is_run: bool
) -> None:
    files = [directory / f"information.{kind}" for kind in ("csv", "svg", "png")]
    write_table(files[0], rows, COLUMNS)
    save_figure(lambda: information_figure(rows), *files[1:])
    names = list(dict.fromkeys(row["model"] for row in rows))
    cells: dict[int, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault(row["layer"], {})[row["model"]] = row
    terminal.table(
        f"{task}: bits about the answer, of {rows[0]['entropy']:.2f}\n"
        "same states / cross-validated [95 % interval]",
        ["layer", *names],
        [
            ["before" if layer == EMBEDDING else str(layer)]
            + [_bits(of[name]) if name in of else "–" for name in names]
            for layer, of in sorted(cells.items())
        ],
        words=1,
    )
    if is_run:
        rewrite_report(directory)
    terminal.message(f"written: {', '.join(map(str, files))}")


def _bits(row: Mapping[str, Any]) -> str:
    return (
        f"{row['same_states']:.2f} / {row['cross_validated']:.2f} "
        f"[{row['low']:.2f}, {row['high']:.2f}]"
    )
