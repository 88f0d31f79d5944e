"""``icl ask``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attention import files
from attention.command_line import Result, command
from attention.files import RemoteOptions
from icl import evaluation, language
from icl.commands.evaluate import Names, Runs
from icl.tasks import Form, PromptOptions, task_asked


@command(again=True)
def ask(
    *,
    model: str,
    out: Path,
    endpoint: str | None = None,
    run: Runs = (),
    predictors: Names = (),
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
        run: directory of icl train, which is asked the same
        predictors: baselines that are asked the same, as for icl evaluate
        options: what is asked
        form: how it is asked
        remote: how an endpoint is asked
    """
    files.use_compilation_cache()
    task = task_asked(options)
    settings = task.settings(options.sweep)
    language.check(task, settings)
    rivals = evaluation.predictors(task, predictors, run)
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
    }
    given |= {"prompts": dataclasses.asdict(options), "form": dataclasses.asdict(form)}
    with files.RunDirectory(out, "icl ask", given, resume=True) as directory:
        journal = directory.journal(language.KINDS)
        rows, answers = language.ask(task, settings, name, answer, rivals, form, journal)
        files.write_json_lines(out / "answers.jsonl", answers)
        files.write_table(out / "errors.csv", rows)
    shown = evaluation.tables(task, rows, out / "errors.csv")
    return Result({"errors": rows, "file": out / "errors.csv"}, *shown)
