"""Softmax against SSA and its rivals on functions learnt in context (arXiv 2508.14685).

Command: ``python scripts/reproduce_scoring.py --out runs/scoring`` (minutes on 2 CPU cores), or
with ``--full`` on an accelerator: the paper's 12 layers, 500,000 steps and every normalizer.

Models that differ in nothing but the normalizer, at equal seeds and data, are trained on ``every``,
``some`` and linear functions of inputs from N(0, 1), and tested on prompts of 10 to 200 points, on
wider inputs (σ 1 to 30) and with one deviant among the inputs.  Written: ``results.json`` (every
number, seed by seed), ``table.md`` and ``collapse.png``.  Ctrl-C and the same command again go on.

The table counts balanced accuracy (labels hardly vary in these tasks: a constant answer has 0.5),
or, of linear functions, the mean squared error over that of answering zero (which has 1).
Differences to softmax are paired by seed, with a 95 % interval of Student's t.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import tyro

from attention.normalizers import NORMALIZERS, normalize
from attention.transformer import Transformer, TransformerConfig
from icl import training
from icl.distributions import Normal
from icl.experiments import Experiment
from icl.prompts import Prompts, inputs_and_places, with_deviant
from icl.quantifiers import Quantifiers, measures, truth
from icl.tasks import Task

TASKS = ("every", "some", "linear")
REDUCED = ("softmax", "ssa", "ssa:learn=n+b,per=head", "temperature", "ssmax", "sparsemax")
FULL = (*NORMALIZERS, "ssa:learn=n+b,per=head", "ssa:n=2,learn=none")
POINTS, LONGEST = 41, 200
LENGTHS = tuple(range(10, LONGEST + 1, 10))
SIGMAS = (1, 2, 5, 10, 20, 30)
DEVIANTS = (3.0, 10.0, 100.0, 1000.0)
SKIP = 3  # first positions that do not count, as in the paper

Result = dict[str, Any]  # task, normalizer, test, at, seed, and measures


def train(
    task: str, normalizer: str, seeds: int, steps: int, full: bool, out: Path
) -> tuple[TransformerConfig, Any, Task]:
    """Models of all seeds, stacked, and what they were trained on; resumes."""
    experiment = Experiment(
        f"{task}-{'12l8ah' if full else '2l2ah'}",
        points=POINTS if full else 21,
        point_curriculum="11:41:2:2000" if full and task == "linear" else None,
        normalizer=normalizer,
        hidden_size=None if full else 32,
        batch=64 if full else 32,
        learning_rate=1e-4 if full else 2e-3,
        seeds=seeds,
    )
    every = min(steps, 10_000 if full else 200)
    state = training.train(
        experiment,
        out / "runs" / f"{task}-{normalizer.replace(':', '-').replace(',', '-')}",
        steps=steps,
        dispatch=min(100, every) if every % 100 == 0 else 1,
        save_every=every,
        log_every=every,
        quiet=True,
    )
    return experiment.config(), state.params, experiment.task()


@functools.partial(jax.jit, static_argnums=0)
def predictions(config: TransformerConfig, params: Any, x_BTD: Any, y_BT: Any) -> jax.Array:
    """Of all seeds: ``[seed, B, T]``."""
    one = functools.partial(training.predict, config)
    return jax.vmap(one, (0, None, None))(params, x_BTD, y_BT)


def prompts_of(task: str, key: jax.Array, sigma: float, points: int, prompts: int) -> Prompts:
    """Test prompts, drawn with keys that training never uses."""
    if task == "linear":
        drawn = Experiment("linear-1l1ah", points=points, inputs=f"normal:0,{sigma}").task()
    else:
        drawn = Quantifiers(task, Normal(0.0, sigma), points)  # type: ignore[arg-type]
    return drawn.sample(key, 0, prompts)


def deviated(task: str, prompts: Prompts, value: float) -> Prompts:
    """With one input of this size in the middle, and the values that follow from it."""
    place = prompts.x_BTD.shape[1] // 2
    x_BTD = with_deviant(prompts.x_BTD, place, value)
    if task == "linear":
        x_BT, y_BT = prompts.x_BTD[:, :, 0], prompts.y_BT
        x_mean, y_mean = (z.mean(axis=1, keepdims=True) for z in (x_BT, y_BT))
        slope = jnp.sum((x_BT - x_mean) * (y_BT - y_mean), axis=1, keepdims=True)
        slope /= jnp.sum(jnp.square(x_BT - x_mean), axis=1, keepdims=True)  # f is a line
        return Prompts(x_BTD, slope * (x_BTD[:, :, 0] - x_mean) + y_mean, prompts.where_BT)
    every_B1 = jnp.full((len(x_BTD), 1), task == "every")
    return Prompts(x_BTD, truth(x_BTD[:, :, 0], every_B1), prompts.where_BT)


def scores(task: str, predicted_BT: np.ndarray, y_BT: np.ndarray) -> dict[str, float]:
    """Of one model; after a deviant, only positions after it are given."""
    if task != "linear":
        return dict(measures(jnp.asarray(predicted_BT), jnp.asarray(y_BT), SKIP))
    squares, zero = np.square(predicted_BT - y_BT)[:, SKIP:], np.square(y_BT)[:, SKIP:]
    return {"error": float(squares.mean()), "error_of_zero": float(zero.mean())}


def test(
    task: str, normalizer: str, config: TransformerConfig, params: Any, prompts: int
) -> list[Result]:
    """Lengths, widths, designs and deviants."""
    key = functools.partial(jax.random.fold_in, jax.random.key(2**31 - 1))
    results: list[Result] = []

    def note(kind: str, at: float | str, found: np.ndarray, y_BT: np.ndarray) -> None:
        for seed, predicted_BT in enumerate(found):
            row = {"task": task, "normalizer": normalizer, "test": kind, "at": at, "seed": seed}
            results.append(row | scores(task, predicted_BT, y_BT))

    def run(given: Prompts) -> tuple[np.ndarray, np.ndarray]:
        found = predictions(config, params, given.x_BTD, given.y_BT)
        return np.asarray(found), np.asarray(given.y_BT)

    # Models are causal and points independent: a shorter prompt is the start of a longer one.
    found, y_BT = run(prompts_of(task, key(0), 1, LONGEST, prompts))
    for length in LENGTHS:
        note("length", length, found[:, :, :length], y_BT[:, :length])
    for i, sigma in enumerate(SIGMAS):
        note("sigma", sigma, *run(prompts_of(task, key(1 + i), sigma, POINTS, prompts)))
    if task != "linear":
        for i, design in enumerate(("balanced", "late")):
            drawn = Quantifiers(task, Normal(0.0, 1.0), POINTS, design)  # type: ignore[arg-type]
            note("design", design, *run(drawn.sample(key(50 + i), 0, prompts)))
    for i, value in enumerate(DEVIANTS):
        if task == "linear":
            given = prompts_of(task, key(70 + i), 1, POINTS, prompts)
        else:  # a late flip, so that something is left to answer after the deviant
            drawn = Quantifiers(task, Normal(0.0, 1.0), POINTS, "late")  # type: ignore[arg-type]
            given = drawn.sample(key(70 + i), 0, prompts)
        # A number of the common sign decides nothing, and must not distract either.
        signed = -value if task == "some" else value
        found, y_BT = run(deviated(task, given, signed))
        after = POINTS // 2 + 1 - SKIP
        note("deviant", value, found[:, :, after:], y_BT[:, after:])
    return results


def value_of(row: Result) -> float:
    """What the table shows of a result."""
    if row["task"] == "linear":
        return row["error"] / row["error_of_zero"]
    return row["balanced_accuracy"]


COLUMNS: dict[str, tuple[str, Sequence[Any]]] = {
    "10-40": ("length", LENGTHS[:4]),
    "50-200": ("length", LENGTHS[4:]),
    "σ 2-30": ("sigma", SIGMAS[1:]),
    "late flip": ("design", ("late",)),
    "deviant 3, 10": ("deviant", DEVIANTS[:2]),
    "deviant ≥ 100": ("deviant", DEVIANTS[2:]),
}


def column(rows: Sequence[Result], test: str, where: Sequence[Any], seeds: int) -> np.ndarray:
    """Mean over the tests of a column, seed by seed."""
    return np.array(
        [
            np.mean(
                [value_of(r) for r in rows
                 if r["test"] == test and r["at"] in where and r["seed"] == seed]
            )
            for seed in range(seeds)
        ]
    )  # fmt: skip


def table(results: Sequence[Result], seeds: int, normalizers: Sequence[str]) -> str:
    """Means over seeds, and differences to softmax with their intervals."""
    lines = []
    for task in dict.fromkeys(row["task"] for row in results):
        linear = task == "linear"
        names = [name for name in COLUMNS if not (linear and name == "late flip")]
        what = "error over that of answering zero" if linear else "balanced accuracy"
        lines += [f"## {task}: {what}", ""]
        lines += ["| normalizer | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        lines += ["| a constant | " + " | ".join(["1" if linear else "0.5"] * len(names)) + " |"]
        rows = {n: [r for r in results if (r["task"], r["normalizer"]) == (task, n)]
                for n in normalizers}  # fmt: skip
        for name in normalizers:
            cells = []
            for each in names:
                found = column(rows[name], *COLUMNS[each], seeds)
                cell = f"{found.mean():.3g}"
                if name != "softmax" and "softmax" in rows and seeds > 1:
                    gap = found - column(rows["softmax"], *COLUMNS[each], seeds)
                    half = scipy.stats.t.ppf(0.975, seeds - 1) * gap.std(ddof=1) / seeds**0.5
                    better = (gap.mean() < 0) == linear
                    word = "noise" if abs(gap.mean()) <= half else "better" if better else "worse"
                    cell += f" ({gap.mean():+.2g} ± {half:.2g}: {word})"
                cells.append(cell)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        if not linear:
            plain = [r for r in results if r["task"] == task and r["test"] == "length"]
            floor = np.mean([r["constant_accuracy"] for r in plain])
            accuracy = {n: np.mean([r["accuracy"] for r in plain if r["normalizer"] == n])
                        for n in normalizers}  # fmt: skip
            late = {
                n: np.nanmean([r["late_flip_accuracy"] for r in results if r["task"] == task
                               and r["normalizer"] == n and r["test"] == "design"])
                for n in normalizers
            }  # fmt: skip
            lines += [
                "",
                f"Plain accuracy over all lengths (a constant answer: {floor:.4f}), and "
                "after a late flip: "
                + "; ".join(f"{n} {accuracy[n]:.4f}, {late[n]:.3f}" for n in normalizers)
                + ".",
            ]
        lines.append("")
    return "\n".join(lines)


MAGNITUDES = np.geomspace(1, 1e4, 25)


def spread(weights: np.ndarray) -> tuple[float, float]:
    """Largest weight, and entropy in nats, of rows of weights scaled to sum 1; means."""
    shares = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    logs = np.log(np.maximum(shares, 1e-30))
    return float(shares.max(-1).mean()), float(-(shares * logs).sum(-1).mean())


def collapse_of_scores(normalizer: str) -> np.ndarray:
    """``[magnitude, (largest weight, entropy)]`` of 64 rows of 32 scores, one the deviant."""
    scores = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    found = []
    for magnitude in MAGNITUDES:
        scores[:, 7] = magnitude
        found.append(spread(np.asarray(normalize(normalizer, jnp.asarray(scores)))))
    return np.array(found)


def collapse_of_model(config: TransformerConfig, params: Any) -> np.ndarray:
    """The same of trained models' last query, over layers, heads, seeds; an input deviates."""
    given = Quantifiers("every", Normal(0.0, 1.0), 21).sample(jax.random.key(9), 0, 32)

    @jax.jit
    def weights(x_BTD: Any, y_BT: Any) -> Any:
        tokens, _ = inputs_and_places(x_BTD, y_BT, True)

        def one(params: Any) -> Any:
            apply = functools.partial(Transformer(config).apply, {"params": params})
            return apply(tokens, capture=("attention_weights",))[1]["attention_weights"]

        return jax.vmap(one)(params)[..., -1, :]

    found = []
    for magnitude in MAGNITUDES:
        with_it = deviated("every", given, float(magnitude))
        found.append(spread(np.asarray(weights(with_it.x_BTD, with_it.y_BT))))
    return np.array(found)


def draw(panels: dict[str, dict[str, np.ndarray]], out: Path) -> None:
    """Largest weight above, entropy below; a column of each kind of deviant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(panels), 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row")
    styles = ("-", "--", ":", "-.")
    for j, (title, curves) in enumerate(panels.items()):
        for i, (name, curve) in enumerate(curves.items()):
            for k in range(2):
                axes[k, j].plot(
                    MAGNITUDES, curve[:, k], styles[i % 4], color=f"C{i % 10}", label=name
                )
        axes[0, j].set_title(title, fontsize=10)
        axes[1, j].set_xlabel("deviant's magnitude")
        axes[0, j].set_xscale("log")
    axes[0, 0].set_ylabel("largest weight")
    axes[1, 0].set_ylabel("entropy of the weights, nats")
    axes[1, 0].legend(frameon=False, fontsize=7)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=150)


def main(
    out: Path,
    full: bool = False,
    tasks: str = ",".join(TASKS),
    normalizers: str = "",
    seeds: int = 3,
    steps: int | None = None,
    prompts: int | None = None,
) -> None:
    """Train, test and write.

    Args:
        out: directory of the results.
        full: the paper's size; for accelerators.
        tasks: between commas.
        normalizers: between spaces; "" for the usual ones.
        seeds: models of each kind.
        steps: of training; None for 600, or 500,000 if full.
        prompts: in a test; None for 128, or 1,024 if full.
    """
    names = normalizers.split() or list(FULL if full else REDUCED)
    steps, prompts = steps or (500_000 if full else 600), prompts or (1024 if full else 128)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"seeds": seeds, "steps": steps, "prompts": prompts, "full": full}
    results: list[Result] = []
    of_models: dict[str, np.ndarray] = {}
    for task in tasks.split(","):
        for name in names:
            config, params, _ = train(task, name, seeds, steps, full, out)
            found = test(task, name, config, params, prompts)
            results += found
            (out / "results.json").write_text(json.dumps(settings | {"results": results}, indent=0))
            mean = np.mean([value_of(row) for row in found if row["test"] == "sigma"])
            print(f"{task:8}{name:28}{mean:.3f} over all σ", flush=True)
            if task == "every":
                of_models[name] = collapse_of_model(config, params)
    text = table(results, seeds, names)
    (out / "table.md").write_text(text)
    of_scores = {n: collapse_of_scores(n) for n in names if NORMALIZERS[n.partition(":")[0]].form
                 == "scores"}  # fmt: skip
    panels = {"one of 32 scores": of_scores}
    if of_models:
        panels["one of 21 inputs of `every`, trained models"] = of_models
    draw(panels, out / "collapse.png")
    print(text)


if __name__ == "__main__":
    tyro.cli(main)
