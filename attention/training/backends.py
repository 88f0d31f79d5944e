"""The form in which a device trains a model fastest."""

from __future__ import annotations

import dataclasses

import jax

from attention.normalizers import NORMALIZERS
from attention.transformer import TransformerConfig


def for_training(config: TransformerConfig, backend: str | None = None) -> TransformerConfig:
    """The config of the same model, computed as a CPU trains it fastest (docs/results).

    Args:
        config: of the model.
        backend: that it is compiled for; None: the one at hand.
    """
    if (backend or jax.default_backend()) != "cpu":
        return config
    fits = NORMALIZERS.pick(config.scoring).logit_transform is not None
    return dataclasses.replace(
        config,
        attention_implementation="blocks" if fits else "xla",
        derivatives="cpu",
    )
