"""``attn convert``: another normalizer for a softmax model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files, language, likelihood, transformer
from attention.command_line import Between, Result, command
from attention.errors import InputError
from attention.options import Hub
from attention.terminal import Terminal, plain_table

if TYPE_CHECKING:
    from rich.table import Table

LETTERS = 16  # most letters of a token; decides how much of the text is read


@command
def convert(
    model: str,
    text: Path,
    out: Path,
    *,
    normalizer: str = "ssa:learn=n+b",
    largest: Annotated[float, Between(gt=0)] = 64.0,
    tokens: Annotated[int, Between(ge=2)] = 512,
    length: Annotated[int, Between(ge=2)] = 128,
    hub: Hub = Hub(),
) -> Result:
    """Give a softmax model another normalizer, as close to softmax as it gets.

    The learned parameters start where the weights over the model's own scores are closest to
    softmax.

    Args:
        model: local folder, or hub id
        text: a file with text of the kind that the model is for
        out: new folder for the checkpoint, which every command opens
        normalizer: specification with learned parameters
        largest: bound of every parameter; a larger one comes closer to softmax
        tokens: number of tokens of the text that are read
        length: number of tokens in each piece that the text is cut into
        hub: what is taken from the hub

    Raises:
        InputError: the model cannot be read or converted, its logits are NaN, the text is shorter
            than one piece, or --out is not empty.
    """
    if tokens < length:
        raise InputError(f"--tokens must be at least --length, not {tokens} and {length}")
    files.check_folder(out, empty=True)
    folder = transformer.checkpoint_folder(model, hub.revision)
    read = files.read_bytes(text).decode(errors="replace")[: LETTERS * tokens]
    pieces = language.encode_pieces(files.load_tokenizer(folder), read, length)[: tokens // length]
    if not len(pieces):
        raise InputError(f"{text} is shorter than one piece of {length} tokens (--length)")
    with Terminal().waiting(f"loading and converting {model}"):
        config, params = transformer.load_pretrained(folder)
        likelihood.check_tokens(pieces.flat, config.vocab_size)
        config, params, drift = transformer.convert(
            config, params, normalizer, pieces, largest=largest
        )
    if not math.isfinite(drift.logit_max):
        raise InputError(f"{model}: its logits are not numbers: are its parameters finite?")
    transformer.save_pretrained(out, config, params, source=folder)
    changes = (
        f"logits over {pieces.size} tokens change by {drift.logit_mean:.2g} on average, "
        f"{drift.logit_max:.2g} at most\n(their standard deviation is {drift.logit_std:.2g}); "
        f"the most likely token stays at {100 * drift.agreement:.1f} %"
    )
    values = {"out": out, "normalizer": normalizer, "tokens": pieces.size}
    shown = _table(drift), changes, f"\nwritten to {out}"
    return Result({**values, "drift": drift}, *shown)


def _table(drift: transformer.Drift) -> Table:
    rows = zip(drift.score_range, drift.divergence, *drift.learned.values(), strict=True)
    shown = [
        [str(i), f"{most:.2f}", f"{divergence:.2e}", *(f"{value:.4g}" for value in values)]
        for i, (most, divergence, *values) in enumerate(rows)
    ]
    return plain_table(["layer", "|score| to", "KL, nats", *drift.learned], shown, 0)
