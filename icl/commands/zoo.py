"""``icl zoo``."""

from __future__ import annotations

from attention.command_line import Result, command
from icl import training


@command
def zoo() -> Result:
    """List the trained models that come along: every --run takes zoo:NAME.

    Below a name: the steps of its training, of those of the published one; its recipe; what it
    does. With --json the whole cards are shown.

    Returns:
        ``models``: the card of each.
    """
    cards = [training.read_card(name) for name in training.zoo_names()]
    if not cards:
        return Result({"models": cards}, "No model comes along. scripts/train_zoo.py makes them.")
    lines = [
        f"zoo:{card['name']}\n"
        f"    {card['steps']:,} of {card['published_steps']:,} steps; {card['recipe']}\n"
        f"    {card['headline']}"
        for card in cards
    ]
    return Result({"models": cards}, "\n".join(lines))
