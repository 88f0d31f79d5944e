"""The tasks and models of TELL-TALE (arXiv 2510.22767), and what a search of them costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

DATA = Path(__file__).parents[2] / "docs" / "results" / "data" / "tale"
SEARCHED, TESTED = 200, 500  # examples


@dataclasses.dataclass(frozen=True)
class PaperTask:
    """A task of the paper.

    Attributes:
        title: in the paper's tables.
        tokens: of a prompt, roughly, for the cost.
        written: new tokens, if the answer is written.
    """

    title: str
    tokens: int
    written: int = 0


TASKS = {
    "arc_easy": PaperTask("ARC-Easy", 60),
    "arc_challenge": PaperTask("ARC-Challenge", 65),
    "boolq": PaperTask("BoolQ", 190),
    "mmlu": PaperTask("MMLU", 130),
    "commonsense_qa": PaperTask("CommonsenseQA", 55),
    "winogrande": PaperTask("WinoGrande", 65),
    "bbh_boolean_expressions": PaperTask("BIG-bench", 50, 8),
    "gsm8k": PaperTask("GSM8K-Hard (all of GSM8K)", 110, 256),
    "math500": PaperTask("MATH500", 130, 512),
}
REDUCED = [name for name in TASKS if name not in ("mmlu", "math500")]
# Of thirteen paradigms of BLiMP, one a phenomenon, SmolLM2-135M can tell ten; in these four it has
# the most to gain (60 to 74 % of 500 pairs).
PAIRS = tuple(
    f"blimp:{paradigm}"
    for paradigm in (
        "irregular_past_participle_adjectives",
        "animate_subject_passive",
        "ellipsis_n_bar_1",
        "distractor_agreement_relational_noun",
    )
)


@dataclasses.dataclass(frozen=True)
class PaperModel:
    """A model of the paper: its name there, parameters in 10⁹, and layers."""

    title: str
    billions: float
    layers: int


MODELS = {
    "meta-llama/Llama-3.1-8B-Instruct": PaperModel("Llama-3.1-8B", 8.0, 32),
    "Qwen/Qwen2.5-7B-Instruct": PaperModel("Qwen2.5-7B", 7.6, 28),
    "Qwen/Qwen2.5-0.5B-Instruct": PaperModel("Qwen2.5-0.5B", 0.49, 24),
    "mistralai/Mistral-7B-Instruct-v0.3": PaperModel("Mistral-7B", 7.2, 32),
    "OpenLLM-France/Lucie-7B-Instruct": PaperModel("Lucie-7B", 6.7, 32),
}


def cost_hours(model: PaperModel, task: PaperTask, shots: int) -> float:
    """Hours of a search of ten rounds on an accelerator that keeps up 400 TFLOP/s.

    A pass takes 2 P operations a token.  Candidates that are read run half of the layers, because
    they take up states; shots stand before every prompt, and are read once.
    """
    rounds = sum((model.layers - r) ** 2 / model.layers for r in range(10))
    tokens = task.tokens + task.written * (1 + shots / 8)
    share = 1.0 if task.written else 0.5
    return 2e9 * model.billions * tokens * SEARCHED * rounds * share / 400e12 / 3600
