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
from tale_jax.tasks.examples import Example, UnusableError, check_text, shown

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
    return _lettered(_text(row, "question"), row["choices"]["text"], key_index(row))


def bare_labelled(row: Row) -> Example:
    """Ask a row with ``question, choices{text, label}, answerKey`` as lm-eval asks it."""
    question = f"Question: {_text(row, 'question')}"
    return _bare_lettered(question, row["choices"]["text"], key_index(row))


def stem(row: Row) -> Example:
    """Ask a row with ``question_stem, choices{text, label}, answerKey``: OpenBookQA."""
    return _lettered(_text(row, "question_stem"), row["choices"]["text"], key_index(row))


def goal(row: Row) -> Example:
    """Ask a row with ``goal, sol1, sol2, label``: PIQA."""
    return _lettered(_text(row, "goal"), (row["sol1"], row["sol2"]), label_index(row, 2))


def ending(row: Row) -> Example:
    """Ask a row with ``activity_label, ctx_a, ctx_b, endings, label``: HellaSwag."""
    endings = [without_marks(text) for text in row["endings"]]
    return _lettered(story(row), endings, label_index(row, len(endings)), front="Story")


def story(row: Row) -> str:
    """The beginning of a story of HellaSwag."""
    parts = row["activity_label"], row["ctx_a"], row["ctx_b"].capitalize()
    return without_marks("{}: {} {}".format(*parts))


def subject(row: Row) -> Example:
    """Ask a row with ``question, subject, choices, answer`` as lm-eval asks MMLU."""
    answer = label_index(row, len(row["choices"]), "answer")
    return _bare_lettered(_text(row, "question"), row["choices"], answer, _text(row, "subject"))


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
            raise UnusableError(f"target {shown(target)} is none of {known}")
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


def key_index(row: Row) -> int:
    """The index of ``answerKey`` among the labels of a row, some of which are numbers.

    Raises:
        UnusableError: it is none of them.
        ValueError: there are more or fewer texts than labels.
    """
    texts, labels = list(row["choices"]["text"]), list(row["choices"]["label"])
    if len(texts) != len(labels):
        raise ValueError(f"{len(texts)} texts and {len(labels)} labels")
    key = _text(row, "answerKey")
    if key not in labels:
        raise UnusableError(f"answerKey {shown(key)} is none of the labels")
    return labels.index(key)


def label_index(row: Row, count: int, field: str = "label") -> int:
    """The index of the right choice in a field that holds it as a number or in digits.

    Raises:
        UnusableError: the field is empty or −1, as in a split without labels.
        ValueError: the field holds no index.
    """
    label = row[field]
    if label in ("", -1):
        raise UnusableError(f"no {field}")
    found = int(label) if isinstance(label, str) and label.isdecimal() else label
    if type(found) is not int or not 0 <= found < count:
        raise ValueError(f"{field} is {shown(label)}, not the index of a choice")
    return found


def without_marks(text: str) -> str:
    """The text of HellaSwag without the marks of WikiHow: ``[title]`` ends a sentence."""
    check_text("a text", text)
    bare = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return bare.replace("  ", " ")


def _bare_lettered(question: str, texts: Sequence[str], answer: int, group: str = "") -> Example:
    """A question with its options as lm-eval writes them: ``A. text``."""
    letters = _check_options(texts)
    options = "\n".join(f"{letter}. {text}" for letter, text in zip(letters, texts, strict=True))
    choices = tuple(f" {letter}" for letter in letters)
    return Example(f"{question}\n{options}", choices, answer, group=group)


def _check_options(texts: Sequence[str]) -> str:
    """The letters of the options; raises ValueError if there are too few or too many."""
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options; there must be 2 to {len(ascii_uppercase)}")
    for text in texts:
        check_text("an option", text)
    return ascii_uppercase[: len(texts)]


def _lettered(
    question: str, texts: Sequence[str], answer: int, group: str = "", front: str = "Question"
) -> Example:
    letters = _check_options(texts)
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
