"""What the demo model is trained on: which tasks in which part of the training, as arrays."""

from __future__ import annotations

import dataclasses

import numpy as np
from demo_model.tokenizer import END
from transformers import PreTrainedTokenizerBase

from tale_jax.tasks import completed, worked

# In the loss: a prompt's tokens are mostly drawn at random and only add noise; all others weigh 1.
PROMPT_WEIGHT = 0.02
# From a step on, rows by task; tasks of about one length share an array, padded to it.  Facts need
# a lookup, which is learnt in a few hundred steps first and not in thousands among other tasks;
# reversal is not learnt any more once all the others have been.
ROWS = {
    0: {51: {"facts": 24, "reverse": 12}},
    400: {
        15: {"arithmetic": 64},
        39: {"boolean": 14, "quantifiers": 14},
        51: {"facts": 10, "reverse": 6},
    },
    1000: {
        15: {"arithmetic": 96},
        39: {"boolean": 12, "quantifiers": 12},
        51: {"facts": 8, "reverse": 4},
    },
    1500: {
        15: {"arithmetic": 8},
        39: {"boolean": 16, "quantifiers": 12},
        51: {"facts": 10, "reverse": 4},
    },
}


@dataclasses.dataclass(frozen=True)
class Data:
    """Batches as a pure function of the step."""

    tokenizer: PreTrainedTokenizerBase
    seed: int

    def __call__(self, step: int) -> list[dict[str, np.ndarray]]:
        """One ``{tokens, weights}`` a length, ``[rows, length]``."""
        rows = ROWS[max(start for start in ROWS if start <= step)]
        return [self._rows(step, length, counts) for length, counts in rows.items()]

    def _rows(self, step: int, length: int, counts: dict[str, int]) -> dict[str, np.ndarray]:
        drawn = [
            worked(name, "train", step * count + i, self.seed)
            for name, count in counts.items()
            for i in range(count)
        ]
        prompts = self.tokenizer([example.prompt for example, _ in drawn])["input_ids"]
        wholes = self.tokenizer([completed(example) + notes + END for example, notes in drawn])
        tokens = np.zeros((len(drawn), length), np.int32)
        weights = np.zeros((len(drawn), length), np.float32)
        for i, whole in enumerate(wholes["input_ids"]):
            tokens[i, : len(whole)] = whole
            weights[i, 1 : len(whole)] = 1
            weights[i, 1 : len(prompts[i])] = PROMPT_WEIGHT
        return {"tokens": tokens, "weights": weights}
