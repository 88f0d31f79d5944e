"""How ``finetune`` and ``arms`` train."""

from __future__ import annotations

import dataclasses

from attention.errors import InputError
from tale_jax.finetuning import make_schedule


@dataclasses.dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        lora_rank: rank of the matrices that are learnt
        lora_alpha: their product counts alpha / rank times
        lora_dropout: share of input features of each that a step leaves out
        full: train all parameters instead
        learning_rate: at its peak
        schedule: of optax, by name and parameters, such as cosine_decay_schedule:alpha=0.1
        epochs: passes over the train split
        steps: updates, in place of epochs
        batch_size: examples an update
        weight_decay: of AdamW, on matrices alone
        clip: largest norm of a gradient
        save_every: updates between checkpoints
    """

    lora_rank: int = 64
    lora_alpha: float = 16.0
    lora_dropout: float = 0.1
    full: bool = False
    learning_rate: float = 2e-4
    schedule: str = "warmup_cosine_decay_schedule"
    epochs: float = 3.0
    steps: int | None = None
    batch_size: int = 4
    weight_decay: float = 0.001
    clip: float = 1.0
    save_every: int = 200

    def check(self) -> None:
        """Raise InputError unless it can be done."""
        if min(self.lora_rank, self.batch_size, self.save_every) < 1 or self.clip <= 0:
            raise InputError("rank, batch size, save_every and clip must be positive")
        if not 0 <= self.lora_dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, not {self.lora_dropout}")
        if self.epochs <= 0 or (self.steps is not None and self.steps < 1):
            raise InputError("there must be at least one step")
        if self.learning_rate <= 0:
            raise InputError(f"the learning rate must be positive, not {self.learning_rate}")
        # the number of steps may follow from the task; here only names and numbers are read
        make_schedule(self.schedule, self.learning_rate, self.steps or 10**9)


USUAL_TRAINING = Training()
