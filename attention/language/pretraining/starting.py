"""A model before training, and the form of it that is trained."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from attention.errors import InputError
from attention.language.pretraining.consequences import config_of
from attention.language.pretraining.experiment import Pretraining
from attention.language.pretraining.material import Material
from attention.language.pretraining.optimizers import each_seed, make_optimizer
from attention.language.pretraining.recipes import Recipe
from attention.normalizers import NORMALIZERS
from attention.training import for_training, make_schedule
from attention.transformer import (
    Transformer,
    TransformerConfig,
    load_pretrained,
    unstack_layers,
)

PART = 2**18  # numbers in the residual stream of a part of a batch: 1 MiB


@dataclasses.dataclass(frozen=True)
class Start:
    """A model before training.

    Attributes:
        config: as it is written.
        params: unstacked; ``[seed, …]`` of several seeds.
    """

    config: TransformerConfig
    params: Mapping[str, Any]


def first_model(pretraining: Pretraining, recipe: Recipe, material: Material, dtype: str) -> Start:
    """The model with its first values: random, or those of a checkpoint.

    Raises:
        InputError: the checkpoint does not go with the objective, the normalizer or the tokenizer.
    """
    vocabulary = material.files.vocabulary
    if pretraining.init is None:
        config = config_of(pretraining, recipe, material.objective, vocabulary, dtype)
        each = [initial(config, seed) for seed in pretraining.all_seeds]
    else:
        config, params = load_pretrained(pretraining.init)
        wanted = pretraining.normalizer
        if wanted not in (None, config.normalizer):
            raise InputError(
                f"{pretraining.init} has the normalizer {config.normalizer}, not {wanted}: "
                "convert it first (attn convert)"
            )
        if config.head != material.objective.head or (config.vocab_size or 0) < vocabulary:
            raise InputError(
                f"{pretraining.init} has the head {config.head} and {config.vocab_size} tokens; "
                f"the objective {recipe.objective} needs {material.objective.head}, and the "
                f"tokenizer {vocabulary}"
            )
        config = dataclasses.replace(config, dtype=dtype)
        each = [unstack_layers(params)] * pretraining.seeds
    params = each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)
    return Start(config, params)


def initial(config: TransformerConfig, seed: int) -> dict[str, Any]:
    """Random float32 parameters of a model, layers unstacked."""
    return _initial(dataclasses.replace(config, dtype="float32"), jax.random.key(seed))


@functools.partial(jax.jit, static_argnums=0)
def _initial(config: TransformerConfig, key: Key[Array, ""]) -> dict[str, Any]:
    tokens = jnp.zeros((1, 1), jnp.int32)
    return unstack_layers(Transformer(config).init(key, tokens)["params"])


def computed(config: TransformerConfig, attention: str, remat: str = "none") -> TransformerConfig:
    """The config of the same model with the implementation of attention that is wanted.

    Args:
        config: of the model.
        attention: the implementation, or ``auto``.
        remat: what a layer keeps for the backward pass, a key of ``REMATS``.

    Raises:
        InputError: it does not have the normalizer.
    """
    config = dataclasses.replace(for_training(config), remat=remat)
    fits = NORMALIZERS.pick(config.scoring).logit_transform is not None
    if attention == "auto":
        if jax.default_backend() == "cpu" or not fits:
            return config
        attention = "pallas"
    if attention != "xla" and not fits:
        raise InputError(f"--attention {attention} has no {config.normalizer}: take xla")
    return dataclasses.replace(config, attention_implementation=attention)


def parts_of(recipe: Recipe, config: TransformerConfig, seeds: int) -> int:
    """The number of microbatches of a step; on a CPU each of them fits the cache (``PART``)."""
    if jax.default_backend() != "cpu":
        return 1
    numbers = recipe.length * seeds * config.hidden_size
    rows = recipe.batch // jax.device_count()
    counts = [n for n in range(1, rows + 1) if recipe.batch % (n * jax.device_count()) == 0]
    return max((n for n in counts if recipe.batch // n * numbers >= PART), default=1)


def optimizer_of(recipe: Recipe, seeds: int) -> optax.GradientTransformation:
    """The optimizer of a recipe; of several seeds, one for each.

    Raises:
        InputError: the optimizer or its schedule is unknown, or does not fit the recipe.
    """
    schedule = make_schedule(recipe.schedule, recipe.learning_rate, recipe.steps)
    made = make_optimizer(
        recipe.optimizer,
        schedule,
        weight_decay=recipe.weight_decay,
        decay=recipe.decay,
        clip=recipe.clip,
        logged=seeds == 1,
    )
    return made if seeds == 1 else each_seed(made)
