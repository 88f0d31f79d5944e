"""The units of work: one arm and seed each; a finished one leaves a small file."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax

from attention.files import (
    Record,
    attempt,
    new_folder,
    read_json,
    read_json_lines,
    read_settings,
    read_table,
)
from attention.language import pretraining, probing
from attention.language.corpora import Shares
from attention.language.pretraining import RECIPES, Changes, Pretraining, Text, Work
from attention.options import Devices
from attention.terminal import Terminal
from attention.transformer import save_pretrained

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "data" / "language"
DECODERS = ("softmax", "ssa", "temperature", "ssmax")
ENCODERS = ("softmax", "ssa:n=1.5,learn=none", "ssa:n=2,learn=none")
REDUCED = {"mini-decoder": DECODERS, "mini-encoder": ENCODERS}
FULL = {"ssa-114m": ("softmax", "ssa:as=raw", "temperature"), "babyberta": ENCODERS}
SEEDS = {"mini-decoder": 3, "mini-encoder": 3, "ssa-114m": 3, "babyberta": 10}
STEPS = {"mini-decoder": 800, "mini-encoder": 800}
"""Updates of an arm in some 10 minutes of one core; ``--steps 5000`` takes half an hour of two."""
PARAMETERS = {"ssa-114m": 114.13e6, "babyberta": 8.5e6}
TASKS = ("blimp", "zorro")
PAIRS, MASKED_PAIRS = 100, 20
"""Pairs of a paradigm; of a rule that masks each token in turn, fewer."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What every unit needs.

    Attributes:
        text: the corpora.
        data: folder of the probes.
        out: of the runs.
        results: of the small files.
        steps: updates in place of those of the plan; None: as planned.
        limit: pairs in place of those of the plan; None: as planned.
        quiet: show no progress.
    """

    text: Text
    data: Path
    out: Path
    results: Path = RESULTS
    steps: int | None = None
    limit: int | None = None
    quiet: bool = False

    def file(self, unit: str) -> Path:
        """The small file that a finished unit leaves."""
        return self.results / f"{unit}.json"

    def changes(self, recipe: str) -> Changes:
        """The updates of an arm."""
        return Changes(steps=self.steps or STEPS.get(recipe))


@dataclasses.dataclass(frozen=True)
class Unit:
    """A piece of work that leaves a file.

    Attributes:
        name: of the file.
        recipe: of its model.
        run: does it, and returns what the file holds.
    """

    name: str
    recipe: str
    run: Callable[[Setting], Record]


def floors_unit(recipe: str) -> Unit:
    """Counts of n-grams, and the model before training."""
    name = f"{recipe}_floors"

    def run(setting: Setting) -> Record:
        changes = setting.changes(recipe)
        made, objective = pretraining.checked_recipe(Pretraining(recipe), changes)
        material = pretraining.prepare(setting.text, Shares(), made, None)
        size = material.files.vocabulary
        config = pretraining.config_of(Pretraining(recipe), made, objective, size, "float32")
        model = setting.out / name / "model"
        if not model.exists():
            with new_folder(model) as scratch:
                values = pretraining.initial(config, 0)
                save_pretrained(scratch, config, jax.device_get(values))
                material.tokenizer.save_pretrained(scratch)
        perplexities = pretraining.floors(material)
        probes = probe(setting, str(model), model.parent / "probe", setting.text.corpus)
        counts = {split: dict(found) for split, found in material.files.counts.items()}
        return {"counts": counts, "perplexities": perplexities, "probes": probes}

    return Unit(name, recipe, run)


def arm_unit(recipe: str, normalizer: str, seed: int) -> Unit:
    """One pretraining and its probing; a later call goes on where it was killed."""
    plain = normalizer.replace(":", "-").replace("=", "").replace(",", "-")
    name = f"{recipe}_{plain}_seed{seed}"

    def run(setting: Setting) -> Record:
        folder = setting.out / name
        asked = Pretraining(recipe, normalizer, seed=seed)
        rows = 8 if setting.limit is not None else 256
        work = Work(save_every=250, log_every=50, evaluate_every=500, evaluate_rows=rows)
        pretraining.pretrain(
            folder, text=setting.text, pretraining=asked, changes=setting.changes(recipe),
            work=work, quiet=setting.quiet,
        )  # fmt: skip
        settings, summary = read_settings(folder), read_json(folder / "summary.json")
        metrics = read_json_lines(folder / "metrics.jsonl")
        kept = ("corpus", "corpus_hash", "tokenizer_hash", "tokens", "steps", "batch", "length")
        held_out = read_json_lines(folder / "heldout.jsonl")
        return {
            "unit": name,
            "normalizer": normalizer,
            "seed": seed,
            **{key: settings[key] for key in kept},
            **{key: summary[key] for key in ("in_domain", "out_of_domain")},
            "held_out": {str(line["step"]): round(line["loss"], 5) for line in held_out},
            "learned": {k: v for k, v in metrics[-1].items() if k.startswith("normalizer/")},
            "probes": probe(setting, str(folder), folder / "probe", "none"),
        }

    return Unit(name, recipe, run)


def probe(setting: Setting, model: str, out: Path, floors: str) -> Record:
    """Ask a model the probes of grammar, by the rules for its kind.

    Returns:
        By rule: of each ``task/phenomenon/paradigm``, in the model and in each floor, "correct +
        ties of pairs".
    """
    masked = probing.open_model(model).config.head == "masked_lm"
    rules = {"unmasked": PAIRS, "pll": MASKED_PAIRS} if masked else {"sum": PAIRS}
    found = {}
    for rule, pairs in rules.items():
        folder = out if rule != "pll" else out.with_name("probe-pll")
        asked = probing.Asked(setting.data, rule, setting.limit or pairs, floors)
        probing.probe_model(
            model, TASKS, folder, asked, resume=True, quiet=setting.quiet, devices=Devices()
        )
        tables = {"model": read_table(folder / "paradigms.csv")}
        if floors != "none":
            for row in read_table(folder / "floors.csv"):
                tables.setdefault(row["floor"], []).append(row)
        found[rule] = {
            name: {
                f"{row['task']}/{row['phenomenon']}/{row['paradigm']}": (
                    f"{row['correct']} + {row['ties']} of {row['pairs']}"
                )
                for row in rows
            }
            for name, rows in tables.items()
        }
        floors = "none"  # they do not depend on the rule
    return found


def planned_units(full: bool) -> list[Unit]:
    """The units in their order: those that are compared with each other come together."""
    units = []
    for recipe, normalizers in (FULL if full else REDUCED).items():
        for seed in range(SEEDS[recipe]):
            units += [arm_unit(recipe, normalizer, seed) for normalizer in normalizers]
            if seed == 0:
                units.append(floors_unit(recipe))
    return units


def cost_hours(recipe: str) -> float:
    """Hours of all arms of a recipe on an accelerator that keeps up 400 TFLOP/s.

    6 operations for each parameter and token, and at least 5 ms for each update.
    """
    row, runs = RECIPES[recipe], len((REDUCED | FULL)[recipe]) * SEEDS[recipe]
    parameters = PARAMETERS[recipe]
    seconds = 6 * parameters * row.batch * row.length / 400e12
    return runs * row.steps * max(seconds, 5e-3) / 3600


def run_units(setting: Setting, units: Sequence[Unit], terminal: Terminal) -> Iterator[Record]:
    """Run what has not run; yields each unit with its file's content, or why there is none."""
    for unit in units:
        file = setting.file(unit.name)
        if not file.is_file():
            terminal.message(unit.name)
        found, why = attempt(file, functools.partial(unit.run, setting))
        yield {"unit": unit, "found": found, "why": why}


def command_line(unit: str) -> str:
    """The command that runs a unit, and goes on with it; DATA is the folder of the data."""
    return (
        "python scripts/reproduce_language.py --data DATA --corpus DATA/text/classic_books \\\n"
        f"    --out-of-domain DATA/text/masc --units {unit}"
    )
