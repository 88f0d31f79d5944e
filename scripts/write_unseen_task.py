"""Write a task that the demo model was not trained on, as a folder for ``--data``.

Command: ``python scripts/write_unseen_task.py --out runs/tasks``
Cost: a second.  Writes ``runs/tasks/xor/{train,validation,test}.jsonl``: the value of an expression
with ``xor``, such as ``True xor ( not False and True ) is``, of which the model knows all but the
word.  Each prompt is in one split, and the answers are balanced.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import tyro

SIZES = {"train": 2000, "validation": 300, "test": 600}
TRUTH = (True, False)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to write.

    Args:
        out: folder that gets a folder `xor`; must have none.
        seed: of the expressions.
    """

    out: Path
    seed: int = 0


def operand(draw: random.Random) -> tuple[str, bool]:
    """A literal, a negated one, or a pair joined by a word that the model knows; and its value."""
    first, second = draw.choice(TRUTH), draw.choice(TRUTH)
    kind = draw.choice(("plain", "not", "and", "or"))
    if kind == "plain":
        return f"{first}", first
    if kind == "not":
        return f"not {first}", not first
    return f"( {first} {kind} {second} )", first and second if kind == "and" else first or second


def expression(draw: random.Random) -> tuple[str, bool]:
    """Two to four operands joined by xor."""
    parts = [operand(draw) for _ in range(draw.choice((2, 3, 4)))]
    return " xor ".join(text for text, _ in parts), sum(value for _, value in parts) % 2 == 1


def main(options: Options) -> None:
    """Draw expressions until every split is full, as many true as false in each."""
    draw = random.Random(options.seed)
    folder = options.out / "xor"
    folder.mkdir(parents=True)
    seen: set[str] = set()
    for split, size in SIZES.items():
        left = {True: size // 2, False: size // 2}
        lines = []
        while any(left.values()):
            text, value = expression(draw)
            if left[value] and text not in seen:
                seen.add(text)
                left[value] -= 1
                answer = 0 if value else 1
                line = {"prompt": f"{text} is", "choices": [" True", " False"], "answer": answer}
                lines.append(json.dumps(line) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main(tyro.cli(Options))
