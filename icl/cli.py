"""``icl …``: learning functions in context.  Nothing here imports JAX before a command runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from attention.errors import InputError
from attention.old_command_line import run
from icl import analysis_cli
from icl.arguments import Directories, Sweeps, check_folder, parse_words, use_compilation_cache
from icl.training import Experiment

if TYPE_CHECKING:
    from icl.evaluation import Case
    from icl.training import Trained

Chosen = Annotated[Experiment, tyro.conf.arg(name="")]


def train(
    *,
    experiment: Chosen,
    out: Path,
    steps: int = 10_000,
    dispatch: int = 100,
    save_every: int = 1000,
    log_every: int = 100,
    accumulate: int | None = None,
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
        accumulate: parts of a batch, one after another; None: on a CPU what its cache holds
        quiet: nothing on the terminal
    """
    from icl.training import fitting as training

    check_folder(out)
    use_compilation_cache()
    training.train(
        experiment,
        out,
        steps=steps,
        dispatch=dispatch,
        save_every=save_every,
        log_every=log_every,
        accumulate=accumulate,
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
    points: int | None = None,
    seed: int = 0,
) -> None:
    """Errors of trained models and baselines, exact or swept, with tables and pictures.

    Args:
        out: directory for errors.csv, positions.csv and pictures
        run: a directory of icl train; may be given several times
        predictors: baselines between commas: zero, least-squares, ridge, knn-3, averaging, …;
            of runs on quantifiers: true, false, current, previous, exact
        eval_set: npz with a, b, xs_normal, xs_uniform
        published: the bundled evaluation set of arXiv 2411.11465
        sweep: NAME=VALUES, e.g. sigma=1:10, inputs=1:10, degree=1,2,3, points=10,41,80,
            order=drawn,sorted, deviant=3:1000; may be given several times
        functions: class; None for the run's
        coefficients: their distribution; None for the run's
        inputs: their distribution; None for the run's
        count: functions a setting
        prompts: inputs a setting
        points: of a prompt; None for the run's, or 41
        seed: of the functions and inputs drawn
    """
    from icl.evaluation import errors as evaluation
    from icl.evaluation import reporting
    from icl.training import fitting as training

    check_folder(out)
    use_compilation_cache()
    if min(count, prompts, points or 1) < 1 or points == 0:
        raise InputError("count, prompts and points must be at least 1")
    names = parse_words(predictors)
    trained = training.load(run[0]) if run else None
    if trained is not None and not hasattr(trained.task, "functions"):
        given = (eval_set, published or None, functions, coefficients, inputs)
        if any(option is not None for option in given):
            raise InputError(f"{run[0]} learnt quantifiers: it is evaluated on their own prompts")
        reporting.write_scores(out, _scores(run, names, sweep, prompts * 4, seed))
        return
    by_name = evaluation.predictors(names, run)
    if eval_set is not None or published:
        given = (functions, coefficients, inputs, sweep or None)
        if any(option is not None for option in given):
            raise InputError("the published set has functions and inputs of its own: nothing else")
        from icl.papers import evaluation_set

        cases = evaluation_set(eval_set, count if count < 100 else None)
    else:
        cases = _cases(
            trained, (functions, coefficients, inputs), sweep, points, count, prompts, seed
        )
    reporting.write(out, *evaluation.evaluate(reporting.progress(cases), by_name))


def _cases(
    trained: Trained | None,
    chosen: tuple[str | None, str | None, str | None],
    sweep: list[str],
    points: int | None,
    *drawn: int,
) -> Iterable[Case]:
    """Cases of a sweep, of what was chosen or of what the model was trained on."""
    from icl.evaluation import errors as evaluation
    from icl.evaluation import sweeps
    from icl.tasks.functions import function_class

    of, law, place = evaluation.functions_of(trained)
    functions, coefficients, inputs = chosen
    of = of if functions is None else function_class(functions)
    points = points or (trained.task.points if trained else 41)
    base = sweeps.Design(inputs=inputs or place, points=points)
    count, prompts, seed = drawn
    for each in sweeps.designs(sweep, base):
        how = {"count": count, "prompts": prompts, "seed": seed}
        yield sweeps.drawn(each, of, coefficients or law, **how)


def _scores(
    runs: list[Path], names: list[str], sweep: list[str], prompts: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of runs on quantifiers, those of one task beside one another and the baselines."""
    from icl.evaluation import quantifier_evaluation
    from icl.training import fitting as training

    alike: dict[Any, list[Path]] = {}
    for directory in runs:
        task: Any = training.load(directory).task
        quantifier_evaluation.model_predictor(training.load(directory))
        alike.setdefault((task.kind, task.labels, task.inputs, task.points), []).append(directory)
    rows = []
    for same in alike.values():
        rows += quantifier_evaluation.score(
            *quantifier_evaluation.predictors(names, same), sweep, prompts, seed
        )
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    commands = {
        "train": train,
        "evaluate": evaluate,
        **analysis_cli.COMMANDS,
    }
    run("icl", commands, "Small transformers that learn functions in context.", arguments)
