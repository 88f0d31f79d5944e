"""The program ``tale``: the names of its commands, each with what it does."""

from __future__ import annotations

from collections.abc import Sequence

from attention import command_line

COMMANDS = {
    "search": "Eliminate layers of a model for a task, without retraining.",
    "evaluate": "Measure the accuracy of a model on a task, whole or without some layers.",
    "export": "Write the model that a search picked, for this library or for others.",
    "tasks": "List the tasks that have a name.",
    "compare": "Drop as many layers by each criterion, and compare them on the test split.",
    "transfer": "Score the layers found on each task on every other one.",
    "report": "Draw the layers that several searches dropped, by task and by model, on one page.",
    "pick": "Choose from the models that a search recorded, and export the choice.",
    "compile": "Say what a search costs on TPUs that are not here, and whether it fits.",
    "generate": "Let a model continue a prompt, whole and pruned side by side.",
    "benchmark": "Time baseline, BEST and BSBA as shorter models with a KV cache.",
    "information": "Measure what the state after each layer tells about the answer.",
    "lens": "Measure the accuracy of each layer, read through the final norm and the head.",
    "finetune": "Train a model, whole or without some layers, on a task.",
    "arms": "Combine elimination and fine-tuning in the paper's six ways.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the first word names.

    Args:
        arguments: the words; None for those of the process.
    """
    description = "Which layers does this task need?"
    command_line.main("tale", "tale_jax.commands", COMMANDS, description, arguments)
