"""``icl ask``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attention import files
from attention.command_line import Result, command
from attention.errors import InputError
from attention.files import Record, RemoteOptions
from attention.terminal import Terminal
from icl import evaluation, language, training
from icl.commands.evaluate import Names, Runs
from icl.commands.roots import root_table, row_of, rows_of_models, zero_row
from icl.tasks import Form, PromptOptions, task_asked

if TYPE_CHECKING:
    from icl.tasks import Setting, Task
    from icl.training import Trained


@command(again=True)
def ask(
    *,
    model: str,
    out: Path,
    endpoint: str | None = None,
    run: Runs = (),
    predictors: Names = (),
    roots: bool = False,
    options: PromptOptions = PromptOptions(),
    form: Form = Form(),
    remote: RemoteOptions = RemoteOptions(),
) -> Result:
    """Ask a language model the same prompts as text; the same line goes on after a failure.

    Args:
        model: local folder or hub id, or the endpoint's name for its model
        out: directory for answers.jsonl and errors.csv; answers that are there are not asked again
        endpoint: address of an OpenAI-compatible server, up to /v1: https, or of this machine; its
            key is read from the environment variable OPENAI_API_KEY
        run: directory of icl train or zoo:NAME, which is asked the same
        predictors: baselines that are asked the same, as for icl evaluate
        roots: ask for an input at which the function is 0, and write roots.csv in place of
            errors.csv; runs are asked as by icl roots
        options: what is asked
        form: how it is asked
        remote: how an endpoint is asked
    """
    files.use_compilation_cache()
    task = task_asked(options)
    settings = task.settings(options.sweep)
    language.check(task, settings)
    if roots and predictors:
        raise InputError("baselines name no roots: leave out --predictors, or --roots")
    rivals = {} if roots else evaluation.predictors(task, predictors, run)
    models: dict[str, Trained] = {}
    for directory in run if roots else ():
        models |= training.load_all(directory)
    if endpoint is None:
        answer = language.checkpoint(model, temperature=form.temperature, seed=form.seed)
    else:
        answer = language.endpoint(endpoint, model, temperature=form.temperature, options=remote)
    name = Path(model).name if endpoint is None else model
    given = {
        "model": model,
        "endpoint": endpoint,
        "predictors": predictors,
        "runs": [*map(str, run)],
        "roots": roots,
    }
    given |= {"prompts": dataclasses.asdict(options), "form": dataclasses.asdict(form)}
    with files.RunDirectory(out, "icl ask", given, resume=True) as directory:
        journal = directory.journal(language.KINDS)
        if roots:
            with Terminal().waiting(f"asking {model}"):
                rows, answers = language.ask_roots(task, settings, answer, form, journal)
            shown = root_rows(name, rows, task, models, form)
            files.write_json_lines(out / "answers.jsonl", answers)
            return Result({"roots": shown}, *root_table(shown, out))
        with Terminal().waiting(f"asking {model}"):
            rows, answers = language.ask(task, settings, name, answer, rivals, form, journal)
        files.write_json_lines(out / "answers.jsonl", answers)
        files.write_table(out / "errors.csv", rows)
    shown = evaluation.tables(task, rows, out / "errors.csv")
    return Result({"errors": rows, "file": out / "errors.csv"}, *shown)


def root_rows(
    name: str,
    asked: Sequence[tuple[Setting, Mapping[str, float]]],
    task: Task,
    models: Mapping[str, Trained],
    form: Form,
) -> list[Record]:
    """The rows of roots.csv: for each setting always 0, the trained models, the language model."""
    rows: list[Record] = []
    for setting, found in asked:
        rows.append(zero_row(found, setting, "text"))
        of_models = rows_of_models(models, task, setting, count=form.count, seed=form.seed)
        rows += [row for row in of_models if row["predictor"] != rows[-1]["predictor"]]
        rows.append(row_of(found, setting, "text", name))
    return rows
