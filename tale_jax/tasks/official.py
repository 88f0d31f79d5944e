"""The benchmarks of the paper: where their rows are, and which split is used for what.

A search uses the rows that the authors' program used, and reports on labelled rows that it did not
use. Where there are none, one labelled split is divided into halves by ``examples.place``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from attention.choices import Choices
from attention.errors import InputError
from tale_jax.tasks import asking
from tale_jax.tasks.answers import judge_number
from tale_jax.tasks.data_sets import Hub, Parse, read_split
from tale_jax.tasks.examples import Example, Judge, Task, divide, divided_note, unlike
from tale_jax.tasks.request import Request


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A data set and how its rows become a task.

    Attributes:
        description: one line for the list of tasks.
        hub: where it is on the hub.
        search: the split that is searched on.
        ask: makes an example of a row, or None to leave the row out.
        first: only the first so many rows are searched on.
        test: the test split; None: the rest of the search split, or half of it.
        shots: the split of the examples that are shown; None, or absent: the test split.
        left_out: says which rows ``ask`` leaves out.
        instruction: see :class:`~tale_jax.tasks.examples.Task`, as for all that follow.
        written: see there.
        judge: see there.
        stop: see there.
        new_tokens: see there.
    """

    description: str
    hub: Hub
    search: str
    ask: Parse[Example | None]
    first: int | None = None
    test: str | None = None
    shots: str | None = None
    left_out: str = ""
    instruction: str = asking.CHOOSE
    written: bool = False
    judge: Judge | None = None
    stop: tuple[str, ...] | None = None
    new_tokens: int | None = None


def _arc(name: str, first: int) -> Benchmark:
    return Benchmark(
        f"school science, {name[4:]} part, a letter",
        Hub("allenai/ai2_arc", name),
        "validation",
        asking.labelled,
        first,
        test="test",
        shots="train",
    )


PAPER: dict[str, Benchmark] = {
    "arc_easy": _arc("ARC-Easy", 550),
    "arc_challenge": _arc("ARC-Challenge", 290),
    "boolq": Benchmark(
        "yes or no by a passage, a letter",
        Hub("google/boolq"),
        "validation",
        asking.passage,
        1000,
        shots="train",
    ),
    "mmlu": Benchmark(
        "57 subjects, a letter; shown examples are of the same subject",
        Hub("cais/mmlu", "all"),
        "validation",
        asking.subject,
        test="test",
        shots="dev",
    ),
    "commonsense_qa": Benchmark(
        "common sense, five options, a letter",
        Hub("tau/commonsense_qa"),
        "validation",
        asking.labelled,
        1000,
        shots="train",
    ),
    "winogrande": Benchmark(
        "which of two fills the blank, 1 or 2",
        Hub("allenai/winogrande", "winogrande_debiased"),
        "validation",
        asking.blank,
        shots="train",
        instruction=asking.FILL,
    ),
    "gsm8k": Benchmark(
        "grade-school mathematics, written, a number",
        Hub("openai/gsm8k", "main"),
        "test",
        asking.with_solution,
        100,
        shots="train",
        instruction=asking.SOLVE,
        judge=judge_number,
        stop=asking.NEXT_QUESTION,
        new_tokens=256,
    ),
    "gsm_hard": Benchmark(
        "the same with large numbers, written, a number",
        Hub("reasoning-machines/gsm-hard", None, {"test": "train"}),
        "test",
        asking.target_number,
        instruction=asking.SOLVE,
        judge=judge_number,
        stop=asking.NEXT_QUESTION,
        new_tokens=256,
    ),
    "math500": Benchmark(
        "competition mathematics with whole answers, written, a number",
        Hub("HuggingFaceH4/MATH-500"),
        "test",
        asking.whole_answer,
        100,
        left_out="rows whose answer is no whole number are left out",
        instruction=asking.SOLVE,
        judge=judge_number,
        stop=asking.NEXT_QUESTION,
        new_tokens=512,
    ),
}


def _big_bench(subtask: str) -> Benchmark:
    kind = asking.BBH[subtask]
    return Benchmark(
        f"BIG-Bench Hard, {subtask.replace('_', ' ')}",
        Hub("SaylorTwift/bbh", subtask),
        "test",
        asking.big_bench(kind),
        instruction=asking.big_bench_instruction(kind),
        written=True,
        judge=judge_number if kind == "number" else None,
        stop=("\n",),
        new_tokens=None if kind == "line" else 8,
    )


BENCHMARKS = Choices(
    "benchmark", PAPER | {f"bbh_{subtask}": _big_bench(subtask) for subtask in asking.BBH}
)


def read_benchmark(request: Request) -> Task:
    """The task of a benchmark, from the hub or from local files.

    Raises:
        InputError: there is no such benchmark, no data, or a bad row.
    """
    name, data, benchmark = request.name, request.data, BENCHMARKS.pick(request.name)

    def rows(split: str) -> list[Example] | None:
        read = read_split(name, split, benchmark.hub, data, benchmark.ask)
        return None if read is None else [example for example in read if example is not None]

    notes = [f"{name}: {benchmark.left_out}"] if benchmark.left_out else []
    source, halves = benchmark.search, False
    search, test = rows(source), None if benchmark.test is None else rows(benchmark.test)
    if search is None:
        source, search = _other_split(name, benchmark, data, rows)
        test, halves = None, True
    elif benchmark.first is not None:
        search, rest = search[: benchmark.first], search[benchmark.first :]
        test = test or rest or None
    if not search:
        raise InputError(f"{name}: no row of split {source} can be asked")
    if test is None:
        halves = True
        search, test = divide(search)
        notes.append(divided_note(name, f"the rows of split {source} are", search, test))
    different = unlike(test, search)
    if lost := len(test) - len(different):
        notes.append(f"{name}: {lost} test rows repeat questions of the search and are left out")
    train = rows(benchmark.shots) if benchmark.shots not in (None, source) else None
    if train is not None and benchmark.shots != "dev":  # its few rows stay: see with_shots
        train = unlike(train, [*search, *different])
    validation = rows("validation") or () if request.split == "validation" else None
    return Task(
        name,
        tuple(search),
        tuple(different) or None,
        None if train is None else tuple(train),
        None if validation is None else tuple(validation),
        instruction=benchmark.instruction,
        cue="\nAnswer:",
        chat=True,
        written=benchmark.written,
        judge=benchmark.judge,
        stop=benchmark.stop,
        new_tokens=benchmark.new_tokens,
        halves=halves,
        notes=tuple(notes),
    )


def _other_split(
    name: str,
    benchmark: Benchmark,
    data: Path | None,
    rows: Callable[[str], list[Example] | None],
) -> tuple[str, list[Example]]:
    """Another labelled split, in place of the search split that is not there."""
    for split in ("test", "validation", "train"):
        if split != benchmark.search and (found := rows(split)) is not None:
            return split, found
    where = data / name if data is not None else benchmark.hub.path
    raise InputError(f"{where}: no {benchmark.search}.jsonl or {benchmark.search}.jsonl.gz")
