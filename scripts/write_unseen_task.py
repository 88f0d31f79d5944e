"""Write a task that the demo model was not trained on, as a folder for ``--data``.

Command: ``python scripts/write_unseen_task.py --out runs/tasks --word nand``
Cost: a second.  Writes ``runs/tasks/nand/{train,validation,test}.jsonl``: the value of an
expression such as ``not ( True and not False ) nand not True is``, of which the model knows all
but the word that joins the two sides.  Each prompt is in one split, and answers are balanced.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Literal

import tyro

SIZES = {"train": 2000, "validation": 300, "test": 600}
TRUTH = (True, False)
WORDS = {
    "nand": lambda left, right: not (left and right),
    "implies": lambda left, right: not left or right,
    "xor": lambda left, right: left != right,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to write.

    Args:
        out: folder that gets a folder of the word's name; must have none.
        word: joins two sides.
        seed: of the expressions.
    """

    out: Path
    word: Literal["nand", "implies", "xor"] = "nand"
    seed: int = 0


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


def main(options: Options) -> None:
    """Draw expressions until every split is full, as many true as false in each."""
    draw = random.Random(options.seed)
    folder = options.out / options.word
    folder.mkdir(parents=True)
    seen: set[str] = set()
    for split, size in SIZES.items():
        left = {True: size // 2, False: size // 2}
        lines = []
        while any(left.values()):
            text, value = expression(draw, options.word)
            if left[value] and text not in seen:
                seen.add(text)
                left[value] -= 1
                answer = 0 if value else 1
                line = {"prompt": f"{text} is", "choices": [" True", " False"], "answer": answer}
                lines.append(json.dumps(line) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main(tyro.cli(Options))
