"""How a row of each benchmark is asked, in words of our own: one function for each kind of row.

Each function takes the fields of the official data set and returns the question as it stands in a
plain text and in a user's turn of a chat. It raises ValueError for a value that cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any

from tale_jax.tasks.answers import read_number
from tale_jax.tasks.examples import Example, check_text, shown

Row = dict[str, Any]

CHOOSE = "You answer multiple-choice questions. Reply with the letter of the right option only."
FILL = "You fill blanks in sentences. Reply with the number of the option that fits, 1 or 2."
SOLVE = (
    "You solve mathematical problems. Work step by step, and write the final number on a line of "
    "its own behind ####."
)
NEXT_QUESTION = ("\nQuestion:",)  # where a model goes on to ask itself the next one

TRUTH, YES, SMALL_YES = ("True", "False"), ("Yes", "No"), ("yes", "no")
BBH: dict[str, str | tuple[str, ...]] = {
    "boolean_expressions": TRUTH,
    "causal_judgement": YES,
    "dyck_languages": "line",
    "formal_fallacies": ("valid", "invalid"),
    "multistep_arithmetic_two": "number",
    "navigate": YES,
    "object_counting": "number",
    "sports_understanding": SMALL_YES,
    "web_of_lies": YES,
    "word_sorting": "line",
    **dict.fromkeys(
        (
            "date_understanding",
            "disambiguation_qa",
            "geometric_shapes",
            "hyperbaton",
            "logical_deduction_five_objects",
            "logical_deduction_seven_objects",
            "logical_deduction_three_objects",
            "movie_recommendation",
            "penguins_in_a_table",
            "reasoning_about_colored_objects",
            "ruin_names",
            "salient_translation_error_detection",
            "snarks",
            "temporal_sequences",
            "tracking_shuffled_objects_five_objects",
            "tracking_shuffled_objects_seven_objects",
            "tracking_shuffled_objects_three_objects",
        ),
        "letter",
    ),
}
"""The answers of each task of BIG-Bench Hard: one of some words, a letter, a number or a line."""


def labelled(row: Row) -> Example:
    """Ask a row with ``question, choices{text, label}, answerKey``: ARC, CommonsenseQA.

    The options get letters in their order. The key is looked up among the labels, some of which are
    numbers.
    """
    texts, labels = list(row["choices"]["text"]), list(row["choices"]["label"])
    if len(texts) != len(labels) or row["answerKey"] not in labels:
        raise ValueError(f"answerKey {shown(row['answerKey'])} is none of the labels")
    return _lettered(_text(row, "question"), texts, labels.index(row["answerKey"]))


def subject(row: Row) -> Example:
    """Ask a row with ``question, subject, choices, answer``: MMLU."""
    answer, count = row["answer"], len(row["choices"])
    if type(answer) is not int or not 0 <= answer < count:
        raise ValueError(f"answer is {shown(answer)}, not the index of a choice")
    return _lettered(_text(row, "question"), row["choices"], answer, _text(row, "subject"))


def passage(row: Row) -> Example:
    """Ask a row with ``question, answer, passage``: BoolQ. (A) is True and (B) False."""
    if type(row["answer"]) is not bool:
        raise ValueError(f"answer is {shown(row['answer'])}, not true or false")
    question = f"{_text(row, 'passage')}\nQuestion: {_text(row, 'question').rstrip('?')}?"
    return _lettered(question, TRUTH, int(not row["answer"]), front="Passage")


def blank(row: Row) -> Example:
    """Ask a row with ``sentence, option1, option2, answer``: WinoGrande."""
    if row["answer"] not in ("1", "2"):
        raise ValueError(f"answer is {shown(row['answer'])}, not '1' or '2'")
    prompt = (
        f"Sentence: {_text(row, 'sentence')}\n"
        f"Option 1: {_text(row, 'option1')}\nOption 2: {_text(row, 'option2')}"
    )
    return Example(prompt, (" 1", " 2"), int(row["answer"]) - 1)


def with_solution(row: Row) -> Example:
    """Ask a row with ``question, answer``, where the number stands behind ``####``: GSM8K.

    A solution is shown without the marks ``<<…>>`` of the calculator.
    """
    solution = re.sub("<<.*?>>", "", _text(row, "answer"))
    _, mark, number = solution.rpartition("####")
    if not mark or read_number(number) is None:
        raise ValueError("no number behind #### in answer")
    return _solved(_text(row, "question"), number.strip().replace(",", ""), solution)


def target_number(row: Row) -> Example:
    """Ask a row with ``input, target``: GSM-Hard, which has no worked solutions."""
    if type(row["target"]) not in (int, float):
        raise ValueError(f"target is {shown(row['target'])}, not a number")
    number = str(row["target"]).removesuffix(".0")
    return _solved(_text(row, "input"), number, f"#### {number}")


def whole_answer(row: Row) -> Example | None:
    """Ask a row with ``problem, solution, answer``: MATH-500; None if the answer is not whole."""
    answer = re.sub(r"\\[,!; ]|\{,\}|,|\\?\$", "", _text(row, "answer")).strip()
    if not re.fullmatch(r"[-+]?\d+", answer):
        return None
    return _solved(_text(row, "problem"), answer, f"{_text(row, 'solution')}\n#### {answer}")


def big_bench(kind: str | tuple[str, ...]) -> Callable[[Row], Example]:
    """The function that asks rows with ``input, target`` of a BBH task with such answers."""

    def ask(row: Row) -> Example:
        text, target = _text(row, "input"), _text(row, "target").strip()
        prompt = f"Question: {text.removeprefix('Question: ')}"
        if isinstance(kind, str) and kind != "letter":
            if kind == "number" and read_number(target) is None:
                raise ValueError(f"target {shown(target)} is not a number")
            return Example(prompt, None, f" {target}")
        words = kind if isinstance(kind, tuple) else _letters(text)
        bare = target.strip("()")
        if bare not in words:
            known = ", ".join(words) or "the options, as there are none"
            raise ValueError(f"target {shown(target)} is none of {known}")
        return Example(prompt, tuple(f" {word}" for word in words), words.index(bare))

    return ask


def big_bench_instruction(kind: str | tuple[str, ...]) -> str:
    """The instruction that goes with ``big_bench``."""
    if isinstance(kind, tuple):
        return f"You answer questions. Reply with one word only: {' or '.join(kind)}."
    return {
        "letter": CHOOSE,
        "number": "You answer questions. Reply with the number only.",
        "line": "You answer questions. Reply with the answer only, on one line.",
    }[kind]


def _lettered(
    question: str, texts: Sequence[str], answer: int, group: str = "", front: str = "Question"
) -> Example:
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options; there must be 2 to {len(ascii_uppercase)}")
    for text in texts:
        check_text("an option", text)
    letters = ascii_uppercase[: len(texts)]
    options = "\n".join(f"({letter}) {text}" for letter, text in zip(letters, texts, strict=True))
    prompt = f"{front}: {question}\n{options}"
    return Example(prompt, tuple(f" {letter}" for letter in letters), answer, group=group)


def _solved(question: str, answer: str, solution: str) -> Example:
    lines = [line for line in solution.strip().splitlines() if line.strip()]
    return Example(f"Question: {question}", None, answer, solution=" " + "\n".join(lines))


def _letters(text: str) -> tuple[str, ...]:
    """The letters of the options that stand in a question as lines ``(A) …``."""
    return tuple(dict.fromkeys(re.findall(r"^\(([A-Z])\) ", text, re.MULTILINE)))


def _text(row: Row, field: str) -> str:
    text = row[field]
    check_text(field, text)
    if not text.strip():
        raise ValueError(f"{field} is empty")
    return text.strip()
