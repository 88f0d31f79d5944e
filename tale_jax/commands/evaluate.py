"""Accuracy on every split of a task: ``from tale_jax import evaluate``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attention.statistics import mcnemar_p_value
from tale_jax.opening import open_model, open_scorer, read_task
from tale_jax.options import Options
from tale_jax.runs import Terminal, measure
from tale_jax.tasks import Answer
from tale_jax.units import Unit, check_layers


def evaluate(
    model: str,
    task: str,
    *,
    drop: Sequence[Unit] = (),
    quiet: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Accuracy of a model without the layers ``drop``, on every split of a task.

    Args:
        model: a local folder, a hub id, or ``demo``.
        task: a JSONL file or a name.
        drop: layers to leave out, 0-based, or halves of them, such as ``3.mlp``.
        quiet: print nothing.
        options: fields of :class:`tale_jax.options.Options`.

    Returns:
        ``model, task, protocol, dropped, too_long, notes`` and, for each of ``search``, ``test``
        and, where these are halves of one split, ``all``, None or ``{correct, total, accuracy, low,
        high, unparsed}`` (Wilson 95 % interval).  With layers dropped each also has ``p_value``
        (exact McNemar) and ``full``, the correct answers of the full model.
    """
    chosen = Options(**options)
    loaded = read_task(task, chosen)
    terminal = Terminal(quiet)
    opened = open_model(model, chosen)
    scorer = open_scorer(opened, loaded, chosen, terminal)
    dropped = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
    found: dict[str, Any] = {
        "model": model,
        "task": task,
        "protocol": scorer.protocol.name,
        "dropped": list(dropped),
        "too_long": scorer.too_long,
        "notes": list(loaded.notes),
        "search": None,
        "test": None,
        "all": None,
    }
    whole: tuple[list[Answer], list[Answer]] = ([], [])
    for split in scorer.examples:
        full = scorer.answers(split, ())
        answers = scorer.answers(split, dropped) if dropped else full
        found[split] = _measured(full, answers, compared=bool(dropped))
        whole[0].extend(full)
        whole[1].extend(answers)
    if loaded.halves:
        found["all"] = _measured(*whole, compared=bool(dropped))
    terminal.evaluation(found)
    return found


def count_unparsed(answers: Iterable[Answer]) -> int:
    """Answers in which nothing could be read."""
    return sum(answer.prediction is None for answer in answers)


def _measured(full: Sequence[Answer], answers: Sequence[Answer], compared: bool) -> dict[str, Any]:
    """The figures of some answers, beside those of the full model if layers are dropped."""
    found = measure(_count(answers), len(answers)) | {"unparsed": count_unparsed(answers)}
    if compared:
        right = [[a.correct for a in given] for given in (full, answers)]
        found |= {"full": _count(full), "p_value": mcnemar_p_value(*right)}
    return found


def _count(answers: Iterable[Answer]) -> int:
    return sum(answer.correct for answer in answers)
