"""Table and flip rates of the four data sets: train what is missing, explain, and compare.

Command: ``python scripts/reproduce_explanation.py --data DATA --out runs/explanation``
Cost: training one to five minutes a model, explaining about two minutes a model, on 2 CPU cores.

Each row is a model and 50 decisions of the test split; ``untrained`` is the control: the encoder
with random weights.  Writes ``table.md``, ``flips.png``, and a run of ``attn explain`` for each
row.  The same line goes on with a run that was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from train_classifiers import train

from attention.command_line import Commas, OneOf, command, run_script
from attention.commands.explain import explain
from attention.explanation import INTERVENTIONS, DataFolder
from attention.files import save_figure, write_text
from attention.language import SOURCES

Kind = Literal["encoder", "decoder", "untrained"]
HEAD = (
    "| data | model | accuracy on the test split | majority | decisions "
    "| support, raw → efficient | TVD(raw, efficient) "
    "| flips: efficient | uniform | permuted | adversary | trained adversary (TVD of attention) "
    "| AOPC: raw | effective | efficient | gradient × input | random |"
)


def row(name: str, kind: str, place: Path, found: Mapping[str, Any]) -> str:
    """One line of the table."""
    scores = (place / "README.md").read_text().splitlines()[-1].split("|")
    heads, flips, aopc = found["heads"], found["interventions"], found["aopc"]
    cells = [
        name, kind, *([""] * 3 if kind == "untrained" else [s.strip() for s in scores[3:6]]),
        f"{heads['support_raw']:.1f} → {heads['support_efficient']:.1f}", f"{heads['tvd']:.3f}",
        *(f"{flips[key]['flip'][0]:.0%}" for key in ("min_norm", "uniform", "permuted")),
        f"{flips['adversarial']['flip'][0]:.0%}",
        f"{flips['trained adversary']['flip'][0]:.0%} "
        f"({flips['trained adversary']['attention_tvd'][0]:.2f})",
    ]  # fmt: skip
    for key in ("raw", "effective", "efficient", "gradient × input", "random"):
        middle, low, high = aopc[key]["comprehensiveness"]
        cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
    return f"| {' | '.join(cells)} |"


def figure(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw the flip rates by intervention and data set."""
    drawn = Figure(figsize=(9, 3.6), layout="constrained")
    axes = drawn.subplots()
    names, width = list(INTERVENTIONS), 0.8 / len(found)
    places = np.arange(len(names))
    for i, (label, summary) in enumerate(found.items()):
        flips = np.array([summary["interventions"][name]["flip"] for name in names])
        middle, low, high = 100 * flips.T
        spread = np.maximum(np.stack([middle - low, high - middle]), 0)
        axes.bar(places + i * width, middle, width, yerr=spread, label=label,
                 error_kw={"elinewidth": 0.7})  # fmt: skip
    axes.set_xticks(places + 0.4 - width / 2, names, rotation=25, ha="right")
    axes.set_ylabel("decisions flipped (%)")
    axes.legend(fontsize=7, ncols=2)
    return drawn


@command(renamed={"folder": "--data DIR"}, again=True)
def main(
    out: Path,
    *,
    task: Annotated[tuple[str, ...], Commas(), OneOf(SOURCES)] = ("snli", "ner", "pos", "reviews"),
    data: DataFolder = Path("data"),
    models: Path = Path("runs/classifiers"),
    kinds: tuple[Kind, ...] = ("encoder", "decoder", "untrained"),
    limit: int = 50,
) -> str:
    """Train a classifier for each task, explain its decisions, and compare.

    Args:
        out: directory of the results
        task: names of the tasks
        data: folder of their files
        models: folder of the classifiers; those that are missing are trained
        kinds: which models
        limit: decisions of each model
    """
    lines, found = [HEAD, "|" + "-|" * (HEAD.count("|") - 1)], {}
    for name in task:
        for kind in kinds:
            built = "decoder" if kind == "decoder" else "encoder"
            place, run = models / f"{name}-{built}", out / f"{name}-{kind}"
            if not (place / "README.md").exists():
                print(train(name, built, data, models), flush=True)
            print(f"{name}, {kind}", flush=True)
            summary = explain(
                place, name, run, limit=limit, data=data, cut=True,
                untrained=kind == "untrained", resume=run.exists(),
            )  # fmt: skip
            lines.append(row(name, kind, place, summary))
            found |= {} if kind == "untrained" else {f"{name}, {kind}": summary}
            write_text(out / "table.md", "\n".join(lines) + "\n")
    if found:
        save_figure(lambda: figure(found), out / "flips.png")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
