"""How lm-eval asks a row of each benchmark: the texts of the options are scored, no letters.

Each function takes the fields of the official data set and returns the question as lm-eval's plain
text has it, without the cue before the answer; the choices are the options, behind a space. Texts
stay as they are, spaces included, so that the tokens are those of lm-eval. Each function raises
ValueError for a value that cannot be.

Source: the formats are those of the tasks of the Language Model Evaluation Harness (Gao et al.,
2024), version 0.4.13.
"""

from __future__ import annotations

from collections.abc import Sequence

from tale_jax.tasks.asking import Row, key_index, label_index, story, without_marks
from tale_jax.tasks.examples import Example, UnusableError, check_text, shown


def question(row: Row) -> Example:
    """Ask a row with ``question, choices{text, label}, answerKey``: ARC, CommonsenseQA."""
    return _example(f"Question: {_raw(row, 'question')}", row["choices"]["text"], key_index(row))


def stem(row: Row) -> Example:
    """Ask a row with ``question_stem, choices{text, label}, answerKey``: OpenBookQA."""
    return _example(_raw(row, "question_stem"), row["choices"]["text"], key_index(row))


def passage(row: Row) -> Example:
    """Ask a row with ``question, answer, passage``: BoolQ, whose choices are no and yes."""
    if type(row["answer"]) is not bool:
        raise ValueError(f"answer is {shown(row['answer'])}, not true or false")
    text = f"{_raw(row, 'passage')}\nQuestion: {_raw(row, 'question')}?"
    return _example(text, ("no", "yes"), int(row["answer"]))


def blank(row: Row) -> Example:
    """Ask a row with ``sentence, option1, option2, answer``: WinoGrande.

    Each option fills the blank; what is scored is the rest of the sentence, which is the same.
    """
    if row["answer"] not in ("1", "2"):
        raise ValueError(f"answer is {shown(row['answer'])}, not '1' or '2'")
    before, mark, after = _raw(row, "sentence").partition("_")
    if not mark or not after.strip():
        raise UnusableError("the sentence has no blank, written _, with text behind it")
    contexts = tuple(f"{before}{_raw(row, option)}" for option in ("option1", "option2"))
    ending = f" {after.strip()}"
    return Example(before, (ending, ending), int(row["answer"]) - 1, contexts=contexts)


def goal(row: Row) -> Example:
    """Ask a row with ``goal, sol1, sol2, label``: PIQA."""
    solutions = row["sol1"], row["sol2"]
    return _example(f"Question: {_raw(row, 'goal')}", solutions, label_index(row, 2))


def ending(row: Row) -> Example:
    """Ask a row with ``activity_label, ctx_a, ctx_b, endings, label``: HellaSwag."""
    endings = [without_marks(text) for text in row["endings"]]
    return _example(story(row), endings, label_index(row, len(endings)))


def subject(row: Row) -> Example:
    """Ask a row with ``question, subject, choices, answer``: MMLU."""
    text = f"Question: {_raw(row, 'question').strip()}"
    answer = label_index(row, len(row["choices"]), "answer")
    return _example(text, row["choices"], answer, _raw(row, "subject"))


def _example(prompt: str, texts: Sequence[str], answer: int, group: str = "") -> Example:
    for text in texts:
        check_text("an option", text)
        if not text:
            raise UnusableError("an option is empty")
    return Example(prompt, tuple(f" {text}" for text in texts), answer, group=group)


def _raw(row: Row, field: str) -> str:
    """The text of a field, as it is."""
    text = row[field]
    check_text(field, text)
    if not text.strip():
        raise ValueError(f"{field} is empty")
    return text
