"""Opens a model and a task, by their names or as a finished search had them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from attention.files import Record
from attention.options import Weights
from attention.terminal import Terminal
from tale_jax.models import LoadedModel, load_model, searched_folder
from tale_jax.opening.named import fingerprints, open_scorers, read_task
from tale_jax.options import Dtype, ModelOptions, Options, Reopening, Subject
from tale_jax.runs import PICKS, FinishedRun, load_run
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.tasks import Split, Task, limited
from tale_jax.units import Dropped, Unit, check_layers

# Options that may be given along with a run: they change no answer, or only how many there are.
WITH_A_RUN = ("mesh", "sharding", "compilation_cache", "batch_tokens", "cache_gib", "limit")


@dataclasses.dataclass(frozen=True)
class Opened:
    """What a command looks at.

    Attributes:
        model: the whole model.
        task: that the model is asked.
        dropped: the layers and half-layers to leave out.
        options: with which both were opened.
    """

    model: LoadedModel
    task: Task
    dropped: Dropped
    options: Options


def open_subject(
    subject: Subject, options: Options, split: Split | None = None, *, exact: bool = False
) -> Opened:
    """Open a model and a task, by their names or from a finished search.

    Args:
        subject: their names, or the search, and the layers to leave out.
        options: of the model and the task; those of the search, if the task is that of a search.
        split: the only split that is wanted; None: search and test.
        exact: load the model of a search with exact weights, even if it was searched in 8 bits.

    Raises:
        InputError: there is neither a search nor both a model and a task, or a search is given
            together with layers or with options of its task, or it had several tasks and none is
            named.
    """
    if subject.run is None:
        if subject.model is None or subject.task is None:
            raise InputError("give --run, or both --model and --task")
        task = read_task(subject.task, options, split)
        model = load_model(subject.model, options)
        dropped = check_layers(subject.drop, model.config.num_hidden_layers, model.missing)
        return Opened(model, task, dropped, options)
    if subject.drop:
        raise InputError("a run says which layers to drop: leave out --drop")
    run = load_run(subject.run)
    joint = len(run.tasks) > 1
    if joint and subject.task is None:
        raise InputError(
            f"{subject.run} searched for several tasks: --task {' or '.join(run.tasks)}"
        )
    if subject.task is None or (joint and subject.task in run.tasks):
        limit, options = options.limit, run_options(run, options)
        if split == "train":  # a search limits what it searches, not what is trained on
            options = dataclasses.replace(options, limit=limit)
    if exact:
        options = dataclasses.replace(options, weights="exact")
    task = read_task(subject.task or run.settings["task"], options, split)
    model = _searched_model(run, subject.model, options)
    return Opened(model, task, run.dropped(subject.pick), options)


def open_variants(
    run: Path | None,
    model: str | None,
    drop: Sequence[Unit],
    dtype: Dtype | None = None,
    weights: Weights | None = None,
    mesh: str = "",
) -> tuple[LoadedModel, dict[str, Dropped]]:
    """Open a model whose variants are compared.

    Args:
        run: directory of a finished search.
        model: its name; with a search, where the checkpoint is now.
        drop: layers and half-layers to leave out, in place of a search.
        dtype: of parameters and products; None: that of the search, or ``float32``.
        weights: how the linear layers are held; None: that of the search, or ``exact``.
        mesh: devices along each axis; empty: one device.

    Returns:
        The model, and what each variant goes without, by its name; the first is the baseline.

    Raises:
        InputError: there is neither a search nor both a model and layers.
    """
    given: Record = {"mesh": mesh}
    given |= {name: x for name, x in (("dtype", dtype), ("weights", weights)) if x is not None}
    if run is None:
        if model is None or not drop:
            raise InputError("give --run, or both --model and --drop")
        opened = load_model(model, ModelOptions(**given))
        layers = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
        return opened, {"baseline": (), "dropped": layers}
    if drop:
        raise InputError("a run says which layers to drop: leave out --drop")
    found = load_run(run)
    options = run_options(found)
    options = dataclasses.replace(options, **given)
    names = {pick: pick if pick == "baseline" else pick.upper() for pick in PICKS}
    variants = {name: found.dropped(pick) for pick, name in names.items()}
    return _searched_model(found, model, options), variants


def run_options(run: FinishedRun, given: Options = Options()) -> Options:
    """The options of a search, for the devices at hand.

    Args:
        run: the search.
        given: options that differ from their defaults replace those of the search.

    Raises:
        InputError: one of them would change the questions.
    """
    own = Options.from_json(run.summary.get("options", {}))
    usual = dataclasses.asdict(Options())
    values = dataclasses.asdict(given)
    changed = {name: value for name, value in values.items() if value != usual[name]}
    if refused := [name for name in changed if name not in WITH_A_RUN]:
        flags = ", ".join("--" + name.replace("_", "-") for name in refused)
        raise InputError(f"the run says how it is asked: leave out {flags}, or give --task")
    if given.limit is not None and own.limit is not None:
        changed["limit"] = min(given.limit, own.limit)
    return dataclasses.replace(own, **{"mesh": usual["mesh"], **changed})


def reopen_model(run: FinishedRun, how: Reopening = Reopening()) -> LoadedModel:
    """Load the checkpoint that was searched.

    Args:
        run: the search.
        how: where the checkpoint is now, and on which devices to load it.

    Raises:
        InputError: it is not there, or another checkpoint is.
    """
    return _searched_model(run, how.model, run_options(run, how.options))


def _searched_model(run: FinishedRun, name: str | None, options: ModelOptions) -> LoadedModel:
    searched_folder(run, name)
    return load_model(name or run.settings["model"], options)


def reopen_scorer(
    run: FinishedRun, model: LoadedModel, how: Reopening, terminal: Terminal
) -> Scorer | JointScorer:
    """The model, ready to be scored on the task, or tasks, as it was searched.

    Args:
        run: the search.
        model: its model.
        how: how many examples of each split are used.
        terminal: shows notes.

    Raises:
        InputError: the examples of a task have changed since.
    """
    options = run_options(run)
    tasks = {}
    for name in run.tasks:
        tasks[name] = read_task(name, options)
        _check_task(run, name, tasks[name], model, options)
    objective = run.settings.get("objective", "")
    scorer = open_scorers(model, tasks, objective, options, terminal)
    if how.limit is None:
        return scorer
    fewer = {name: limited(task, how.limit) for name, task in tasks.items()}
    return open_scorers(model, fewer, objective, options, Terminal(quiet=True))


def _check_task(
    run: FinishedRun, name: str, task: Task, model: LoadedModel, options: Options
) -> None:
    """Check that a task is the one that was searched.

    Raises:
        InputError: it has other examples, or another template.
    """
    before = run.settings.get("tasks", {}).get(name, run.settings)
    for which, found in fingerprints(task, model, options).items():
        if found != before[which]:
            what = "examples" if which == "task_fingerprint" else "chat template"
            raise InputError(f"{name} no longer has the {what} that {run.directory} searched")
