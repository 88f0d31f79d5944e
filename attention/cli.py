"""The program ``attn``; each of its commands is a function in ``commands/``."""

from __future__ import annotations

from collections.abc import Sequence

from attention import command_line

COMMANDS = {
    "describe": "Show the config, the parameters and the size of a checkpoint.",
    "bench": "Time attention: each implementation and normalizer, and its rivals.",
    "compile": "Say what a step costs on TPUs that are not here, and whether it fits.",
    "convert": "Give a softmax model another normalizer, as close to softmax as it gets.",
    "plot": "Draw what a run's normalizer learned, layer by layer over training.",
    "pretrain": "Pretrain a decoder or an encoder on text, with any normalizer.",
    "probe": "Ask a language model what it knows of grammar, and write a report.",
    "compare": "Compare pretrained models of several scoring functions, seed by seed.",
    "explain": "Explain decisions of a classifier by its attention, and write a report.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    description = "What is in this model, how fast is attention, and what does it explain?"
    command_line.main("attn", "attention.commands", COMMANDS, description, arguments)
