"""``icl evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files
from attention.command_line import Commas, Repeated, Result, command
from attention.errors import InputError
from attention.options import Display
from attention.terminal import Terminal, plain_table
from icl import analysis, evaluation, papers
from icl.tasks import PromptOptions, Sampling

if TYPE_CHECKING:
    from icl.tasks import Case, Row, Setting, Task, Values

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
    nearest: bool = False,
    options: PromptOptions = PromptOptions(),
    sampling: Sampling = Sampling(),
    display: Display = Display(),
) -> Result:
    """Score trained models and baselines on the prompts of a sweep, with tables and a figure.

    Args:
        out: directory for errors.csv, positions.csv and errors.png
        run: directory of icl train, or zoo:NAME, a model that comes along (icl zoo)
        predictors: baselines: zero, least-squares, least-squares-no-intercept, ridge-λ,
            polynomial-DEGREE, knn-K, averaging, mean, gradient-descent-STEPS, clipped-B,
            dmmse-FUNCTIONS, lasso-α, tree-DEPTH;
            for every and some: true, false, current, previous, exact
        published: test on the bundled evaluation set of arXiv 2411.11465
        eval_set: test on an npz file with a, b, xs_normal and xs_uniform, as that set has
        nearest: say which of the predictors answers most like each run, prompt by prompt, and write
            strategies.csv; without --predictors: least-squares, ridge-1, gradient-descent-10,
            knn-3, clipped-10, dmmse-64, dmmse-4096
        options: what is asked
        sampling: how many prompts
        display: what is shown

    Returns:
        ``errors``: the rows of errors.csv; ``file``: that file; ``nearest``: the rows of
        strategies.csv.

    Raises:
        InputError: there is nothing to evaluate, or an option is not possible.
    """
    files.check_folder(out)
    files.use_compilation_cache()
    if not run and not predictors:
        raise InputError("nothing to evaluate: give --run or --predictors")
    if nearest and not run:
        raise InputError("--nearest compares runs with predictors: give --run")
    names = predictors or (analysis.STRATEGIES if nearest else ())
    fixed = published or eval_set is not None
    if fixed and options != PromptOptions():
        raise InputError("the published set has functions and inputs of its own: nothing else")
    groups = evaluation.run_tasks(options, run)
    terminal = Terminal(display.quiet)
    rows, positions = [], []
    strategies: list[Row] = []
    for task, runs in groups:
        by_name = evaluation.predictors(task, names, runs)
        settings = [] if fixed else task.settings(options.sweep)
        few = sampling.count if sampling.count != Sampling().count else None  # None: all functions
        given = list(papers.evaluation_set(eval_set, few)) if fixed else []
        with terminal.steps("settings", len(given or settings)) as advance:
            cases = given or _drawn(task, settings, sampling)
            look = _comparison(by_name, names, strategies) if nearest else None
            more, errors = evaluation.evaluate(task, cases, by_name, advance, look)
        rows, positions = rows + more, positions + errors
    shown = evaluation.write_report(out, groups[0][0], rows, positions)
    if nearest:
        files.write_table(out / "strategies.csv", strategies)
        whole = [row for row in strategies if row["all_positions"]]  # the file has the parts
        told = plain_table(*analysis.nearest_listing(whole), words=2)
        shown = [told, f"\n{out / 'strategies.csv'}"]
    return Result({"errors": rows, "file": out / "errors.csv", "nearest": strategies}, *shown)


def _comparison(
    by_name: Iterable[str], names: Sequence[str], rows: list[Row]
) -> Callable[[Case, Mapping[str, Values]], None]:
    """What adds the rows of strategies.csv of each case; ``names`` are those of baselines."""
    models = [name for name in by_name if name not in names]

    def look(case: Case, answers: Mapping[str, Values]) -> None:
        for model in models:
            rows.extend(analysis.nearest_strategies(case, model, answers, names))

    return look


def _drawn(task: Task, settings: Sequence[Setting], sampling: Sampling) -> Iterator[Case]:
    """The prompts of each setting, drawn when they are needed."""
    for setting in settings:
        yield task.draw(setting, sampling)
