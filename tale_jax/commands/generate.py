"""``tale generate``: what a model writes, whole and pruned, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from attention.command_line import Between, Repeated, Result, Word, command
from attention.errors import InputError
from attention.options import Display, Seed, Weights
from attention.terminal import Terminal
from tale_jax import analysis, models, opening, runs
from tale_jax.options import Dtype, Layers, ModelOptions

if TYPE_CHECKING:
    from tale_jax.models import LoadedModel
    from tale_jax.units import Dropped


@command
def generate(
    prompt: str,
    *,
    model: str | None = None,
    run: Path | None = None,
    drop: Layers = (),
    max_new_tokens: Annotated[int, Between(ge=1)] = 64,
    temperature: Annotated[float, Between(ge=0)] = 0.0,
    seed: Seed = 0,
    template: Annotated[str, Word(metavar="auto|chat|none|FILE")] = "auto",
    template_variables: Annotated[tuple[str, ...], Repeated(metavar="NAME=VALUE,...")] = (),
    template_date: Annotated[str | None, Word(metavar="DATE")] = None,
    dtype: Dtype | None = None,
    weights: Weights | None = None,
    display: Display = Display(),
) -> Result:
    """Let a model continue a prompt: the whole one, and without layers beside it.

    Args:
        prompt: the question, or - to read it from the standard input
        model: local folder, hub id, or "demo"; with --run, where its checkpoint is now
        run: directory of a finished search, whose BEST and BSBA write beside the baseline
        drop: layers to leave out, 0-based, or halves such as 3.mlp, in place of a run
        max_new_tokens: tokens to write at most
        temperature: 0 takes the most probable token each time; above, tokens are drawn
        seed: of the draws, the same for all models
        template: auto puts the prompt through the tokenizer's chat template if it has one; none is
            plain text; or a jinja2 FILE of your own
        template_variables: variables of the template, such as enable_thinking=false
        template_date: the day, as 2026-01-02, that a template is told; by default today
        dtype: type of the parameters and products; by default that of the run, or float32
        weights: int8 holds the linear layers in 8 bits; by default that of the run, or exact

    Returns:
        ``prompt`` as the model reads it, and ``rows``: for each model what
        :func:`tale_jax.analysis.write_side_by_side` gives.

    Raises:
        InputError: there is neither a run nor a model, or the prompt is empty or too long.
    """
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise InputError("--prompt is empty")
    opened, variants = _open(run, model, drop, dtype, weights)
    how = template, template_variables, template_date
    read, tokens = analysis.encode_question(opened, text, *how)
    unique = {dropped: name for name, dropped in reversed(variants.items())}  # BSBA may be BEST
    variants = {unique[dropped]: dropped for dropped in dict.fromkeys(variants.values())}
    Terminal(display.quiet).message(f"{len(tokens)} tokens of the prompt")
    rows = analysis.write_side_by_side(opened, variants, tokens, max_new_tokens, temperature, seed)
    shown = []
    for row in rows:
        layers = runs.layer_list(row["dropped"])
        shown.append(
            f"\n{row['model']} (without layers: {layers}): {row['tokens']} tokens, "
            f"{row['tokens_per_second']:.1f} a second"
        )
        shown.append(Text(row["text"].strip() or "(nothing)"))
    return Result({"prompt": read, "rows": rows}, *shown)


def _open(
    run: Path | None,
    model: str | None,
    drop: Layers,
    dtype: Dtype | None,
    weights: Weights | None,
) -> tuple[LoadedModel, dict[str, Dropped]]:
    """The model, and what each variant goes without."""
    if run is not None or drop or model is None:
        return opening.open_variants(run, model, drop, dtype, weights)
    options = ModelOptions(mesh="", dtype=dtype or "float32", weights=weights or "exact")
    return models.load_model(model, options), {"baseline": ()}
