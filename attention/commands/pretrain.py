"""``attn pretrain``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from attention import files, training
from attention.command_line import Result, command
from attention.language import pretraining as room
from attention.language.corpora import Shares
from attention.language.pretraining import Changes, Pretraining, Text, Work
from attention.options import Devices, Display
from attention.terminal import plain_table


@command(again=True)
def pretrain(
    *,
    out: Path,
    pretraining: Pretraining = Pretraining(),
    text: Text = Text(),
    shares: Shares = Shares(),
    changes: Changes = Changes(),
    work: Work = Work(),
    devices: Devices = Devices(),
    display: Display = Display(),
) -> Result:
    """Pretrain a decoder or an encoder on text, with any normalizer.

    Without options, a small decoder learns from the sample of English prose that comes with the
    package.  The same line goes on where the run stopped, with the identical result.  Every command
    opens the run as a model.

    Args:
        out: directory of the run; one that holds the same pretraining is continued
        pretraining: what is trained
        text: the text, and its tokens; where paragraphs are apart by empty lines, write --by
            document, or paragraphs of one book fall into several splits
        shares: shares of the documents that are held out, by the hash of their text
        changes: changes of the recipe
        work: how the work is done, and what is kept
        devices: devices, and the type of the products; parameters stay float32
        display: what is shown

    Raises:
        InputError: the options do not fit together or to the corpus, or --out holds another run.
    """
    files.check_folder(out)
    files.use_compilation_cache()
    summaries = room.pretrain(
        out, text=text, shares=shares, pretraining=pretraining, changes=changes, work=work,
        devices=devices, quiet=display.quiet,
    )  # fmt: skip
    figure = functools.partial(training.loss_figure, out)
    values = {"run": out, "summaries": summaries}
    return Result(values, *_shown(summaries), f"\n{out}", figure=figure)


def _shown(summaries: dict[str, Any]) -> list[Any]:
    """A table of the models, and of what counts of tokens alone can do on the same text."""
    rows = []
    for seed, summary in summaries.items():
        for place in ("in_domain", "out_of_domain"):
            if found := summary[place]:
                per_byte = found["bits_per_byte"]
                bits = "" if per_byte is None else f"{per_byte:.4f}"
                numbers = f"{found['loss']:.4f}", f"{found['perplexity']:.2f}"
                about = f"{found['corpus']}, {found['split']} split"
                rows.append([f"seed {seed}", about, *numbers, bits])
    first = next(iter(summaries.values()), {"floors": {}})
    for name, perplexity in first["floors"].items():
        rows.append([name, "the same, in domain", "", f"{perplexity:.2f}", ""])
    columns = ["model", "held-out text", "nats a token", "perplexity", "bits a byte"]
    return [plain_table(columns, rows)]
