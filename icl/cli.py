"""``icl …``: learning functions in context.  Nothing here imports JAX before a command runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import tyro

from attention.command_line import run
from attention.errors import InputError
from icl.experiments import Experiment

Chosen = Annotated[Experiment, tyro.conf.arg(name="")]
Sweeps = tyro.conf.UseAppendAction[list[str]]
Directories = tyro.conf.UseAppendAction[list[Path]]


def train(
    *,
    experiment: Chosen,
    out: Path,
    steps: int = 10_000,
    dispatch: int = 100,
    save_every: int = 1000,
    log_every: int = 100,
    quiet: bool = False,
) -> None:
    """Train a small transformer from scratch; call again to go on.

    Args:
        experiment: task, model and optimizer
        out: run directory; one that holds the same experiment is continued
        steps: updates in all
        dispatch: updates in one program
        save_every: updates between checkpoints
        log_every: updates between lines of metrics
        quiet: nothing on the terminal
    """
    from icl import training

    _use_compilation_cache()
    training.train(
        experiment,
        out,
        steps=steps,
        dispatch=dispatch,
        save_every=save_every,
        log_every=log_every,
        quiet=quiet,
    )


def evaluate(
    *,
    out: Path,
    run: Directories = [],  # noqa: B006 - tyro's way to say "any number"
    predictors: str = "",
    eval_set: Path | None = None,
    published: bool = False,
    sweep: Sweeps = [],  # noqa: B006
    functions: str | None = None,
    coefficients: str | None = None,
    inputs: str | None = None,
    count: int = 100,
    prompts: int = 64,
    points: int = 41,
    seed: int = 0,
) -> None:
    """Errors of trained models and baselines, exact or swept, with tables and pictures.

    Args:
        out: directory for errors.csv, positions.csv and pictures
        run: a directory of icl train; may be given several times
        predictors: baselines between commas: zero, least-squares, ridge, knn-3, averaging, …
        eval_set: npz with a, b, xs_normal, xs_uniform
        published: the bundled evaluation set of arXiv 2411.11465
        sweep: NAME=VALUES, e.g. sigma=1:10, inputs=1:10, degree=1,2,3, points=10,41,80,
            order=drawn,sorted, deviant=3:1000; may be given several times
        functions: class; None for the run's
        coefficients: their distribution; None for the run's
        inputs: their distribution; None for the run's
        count: functions a setting
        prompts: inputs a setting
        points: of a prompt
        seed: of the functions and inputs drawn
    """
    from icl import evaluation, reporting, training
    from icl.functions import function_class

    _use_compilation_cache()
    if min(count, prompts) < 1:
        raise InputError("count and prompts must be at least 1")
    names = [name for name in predictors.split(",") if name]
    trained = training.load(run[0]) if run else None
    if trained is not None and not hasattr(trained.task, "functions"):
        if names or eval_set or published:
            raise InputError("a run on quantifiers is compared with constant answers alone")
        _evaluate_quantifiers(run, sweep, out, prompts * 4, seed)
        return
    by_name = evaluation.predictors(names, run)
    if eval_set is not None or published:
        cases = evaluation.published(eval_set, count if count < 100 else None)
    else:
        of, law, place = evaluation.functions_of(trained)
        of = of if functions is None else function_class(functions)
        base = evaluation.Design(inputs=inputs or place, points=points)
        settings = evaluation.designs(sweep, base)
        cases = (
            evaluation.drawn(each, of, coefficients or law, count=count, prompts=prompts, seed=seed)
            for each in settings
        )
    rows, positions = evaluation.evaluate(reporting.progress(cases), by_name)
    out.mkdir(parents=True, exist_ok=True)
    evaluation.write_csv(out / "errors.csv", rows)
    evaluation.write_csv(out / "positions.csv", positions)
    reporting.draw(out, rows, positions)
    reporting.show(rows, [name for name in rows[0] if name not in ("low", "high")])
    print(f"\n{out / 'errors.csv'}")


def saturation(
    *, run: Path, out: Path, seed: int | None = None, most: float = 30.0, count: int = 61
) -> None:
    """Boundary values of a trained model: its plateaus, and the limits its weights predict.

    Args:
        run: directory of icl train
        out: directory for saturation.json, entropy.csv and boundary.png
        seed: which of several
        most: slopes from -most to most
        count: slopes, and inputs
    """
    import json

    import numpy as np

    from icl import plots, training
    from icl import saturation as measured
    from icl.evaluation import functions_of, write_csv

    _use_compilation_cache()
    trained = training.load(run, seed)
    functions_of(trained)  # raises for other tasks
    if count < 2 or most <= 0:
        raise InputError("there must be at least 2 slopes, up to a positive number")
    slopes = np.linspace(-most, most, count)
    queries = np.sign(slopes) * np.geomspace(1e-2, 1e5, count)[np.argsort(np.argsort(abs(slopes)))]
    curve = measured.follow(trained, [float(c) for c in slopes])
    far = measured.along_inputs(trained, [float(x) for x in queries])
    low, high = measured.plateau(curve)
    found = {"plateau_along_slopes": [low, high], "plateau_along_x": list(measured.plateau(far))}
    found["observed_limits"] = [float(x) for x in measured.along_inputs(trained, [1e6, -1e6])]
    limits = None
    with contextlib.suppress(InputError):  # there are none without LayerNorm
        limits = measured.limits(trained)
        found["limits_from_weights"] = list(limits)
    out.mkdir(parents=True, exist_ok=True)
    if trained.config.attention:
        write_csv(out / "entropy.csv", measured.entropies(trained, [0.1, 1, 3, 10, 30, 100]))
    (out / "saturation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    plots.boundary(out / "boundary.png", slopes, curve, queries, far, limits)
    for name, values in found.items():
        print(f"{name.replace('_', ' '):24}{values[0]:>10.4g}{values[1]:>10.4g}")
    print(f"\n{out / 'boundary.png'}")


def roots(
    *, run: Path, seed: int = 0, count: int = 256, low: float = -3.0, high: float = 3.0
) -> None:
    """How near a model comes to a root of the function that it is shown (the inverse problem).

    A run with --inverse is asked for the x of the value 0 ("swap"); any other is asked for f over
    a grid, and where it changes sign is the answer ("scan").

    Args:
        run: directory of icl train
        seed: of functions and inputs
        count: functions
        low: smallest root that counts
        high: largest
    """
    from icl import training
    from icl.roots import approximate

    if count < 1 or not low < high:
        raise InputError("there must be at least one function, and low must be less than high")
    trained = training.load(run)
    found = approximate(trained, count=count, seed=seed, low=low, high=high)
    print(f"{'reading':28}{'swap' if trained.experiment.inverse else 'scan'}")
    for name, value in found.items():
        print(f"{name.replace('_', ' '):28}{value:.4g}")


def ask(
    *,
    out: Path,
    model: str,
    endpoint: str | None = None,
    run: Directories = [],  # noqa: B006
    predictors: str = "",
    sweep: Sweeps = [],  # noqa: B006
    functions: str = "affine",
    coefficients: str = "normal:0,1",
    inputs: str = "normal:0,1",
    count: int = 100,
    points: int = 41,
    examples: int = 5,
    decimals: int = 2,
    temperature: float = 0.0,
    seed: int = 0,
) -> None:
    """The same prompts as text, for a language model.

    Args:
        out: directory for answers.jsonl and errors.csv
        model: local folder or hub id, or the endpoint's name for its model
        endpoint: address of an OpenAI-compatible server, up to /v1; its key is read from the
            environment variable OPENAI_API_KEY
        run: a directory of icl train, asked the same; may be given several times
        predictors: baselines asked the same, between commas
        sweep: as for icl evaluate
        functions: class
        coefficients: their distribution
        inputs: their distribution
        count: questions a setting
        points: of a prompt
        examples: worked ones
        decimals: of every number
        temperature: 0 takes the most probable answer
        seed: of functions and inputs
    """
    import json

    from icl import evaluation, language, reporting
    from icl.functions import function_class

    of = function_class(functions)
    if of.d != 1:
        raise InputError("prompts as text are of functions of one number")
    if count < 1 or points < 1 or min(examples, decimals) < 0 or temperature < 0:
        raise InputError("count and points are positive, examples and temperature not negative")
    settings = evaluation.designs(sweep, evaluation.Design(inputs=inputs, points=points))
    names = [name for name in predictors.split(",") if name]
    rivals = evaluation.predictors(names, run) if names or run else {}
    if endpoint is None:
        answer = language.checkpoint(model, temperature=temperature, seed=seed)
    else:
        answer = language.endpoint(endpoint, model, temperature=temperature)
    rows, lines = [], []
    for design in settings:
        case = evaluation.drawn(design, of, coefficients, count=count, prompts=count, seed=seed)
        found = language.ask(case, answer, count=count, examples=examples, decimals=decimals)
        said = {model: found}
        said |= {name: language.compare(case, rival, count=count) for name, rival in rivals.items()}
        for name, each in said.items():
            share = each.error / each.error_of_zero
            numbers = {"error": each.error, "error_over_zero": share, "failures": each.failures}
            rows.append({"predictor": name, **case.labels, **numbers, "asked": count})
        lines += [json.dumps({**case.labels, "answer": text}) for text in found.texts]
    out.mkdir(parents=True, exist_ok=True)
    (out / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    evaluation.write_csv(out / "errors.csv", rows)
    reporting.show(rows, list(rows[0]), ("error", "error_over_zero", "failures"))


def _evaluate_quantifiers(
    runs: list[Path], sweep: list[str], out: Path, prompts: int, seed: int
) -> None:
    from icl import evaluation, reporting, training
    from icl.quantifier_evaluation import score

    rows = [
        row for directory in runs for row in score(training.load(directory), sweep, prompts, seed)
    ]
    out.mkdir(parents=True, exist_ok=True)
    evaluation.write_csv(out / "errors.csv", rows)
    reporting.draw_scores(out, rows)
    reporting.show_scores(rows)
    print(f"\n{out / 'errors.csv'}")


def _use_compilation_cache() -> None:
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "tale-jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    commands = {
        "train": train,
        "evaluate": evaluate,
        "saturation": saturation,
        "roots": roots,
        "ask": ask,
    }
    run("icl", commands, "Small transformers that learn functions in context.", arguments)
