"""``icl zoo``."""

from __future__ import annotations

from attention.command_line import Result, command
from attention.terminal import plain_table
from icl import training


@command
def zoo() -> Result:
    """List the trained models that come along: every --run takes zoo:NAME.

    ``steps`` are those of training, and ``recipe`` those of the published one. With --json the
    whole cards are shown.

    Returns:
        ``models``: the card of each.
    """
    cards = [training.read_card(name) for name in training.zoo_names()]
    rows = [
        [
            f"zoo:{card['name']}",
            f"{card['steps']:,}",
            f"{card['published_steps']:,}",
            str(card["headline"]),
        ]
        for card in cards
    ]
    if not rows:
        return Result({"models": cards}, "No model comes along. scripts/train_zoo.py makes them.")
    table = plain_table(["run", "steps", "recipe", "what it does"], rows)
    return Result({"models": cards}, table)
