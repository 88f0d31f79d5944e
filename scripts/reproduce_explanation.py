"""Table and flip rates of the four data sets: train what is missing, explain, and compare.

Command: ``python scripts/reproduce_explanation.py --folder DATA --out runs/explanation``
Cost: training one to five minutes a model, explaining about two minutes a model, on 2 CPU cores.

Each row is a model and 50 decisions of the test split; ``untrained`` is the control.  Writes
``table.md``, ``flips.png``, and a run of ``attn explain`` for each row.  A run that was killed goes
on where it stopped.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from train_classifiers import train

from attention.command_line import run_script
from attention.commands.explain import explain

SHOWN = ("min_norm", "null shift", "effective shift", "uniform", "permuted", "random", "identity",
         "support - heaviest", "support - lightest", "adversarial",
         "trained adversary")  # fmt: skip
HEAD = (
    "| data | model | accuracy on the test split | majority | decisions "
    "| support, raw → efficient | TVD(raw, efficient) "
    "| flips: efficient | uniform | permuted | adversary | trained adversary (TVD of attention) "
    "| AOPC: raw | effective | efficient | gradient × input | random |"
)


def row(name: str, kind: str, place: Path, found: dict) -> str:
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


def figure(found: dict[str, dict]) -> Figure:
    """Flip rates by intervention and data set."""
    with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        drawn = Figure(figsize=(9, 3.6), layout="constrained")
        axes = drawn.subplots()
        places, width = np.arange(len(SHOWN)), 0.8 / len(found)
        for i, (name, summary) in enumerate(found.items()):
            middle, low, high = (
                100 * np.array([summary["interventions"][key]["flip"][j] for key in SHOWN])
                for j in range(3)
            )
            spread = np.maximum(np.stack([middle - low, high - middle]), 0)
            axes.bar(places + i * width, middle, width, yerr=spread, label=name,
                     error_kw={"elinewidth": 0.7})  # fmt: skip
        axes.set_xticks(places + 0.4 - width / 2, SHOWN, rotation=25, ha="right")
        axes.set_ylabel("decisions flipped (%)")
        axes.legend(frameon=False, fontsize=7, ncols=2)
    return drawn


def main(
    out: Path,
    folder: Path = Path("data"),
    models: Path = Path("runs/classifiers"),
    data: tuple[str, ...] = ("snli", "ner", "pos", "reviews"),
    kinds: tuple[str, ...] = ("encoder", "decoder", "untrained"),
    limit: int = 50,
) -> None:
    """Explain each data set.

    Args:
        out: directory of the results
        folder: of the data
        models: of train_classifiers.py; those missing are trained
        data: names of the sets
        kinds: encoder, decoder, or untrained (the encoder with random weights)
        limit: decisions of each
    """
    lines, found = [HEAD, "|" + "-|" * (HEAD.count("|") - 1)], {}
    out.mkdir(parents=True, exist_ok=True)
    for name in data:
        for kind in kinds:
            built = "decoder" if kind == "decoder" else "encoder"
            place, run = models / f"{name}-{built}", out / f"{name}-{kind}"
            if not (place / "README.md").exists():
                print(train(name, kind == "decoder", folder, models, 64), flush=True)
            print(f"{name}, {kind}", flush=True)
            summary = explain(
                str(place), name, run, limit=limit, data_folder=folder, cut=True,
                untrained=kind == "untrained", resume=run.exists(),
            )  # fmt: skip
            lines.append(row(name, kind, place, summary))
            found |= {} if kind == "untrained" else {f"{name}, {kind}": summary}
            (out / "table.md").write_text("\n".join(lines) + "\n")
    if found:
        figure(found).savefig(out / "flips.png", dpi=110)
    print("\n".join(lines))


if __name__ == "__main__":
    run_script(main)
