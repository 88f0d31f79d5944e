"""The benchmarks: where their rows are, which split is used for what, and how they are asked."""

from __future__ import annotations

from typing import Any

from attention.choices import Choices
from tale_jax.tasks import asking, cloze
from tale_jax.tasks.answers import judge_number
from tale_jax.tasks.benchmark import Benchmark, Form, make_task
from tale_jax.tasks.data_sets import Hub, Parse
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.request import Request


def _letters(ask: Parse[Example | None], **how: Any) -> dict[str, Form]:
    return {"letters": Form(ask, **{"instruction": asking.CHOOSE, **how})}


def _text(ask: Parse[Example | None], **how: Any) -> dict[str, Form]:
    """The form of lm-eval, in plain text without an instruction."""
    return {"text": Form(ask, chat=False, **how)}


def _written(ask: Parse[Example | None], instruction: str) -> dict[str, Form]:
    return {"written": Form(ask, instruction)}


def _arc(name: str, first: int) -> Benchmark:
    return Benchmark(
        f"school science, {name[4:]} part",
        Hub("allenai/ai2_arc", name),
        "validation",
        _letters(asking.labelled) | _text(cloze.question),
        first,
        test="test",
        shots="train",
    )


_MMLU = "The following are {}questions (with answers) about {{group}}."

OFFICIAL: dict[str, Benchmark] = {
    "arc_easy": _arc("ARC-Easy", 550),
    "arc_challenge": _arc("ARC-Challenge", 290),
    "boolq": Benchmark(
        "yes or no by a passage",
        Hub("google/boolq"),
        "validation",
        _letters(asking.passage) | _text(cloze.passage),
        1000,
        shots="train",
    ),
    "mmlu": Benchmark(
        "57 subjects; shown examples are of the same subject",
        Hub("cais/mmlu", "all"),
        "validation",
        _letters(asking.subject, description=_MMLU.format("multiple choice "))
        | _text(cloze.subject, description=_MMLU.format("")),
        test="test",
        shots="dev",
    ),
    "commonsense_qa": Benchmark(
        "common sense, five options",
        Hub("tau/commonsense_qa"),
        "validation",
        _letters(asking.bare_labelled, description="") | _text(cloze.question),
        1000,
        shots="train",
    ),
    "winogrande": Benchmark(
        "which of two fills the blank",
        Hub("allenai/winogrande", "winogrande_debiased"),
        "validation",
        _letters(asking.blank, instruction=asking.FILL) | _text(cloze.blank, cue=""),
        shots="train",
    ),
    "openbookqa": Benchmark(
        "elementary science, four options",
        Hub("allenai/openbookqa", "main"),
        "validation",
        _text(cloze.stem, cue="") | _letters(asking.stem),
        test="test",
        shots="train",
    ),
    "piqa": Benchmark(
        "which of two ways reaches a goal",
        Hub("baber/piqa"),
        "validation",
        _text(cloze.goal) | _letters(asking.goal),
        shots="train",
    ),
    "hellaswag": Benchmark(
        "which of four endings follows",
        Hub("Rowan/hellaswag"),
        "validation",
        _text(cloze.ending, cue="") | _letters(asking.ending),
        1000,
        shots="train",
    ),
    "gsm8k": Benchmark(
        "grade-school mathematics, written, a number",
        Hub("openai/gsm8k", "main"),
        "test",
        _written(asking.with_solution, asking.SOLVE),
        100,
        shots="train",
        judge=judge_number,
        stop=asking.NEXT_QUESTION,
        new_tokens=256,
    ),
    "gsm_hard": Benchmark(
        "the same with large numbers, written, a number",
        Hub("reasoning-machines/gsm-hard", None, {"test": "train"}),
        "test",
        _written(asking.target_number, asking.SOLVE),
        judge=judge_number,
        stop=asking.NEXT_QUESTION,
        new_tokens=256,
    ),
    "math500": Benchmark(
        "competition mathematics with whole answers, written, a number",
        Hub("HuggingFaceH4/MATH-500"),
        "test",
        _written(asking.whole_answer, asking.SOLVE),
        100,
        left_out="rows whose answer is no whole number are left out",
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
        _written(asking.big_bench(kind), asking.big_bench_instruction(kind)),
        written=True,
        judge=judge_number if kind == "number" else None,
        stop=("\n",),
        new_tokens=None if kind == "line" else 8,
    )


BENCHMARKS = Choices(
    "benchmark", OFFICIAL | {f"bbh_{subtask}": _big_bench(subtask) for subtask in asking.BBH}
)


def read_benchmark(request: Request) -> Task:
    """The task of a benchmark, from the hub or from local files.

    Raises:
        InputError: there is no such benchmark or form of it, no data, or a bad row.
    """
    return make_task(BENCHMARKS.pick(request.name), request)
