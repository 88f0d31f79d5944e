"""Makes tasks of the tasks of lm-eval: ``lm_eval:<name>`` (extra ``eval``)."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Judge, Task, divide, divided_note, shown, unlike
from tale_jax.tasks.request import Request

Doc = dict[str, Any]
PREFIX = "lm_eval:"
# metrics of one written answer that are 1 for a right one, the most trusted first
METRICS = ("exact_match", "acc", "acc_norm", "em", "pass@1")


def read_lm_eval(request: Request) -> Task:
    """The task ``lm_eval:<name>``, where lm-eval knows ``<name>``.

    Prompts, choices, shots, stop strings, filters and the metric of written answers are lm-eval's.
    A search uses its validation split and reports on its test split. If only one of them has
    answers, that one is divided into halves.

    Args:
        request: ``data`` is a folder of further YAML files, which come before lm-eval's own; file
            names in them are relative to where the command is run. ``shots`` overrides the number
            of the task if it is not 0.

    Raises:
        InputError: lm-eval is not there, knows no such task or cannot load it, or the task is not
            of the types ``multiple_choice`` and ``generate_until``.
    """
    name, shots = request.name, request.shots
    lm_eval_task = _loaded(name, request.data)
    kind = lm_eval_task.OUTPUT_TYPE
    if kind not in ("multiple_choice", "generate_until"):
        raise InputError(f"{name} is of type {kind}; only multiple_choice and generate_until work")
    count = shots or int(lm_eval_task.config.num_fewshot or 0)
    lm_eval_task.set_fewshot_seed(request.seed)
    asker = _Asker(name, lm_eval_task, count)
    splits = asker.splits()
    notes, halves = [f"{name}: {count} shots, from lm-eval"] if count else [], False
    search, test = splits.get("validation"), splits.get("test")
    if search is None or test is None:
        (only,) = splits
        search, test = divide(splits[only])
        halves = True
        notes.append(divided_note(name, f"the rows of split {only} are", search, test))
        if not search or not test:
            raise InputError(f"{name}: {len(splits[only])} rows are too few to divide")
    different = unlike(test, search)
    if lost := len(test) - len(different):
        notes.append(f"{name}: {lost} test rows repeat questions of the search and are left out")
    settings = lm_eval_task.config.generation_kwargs or {}
    if settings.get("do_sample") or float(settings.get("temperature") or 0) > 0:
        notes.append(f"{name}: answers are written greedily, not sampled")
    written = kind == "generate_until"
    return Task(
        name,
        tuple(search),
        tuple(different) or None,
        validation=tuple(splits.get("validation", ())),
        delimiter=lm_eval_task.config.target_delimiter,
        judge=asker.judge() if written else None,
        stop=tuple(stop for stop in _texts(settings.get("until")) if stop) if written else None,
        new_tokens=int(settings.get("max_gen_toks", 256)) if written else None,
        halves=halves,
        notes=tuple(notes),
    )


class _Asker:
    """The documents of an lm-eval task as examples."""

    def __init__(self, name: str, task: Any, shots: int):
        self._name, self._task, self._shots = name, task, shots
        self._docs: dict[str, Doc] = {}

    def splits(self) -> dict[str, list[Example]]:
        """The examples of the validation and of the test split, if they have answers."""
        task = self._task
        named = {
            "validation": task.validation_docs if task.has_validation_docs() else None,
            "test": task.test_docs if task.has_test_docs() else None,
        }
        found, failure = {}, "it has neither a validation nor a test split"
        self._check_shots()
        for split, documents in named.items():
            if documents is None:
                continue
            try:
                with _quiet():
                    examples = [self._example(doc) for doc in documents()]
            except InputError as error:
                failure = str(error)
                continue
            if examples:
                found[split] = examples
        if not found:
            raise InputError(f"{self._name}: {failure}")
        return found

    def _check_shots(self) -> None:
        """Refuse shots from a split that is asked, for they would give answers away."""
        task = self._task
        own = task.fewshot_cfg.split
        if not self._shots or (own is None and task.fewshot_cfg.samples is not None):
            return
        source = own or task.config.training_split
        if source in (None, task.config.validation_split, task.config.test_split):
            raise InputError(
                f"{self._name}: lm-eval would draw shots from the split that is asked; "
                "define training_split or fewshot_split, or set num_fewshot to 0"
            )

    def _example(self, doc: Doc) -> Example:
        task = self._task
        context = task.fewshot_context(
            doc, num_fewshot=self._shots, gen_prefix=task.doc_to_prefix(doc)
        )
        if task.OUTPUT_TYPE == "generate_until":
            target = task.doc_to_target(doc)
            answer = " ".join(str(target if not isinstance(target, list) else target[0]).split())
            row = str(len(self._docs))
            self._docs[row] = doc
            return Example(str(context), None, answer or "-", row=row)
        requests = task.construct_requests(doc=doc, ctx=context, metadata=(self._name, 0, 1))
        choices = task.doc_to_choice(doc)
        pairs = [request.args[:2] for request in requests][: len(choices)]
        gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
        gold = choices.index(gold) if isinstance(gold, str) and gold in choices else gold
        if type(gold) is not int or not 0 <= gold < len(choices):
            raise InputError(f"the right choice is {shown(gold)}, which is not one index")
        if isinstance(context, list):
            contexts, endings = zip(*pairs, strict=True)
            return Example("", tuple(endings), gold, contexts=tuple(contexts))
        return Example(context, tuple(ending for _, ending in pairs), gold)

    def judge(self) -> Judge:
        """Filters and metric of lm-eval on one written answer."""
        task, docs = self._task, self._docs

        def judge(text: str, example: Example) -> tuple[Any, bool]:
            doc = docs[example.row]
            with _quiet():
                filtered = _filtered(task, doc, text)
                metrics = task.process_results(doc, [filtered])
            metric = next((m for m in METRICS if m in metrics), None)
            if metric is None:
                raise InputError(
                    f"{self._name}: none of its metrics ({', '.join(metrics)}) tells right from "
                    f"wrong; it needs one of {', '.join(METRICS)}"
                )
            parsed = filtered if isinstance(filtered, str) and filtered.strip() else None
            return (None if parsed == "[invalid]" else parsed), float(metrics[metric]) == 1

        return judge


def _loaded(name: str, data: Path | None) -> Any:
    """The task object of lm-eval; the index of all its tasks is read only if it is needed."""
    try:
        from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(f"{name} needs lm-eval: pip install 'tale-jax[eval]'") from None
    wanted = name.removeprefix(PREFIX)
    manager = None
    with _quiet():
        if data is not None:
            manager = TaskManager(include_path=str(data), include_defaults=False)
        if manager is None or wanted not in manager.all_subtasks:
            manager = TaskManager(include_path=None if data is None else str(data))
    if wanted not in manager.all_subtasks:
        kind = "is a group of tasks" if wanted in manager.all_tasks else "is no task of lm-eval"
        raise InputError(f"{name}: {wanted!r} {kind}; `lm_eval ls tasks` lists them")
    try:
        with _quiet():
            return manager.load([wanted])["tasks"][wanted]
    except Exception as error:  # data sets, templates and code of the task may raise anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{name}: lm-eval cannot load the task ({reason})") from error


def _filtered(task: Any, doc: Doc, text: str) -> Any:
    """What the task's first filter makes of a written answer."""
    from lm_eval.api.instance import Instance  # pyright: ignore[reportMissingImports]

    instance = Instance("generate_until", doc, ("", {}), 0, (task.task_name, 0, 1), resps=[text])
    filters = getattr(task, "_filters", None)
    if not filters:
        return text
    filters[0].apply([instance])
    return next(iter(instance.filtered_resps.values()))


def _texts(stops: str | Sequence[str] | None) -> Sequence[str]:
    return [stops] if isinstance(stops, str) else stops or ()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log, the warnings and the progress bars of other libraries."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
