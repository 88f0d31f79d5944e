"""``icl ask``."""

from __future__ import annotations

from pathlib import Path

from attention import files
from attention.command_line import Result, command
from icl import evaluation, language
from icl.commands.evaluate import Names, Runs
from icl.tasks import Form, PromptOptions, task_asked


@command
def ask(
    *,
    model: str,
    out: Path,
    endpoint: str | None = None,
    run: Runs = (),
    predictors: Names = (),
    options: PromptOptions = PromptOptions(),
    form: Form = Form(),
) -> Result:
    """Ask a language model the same prompts as text.

    Args:
        model: local folder or hub id, or the endpoint's name for its model
        out: directory for answers.jsonl and errors.csv
        endpoint: address of an OpenAI-compatible server, up to /v1; its key is read from the
            environment variable OPENAI_API_KEY
        run: directory of icl train, which is asked the same
        predictors: baselines that are asked the same, as for icl evaluate
        options: what is asked
        form: how it is asked
    """
    files.check_folder(out)
    files.use_compilation_cache()
    task = task_asked(options)
    settings = task.settings(options.sweep)
    language.check(task, settings)
    rivals = evaluation.predictors(task, predictors, run)
    if endpoint is None:
        answer = language.checkpoint(model, temperature=form.temperature, seed=form.seed)
    else:
        answer = language.endpoint(endpoint, model, temperature=form.temperature)
    name = Path(model).name if endpoint is None else model
    rows, answers = language.ask(task, settings, name, answer, rivals, form)
    files.write_json_lines(out / "answers.jsonl", answers)
    files.write_table(out / "errors.csv", rows)
    shown = evaluation.tables(task, rows, out / "errors.csv")
    return Result({"errors": rows, "file": out / "errors.csv"}, *shown)
