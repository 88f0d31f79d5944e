"""What follows from the options of a pretraining: recipe, model and settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from attention import transformer
from attention.errors import InputError
from attention.language.corpora import Shares
from attention.language.pretraining.experiment import Changes, Pretraining, Text
from attention.language.pretraining.objectives import OBJECTIVES, Objective
from attention.language.pretraining.recipes import RECIPES, Recipe


def checked_recipe(pretraining: Pretraining, changes: Changes) -> tuple[Recipe, Objective]:
    """The recipe with its changes, and its objective.

    Raises:
        InputError: the objective is not one for the model.
    """
    recipe = changes.of(RECIPES.pick(pretraining.recipe))
    objective = OBJECTIVES.pick(recipe.objective)
    if pretraining.init is None:
        check_objective(objective, recipe.model.get("causal", True), recipe, pretraining.recipe)
    if recipe.objective == "hybrid" and recipe.batch < 2:
        raise InputError("the objective hybrid needs a batch of at least 2 rows")
    return recipe, objective


def check_objective(objective: Objective, causal: bool, recipe: Recipe, model: str) -> None:
    """Raise InputError if a model cannot be trained by an objective."""
    if objective.causal == causal:
        return
    kind = "a causal model" if causal else "an encoder"
    fit = ", ".join(name for name, each in OBJECTIVES.items() if each.causal == causal)
    raise InputError(
        f"the objective {recipe.objective} is not for {kind}, which {model} is: "
        f"take --objective {fit}, or another model"
    )


def recipe_config(name: str, normalizer: str | None = None) -> transformer.TransformerConfig:
    """The model of a recipe with its own vocabulary, float32.

    Args:
        name: a key of ``RECIPES``.
        normalizer: of its attention; None: softmax.

    Raises:
        InputError: no such recipe or normalizer.
    """
    asked = Pretraining(name, normalizer)
    recipe, objective = checked_recipe(asked, Changes())
    return config_of(asked, recipe, objective, recipe.vocabulary, "float32")


def config_of(
    pretraining: Pretraining, recipe: Recipe, objective: Objective, vocabulary: int, dtype: str
) -> transformer.TransformerConfig:
    """The model of a recipe.

    Raises:
        InputError: the normalizer is unknown, or the rows are longer than the positions.
    """
    fields: dict[str, Any] = {
        **recipe.model,
        "vocab_size": vocabulary,
        "head": objective.head,
        "normalizer": pretraining.normalizer or "softmax",
        "dtype": dtype,
    }
    longest = fields["max_position_embeddings"]
    if recipe.length > longest and recipe.model.get("position_embedding") == "learned":
        raise InputError(f"--length {recipe.length} is more than the model's {longest} positions")
    fields["max_position_embeddings"] = max(longest, recipe.length)
    try:
        return transformer.TransformerConfig(**fields)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from None


def settings_of(
    text: Text, shares: Shares, pretraining: Pretraining, recipe: Recipe, about: dict[str, Any]
) -> dict[str, Any]:
    """What identifies a run, as JSON values."""
    place = Path(text.corpus).expanduser()
    model = {f"model_{name}": value for name, value in recipe.model.items()}
    rest = {name: x for name, x in dataclasses.asdict(recipe).items() if name != "model"}
    for name in ("description", "source", "vocabulary", "objective", "steps"):
        rest.pop(name)
    return {
        "recipe": pretraining.recipe,
        "objective": recipe.objective,
        "normalizer": pretraining.normalizer or "softmax",
        "seed": pretraining.seed,
        "seeds": pretraining.seeds,
        "init": pretraining.init,
        "corpus_place": str(place.resolve()) if place.exists() else text.corpus,
        "by": text.by,
        "field": text.field,
        "out_of_domain": text.out_of_domain,
        "validation": shares.validation,
        "test": shares.test,
        **about,
        "steps": recipe.steps,
        **rest,
        **model,
    }
