"""The commands of ``icl``; each is a function in ``icl/commands`` that is imported when chosen."""

from __future__ import annotations

from collections.abc import Sequence

from attention import command_line

COMMANDS = {
    "train": "Train a small transformer on an in-context task; the same line goes on with it.",
    "evaluate": "Score trained models and baselines on the prompts of a sweep.",
    "saturation": "Find the boundary values of a trained model, and what its weights predict.",
    "roots": "Measure how near a model comes to a root of the function that it is shown.",
    "zoo": "List the trained models that come along: --run zoo:NAME opens one.",
    "compile": "Say what a training step costs on TPUs that are not here, and whether it fits.",
    "ask": "Ask a language model the same prompts as text.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        arguments: the words of the command line; None for those of the process.
    """
    description = "Small transformers that learn functions in context."
    command_line.main("icl", "icl.commands", COMMANDS, description, arguments)


if __name__ == "__main__":
    main()
