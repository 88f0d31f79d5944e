"""Write a task that the demo model was not trained on, as a folder for ``--data``.

Command: ``python scripts/write_unseen_task.py --out runs/tasks --word nand``
Cost: a second.  Writes ``runs/tasks/nand/{train,validation,test}.jsonl``: the value of an
expression such as ``not ( True and not False ) nand not True is``, of which the model knows all
but the word that joins the two sides.  Each prompt is in one split, and answers are balanced.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

from attention.command_line import run_script
from attention.files import new_folder, write_json_lines

SIZES = {"train": 2000, "validation": 300, "test": 600}
TRUTH = (True, False)
WORDS = {
    "nand": lambda left, right: not (left and right),
    "implies": lambda left, right: not left or right,
    "xor": lambda left, right: left != right,
}


def literal(draw: random.Random) -> tuple[str, bool]:
    """``True``, ``not True`` …, and its value."""
    value, negated = draw.choice(TRUTH), draw.choice(TRUTH)
    return f"not {value}" if negated else f"{value}", value != negated


def side(draw: random.Random, depth: int = 2) -> tuple[str, bool]:
    """A literal, or a side and a literal joined by a word that the model knows, perhaps negated."""
    if depth == 0 or draw.random() < 0.2:
        return literal(draw)
    (text, value), (other, second) = side(draw, depth - 1), literal(draw)
    joined, negated = draw.choice(("and", "or")), draw.choice(TRUTH)
    value = value and second if joined == "and" else value or second
    return f"{'not ' if negated else ''}( {text} {joined} {other} )", value != negated


def expression(draw: random.Random, word: str) -> tuple[str, bool]:
    """Two sides joined by the word."""
    (left, first), (right, second) = side(draw), side(draw)
    return f"{left} {word} {right}", WORDS[word](first, second)


def main(out: Path, *, word: Literal["nand", "implies", "xor"] = "nand", seed: int = 0) -> None:
    """Draw expressions until every split is full, as many true as false in each.

    Args:
        out: folder that gets a folder of the word's name, and must have none yet
        word: joins two sides
        seed: draws the expressions
    """
    draw = random.Random(seed)
    seen: set[str] = set()
    with new_folder(out / word) as folder:
        for split, size in SIZES.items():
            left = {True: size // 2, False: size // 2}
            lines = []
            while any(left.values()):
                text, value = expression(draw, word)
                if left[value] and text not in seen:
                    seen.add(text)
                    left[value] -= 1
                    answer = 0 if value else 1
                    lines.append(
                        {"prompt": f"{text} is", "choices": [" True", " False"], "answer": answer}
                    )
            write_json_lines(folder / f"{split}.jsonl", lines)


if __name__ == "__main__":
    run_script(main)
