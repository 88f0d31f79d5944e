r"""Pretrain small models with several normalizers, an arm at a time.

    python scripts/reproduce_language.py --corpus ../shared/data/text/classic_books \
        --out-of-domain ../shared/data/text/books --out runs/language    # 8 hours of 2 cores
    python scripts/reproduce_language.py --quick --out /tmp/language     # two minutes

An arm is a recipe, a normalizer and a seed.  Arms of one recipe and seed read the same rows from
the same initial values.  A finished arm is a small file in ``docs/results/data/language``, which a
later call does not make again; one that was killed goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attention import files
from attention.command_line import command, run_script
from attention.commands.pretrain import pretrain

DATA = Path(__file__).parents[1] / "docs/results/data/language"
DECODERS = ("softmax", "ssa", "temperature", "ssmax")
ENCODERS = ("softmax", "ssa", "ssa:n=1.5,learn=none", "ssa:n=2,learn=none")
PLAN = {"mini-decoder": DECODERS, "mini-encoder": ENCODERS}
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One pretraining.

    Attributes:
        recipe: of ``attn pretrain``.
        normalizer: of its attention.
        seed: of values, rows and masks.
    """

    recipe: str
    normalizer: str
    seed: int

    @property
    def name(self) -> str:
        """A name for files."""
        plain = self.normalizer.replace(":", "-").replace("=", "").replace(",", "-")
        return f"{self.recipe}_{plain}_seed{self.seed}"


def arms(seeds: int) -> Iterator[Arm]:
    """All arms; those that are compared with each other stand one behind another."""
    for recipe, normalizers in PLAN.items():
        for seed in SEEDS[:seeds]:
            for normalizer in normalizers:
                yield Arm(recipe, normalizer, seed)


def train(arm: Arm, out: Path, how: dict[str, Any]) -> dict[str, Any]:
    """Train an arm, or go on with it, and say what is worth keeping."""
    run = out / arm.name
    pretrain(out=run, recipe=arm.recipe, normalizer=arm.normalizer, seed=arm.seed, **how)
    metrics = files.read_json_lines(run / "metrics.jsonl")
    learned = {k: v for k, v in metrics[-1].items() if k.startswith("normalizer/")}
    settings = files.read_json(run / "settings.json")
    named = ("corpus", "corpus_hash", "tokenizer_hash", "tokens", "steps", "batch", "length")
    return {
        "recipe": arm.recipe,
        "normalizer": arm.normalizer,
        "seed": arm.seed,
        **{name: settings[name] for name in named},
        "summary": files.read_json(run / "summary.json"),
        "held_out": files.read_json_lines(run / "heldout.jsonl"),
        "learned": learned,
    }


@command
def main(
    *,
    out: Path,
    corpus: str = "sample",
    out_of_domain: str | None = None,
    steps: int | None = None,
    seeds: int = 3,
    arm: str | None = None,
    data: Path = DATA,
    quick: bool = False,
) -> None:
    """Train every arm that has no file yet.

    Args:
        out: folder of the runs
        corpus: as of attn pretrain
        out_of_domain: likewise
        steps: updates of each; by default as in the recipe
        seeds: how many of the seeds 0, 1 and 2
        arm: train the one of this name alone
        data: folder of the small files
        quick: a few steps on the sample, which shows that it runs; the files go to --out
    """
    how: dict[str, Any] = {"corpus": corpus, "out_of_domain": out_of_domain, "steps": steps}
    if quick:
        how |= {"steps": 4, "evaluate_rows": 32, "batch": 8, "quiet": True}
        seeds, data = 1, out / "data"
    for each in arms(seeds):
        path = data / f"{each.name}.json"
        if path.exists() or arm not in (None, each.name):
            continue
        found = train(each, out, how)
        files.write_json(path, found)
        loss = found["summary"]["in_domain"]["loss"]
        print(f"{each.name}: {loss:.4f} nats a token in domain", flush=True)


if __name__ == "__main__":
    run_script(main)
