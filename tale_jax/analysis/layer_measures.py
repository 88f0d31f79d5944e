"""What can be measured of each layer of a whole model, beside what its absence costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from attention.likelihood import Row, RowBatches
from attention.terminal import Steps, no_steps
from tale_jax import criteria
from tale_jax.analysis.information import label_examples, probe_layers
from tale_jax.models import LoadedModel
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.units import Dropped


def measure_layers(
    model: LoadedModel, scorer: Scorer | JointScorer, name: str, steps: Steps = no_steps
) -> dict[str, Float[np.ndarray, " L"]]:
    """Measure each layer of the whole model, on the search examples of its task.

    Args:
        model: the whole model.
        scorer: that model, ready to be scored on the task.
        name: of the task.
        steps: shows progress, as :meth:`attention.terminal.Terminal.steps`.

    Returns:
        ``lost``: examples that the model answers and the model without the layer does not, less
        those of which it is the other way round.
        ``answer``: what −log p(right answer) rises without the layer, in nats.
        ``perplexity``: what −log p(token) of the prompts rises without the layer, in nats.
        ``influence``: the block influence, ``1 − cos(input, output)``.
        ``attention``: what −log p(right answer) rises if the layer sees all keys alike, in nats.
        ``information``: bits about the answer after the layer less those before it,
        cross-validated.

    Raises:
        InputError: there are too few examples, or too few or too many answers.
    """
    examples, tokens = scorer.examples["search"], scorer.batch_tokens
    every: list[Dropped] = [(), *((layer,) for layer in range(model.config.num_hidden_layers))]
    answers = criteria.answer_rows(model, examples)
    prompts = criteria.calibration_rows(model, examples, None)

    def rises(rows: Sequence[Row], count: int) -> Float[np.ndarray, " L"]:
        losses = np.array(list(criteria.row_losses(model, rows, count, tokens)(every)))
        return losses[1:] - losses[0]

    counts = np.array(list(scorer.count(every)))
    asked = label_examples(model, examples, name)
    states = probe_layers(model, asked, (), tokens, steps)
    return {
        "lost": counts[0] - counts[1:],
        "answer": rises(answers, len(answers)),
        "perplexity": rises(prompts, sum(len(row.targets) for row in prompts)),
        "influence": criteria.block_influence(model, RowBatches(prompts, tokens)),
        "attention": criteria.attention_costs(model, answers, tokens),
        "information": np.diff([row["cross_validated"] for row in states]),
    }
