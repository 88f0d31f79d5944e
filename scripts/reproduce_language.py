"""Pretrain small models with several normalizers, probe them, and put the results into a table.

    python scripts/reproduce_language.py --data DIR --corpus DIR/text/classic_books \
        --out-of-domain DIR/text/masc           # 4 hours of one core
    python scripts/reproduce_language.py --plan     # list the units and their commands
    python scripts/reproduce_language.py --full --plan     # the sizes of the paper, with their cost

The work is a list of units in a fixed order.  A unit is one arm (a recipe and a normalizer) and
seed: a pretraining of some 12 minutes of one core, then BLiMP and Zorro with 100 pairs a paradigm.
A finished unit leaves a small file in docs/results/data/language, and a later call skips it.  One
that was killed goes on where its last checkpoint is.  Arms of one recipe and seed read the same
rows from the same initial values.  One more unit for each recipe counts n-grams and probes the
untrained model.

``--page docs/results/language.md`` writes the tables of what is finished into that page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from language_paper.table import recipe_part, write_page
from language_paper.units import (
    FULL,
    RESULTS,
    Setting,
    command_line,
    cost_hours,
    planned_units,
    run_units,
)

from attention.command_line import Between, Commas, Result, command, run_script
from attention.errors import InputError
from attention.files import found_in
from attention.language.pretraining import Text
from attention.options import Display
from attention.terminal import Terminal


@command
def main(
    *,
    corpus: str = "sample",
    out_of_domain: str | None = None,
    data: Path = Path("data"),
    out: Path = Path("runs/reproduce_language"),
    results: Path = RESULTS,
    page: Path | None = None,
    full: bool = False,
    plan: bool = False,
    units: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    steps: Annotated[int, Between(ge=1)] | None = None,
    limit: Annotated[int, Between(ge=1)] | None = None,
    display: Display = Display(),
) -> Result:
    """Pretrain and probe small models, unit by unit, and show what is finished.

    Args:
        corpus: text to train on, as of attn pretrain
        out_of_domain: another text, on which the models are judged too
        data: folder that holds blimp/ and zorro/
        out: folder of the runs, which go on after a kill
        results: folder of the small files that finished units leave
        page: write the tables into this page
        full: the sizes of the paper
        plan: list the units, and run none
        units: run these alone
        steps: updates of each arm, to try the script
        limit: pairs of each paradigm, to try the script
        display: what is shown
    """
    text = Text(corpus=corpus, out_of_domain=out_of_domain)
    setting = Setting(text, data, out, results, steps, limit, display.quiet)
    every = planned_units(full)
    chosen = [unit for unit in every if not units or unit.name in units]
    if len(chosen) < len(units):
        raise InputError(f"no such unit; there are {', '.join(unit.name for unit in every)}")
    failed = {}
    if not plan:
        for done in run_units(setting, chosen, Terminal(display.quiet)):
            if done["why"]:
                failed[done["unit"].name] = done["why"]
    found = {unit: found_in(setting.file(unit.name)) for unit in every}
    lines = []
    for recipe in dict.fromkeys(unit.recipe for unit in every):
        own = [x for unit, x in found.items() if x is not None and unit.recipe == recipe]
        floors = next((x for x in own if "perplexities" in x), None)
        arms = [x for x in own if "perplexities" not in x]
        if own:
            lines += recipe_part(recipe, arms, floors)
    left = [unit.name for unit, x in found.items() if x is None]
    if left:
        lines += [f"{len(left)} of {len(every)} units are not finished. Each goes on by its name:"]
        lines += ["", "```sh", command_line("NAME"), "```", "", *(f"- `{name}`" for name in left)]
    if full:
        lines += [f"{recipe}: {cost_hours(recipe):.0f} accelerator hours" for recipe in FULL]
    if page is not None:
        write_page(page, lines)
    states = [{"unit": u.name, "done": x is not None, "why": failed.get(u.name)}
              for u, x in found.items()]  # fmt: skip
    failures = [f"not finished: {name}: {why}" for name, why in failed.items()]
    return Result({"units": states}, *lines, *failures)


if __name__ == "__main__":
    run_script(main)
