"""``icl evaluate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files
from attention.command_line import Commas, Repeated, Result, command
from attention.errors import InputError
from attention.options import Display
from attention.terminal import Terminal
from icl import evaluation, papers
from icl.tasks import PromptOptions, Sampling

if TYPE_CHECKING:
    from icl.tasks import Case, Setting, Task

Names = Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")]
Runs = Annotated[tuple[Path, ...], Repeated(metavar="DIR")]


@command
def evaluate(
    *,
    out: Path,
    run: Runs = (),
    predictors: Names = (),
    published: bool = False,
    eval_set: Path | None = None,
    options: PromptOptions = PromptOptions(),
    sampling: Sampling = Sampling(),
    display: Display = Display(),
) -> Result:
    """Score trained models and baselines on the prompts of a sweep, with tables and a figure.

    Args:
        out: directory for errors.csv, positions.csv and errors.png
        run: directory of icl train, or zoo:NAME, a model that comes along (icl zoo)
        predictors: baselines: zero, least-squares, least-squares-no-intercept, ridge-λ,
            polynomial-DEGREE, knn-K, averaging, mean, gradient-descent-STEPS, lasso-α, tree-DEPTH;
            for every and some: true, false, current, previous, exact
        published: test on the bundled evaluation set of arXiv 2411.11465
        eval_set: test on an npz file with a, b, xs_normal and xs_uniform, as that set has
        options: what is asked
        sampling: how many prompts
        display: what is shown

    Returns:
        ``errors``: the rows of errors.csv; ``file``: that file.

    Raises:
        InputError: there is nothing to evaluate, or an option is not possible.
    """
    files.check_folder(out)
    files.use_compilation_cache()
    if not run and not predictors:
        raise InputError("nothing to evaluate: give --run or --predictors")
    fixed = published or eval_set is not None
    if fixed and options != PromptOptions():
        raise InputError("the published set has functions and inputs of its own: nothing else")
    groups = evaluation.run_tasks(options, run)
    terminal = Terminal(display.quiet)
    rows, positions = [], []
    for task, runs in groups:
        by_name = evaluation.predictors(task, predictors, runs)
        settings = [] if fixed else task.settings(options.sweep)
        few = sampling.count if sampling.count != Sampling().count else None  # None: all functions
        given = list(papers.evaluation_set(eval_set, few)) if fixed else []
        with terminal.steps("settings", len(given or settings)) as advance:
            cases = given or _drawn(task, settings, sampling)
            more, errors = evaluation.evaluate(task, cases, by_name, advance)
        rows, positions = rows + more, positions + errors
    shown = evaluation.write_report(out, groups[0][0], rows, positions)
    return Result({"errors": rows, "file": out / "errors.csv"}, *shown)


def _drawn(task: Task, settings: Sequence[Setting], sampling: Sampling) -> Iterator[Case]:
    """The prompts of each setting, drawn when they are needed."""
    for setting in settings:
        yield task.draw(setting, sampling)
