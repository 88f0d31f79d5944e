"""Table and flip rates of the four data sets: train what is missing, explain, and compare.

Command: ``python scripts/reproduce_explanation.py --data DATA --out runs/explanation``
Cost: training one to five minutes a model, explaining about two minutes a model, on 2 CPU cores.

Each row is a model and 50 decisions of the test split; ``untrained`` is the control: the encoder
with random weights.  Writes ``table.md``, ``flips.png``, and a run of ``attn explain`` for each
row.  ``claims.md`` has means over ``--seeds``: does attention matter as much as context, is a
support sufficient, is each of its tokens necessary.  A unit is a row; it is a file of
docs/results/data/explanation, and is not made twice.  The same line goes on with a run that was
killed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from train_classifiers import INIT, Built, train

from attention.command_line import Commas, OneOf, command, run_script
from attention.commands.explain import explain
from attention.explanation import INTERVENTIONS, DataFolder
from attention.files import file_name, finished, save_figure, write_text
from attention.language import SOURCES
from attention.options import Count
from attention.statistics import mean_with_margin

DATA = Path("docs/results/data/explanation")
Kind = Literal["encoder", "decoder", "pretrained", "untrained"]
CLEAR = 2.0  # points above the majority from which a classifier is a test of anything
CLAIMS = {
    "flips by uniform attention": lambda found: found["interventions"]["uniform"]["flip"][0],
    "shuffled context, TVD": lambda found: found["context"]["shuffled_tvd"][0],
    "rank correlation of the two": lambda found: found["context"]["rank_correlation"][0],
    "support alone, TVD": lambda found: found["supports"]["support"]["tvd"][0],
    "random set alone, TVD": lambda found: found["supports"]["random"]["tvd"][0],
    "one token less, TVD: support": lambda found: found["supports"]["support"]["removed_tvd"][0],
    "random": lambda found: found["supports"]["random"]["removed_tvd"][0],
    "share of necessary tokens": lambda found: found["supports"]["vertex"]["necessary"][0],
}
HEAD = (
    "| data | model | accuracy on the test split | majority | decisions "
    "| support, raw → efficient | TVD(raw, efficient) "
    "| flips: efficient | uniform | permuted | adversary | trained adversary (TVD of attention) "
    "| AOPC: raw | effective | efficient | gradient × input | random |"
)


def kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the tables need of a summary."""
    columns = ("flip", "tvd", "attention_tvd")
    flips = {
        name: {column: each[column] for column in columns if column in each}
        for name, each in found["interventions"].items()
    }
    parts = {name: found[name] for name in ("heads", "aopc", "supports", "context")}
    return {**parts, "interventions": flips}


def row(name: str, kind: str, found: Mapping[str, Any]) -> str:
    """One line of the table."""
    heads, flips, aopc = found["heads"], found["interventions"], found["aopc"]
    cells = [
        name, kind, *([""] * 3 if kind.startswith("untrained") else found["scores"]),
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


def claims(found: Mapping[str, Sequence[Mapping[str, Any]]], clear: Mapping[str, bool]) -> str:
    """A table in Markdown: mean over seeds, with its 95 % interval by Student's t.

    Args:
        found: the summaries of all seeds by data set and kind.
        clear: whether the models are clearly above the majority; others are no test.
    """
    lines = ["| data, model | " + " | ".join(CLAIMS) + " |", "|-" * (len(CLAIMS) + 1) + "|"]
    for label, summaries in found.items():
        cells = [
            mean_with_margin([value(summary) for summary in summaries], ".3f")
            for value in CLAIMS.values()
        ]
        note = "" if clear[label] else " (no test: not above the majority)"
        lines.append(f"| {label}{note} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def clearly_above(scores: Sequence[str]) -> bool:
    """Whether a classifier's accuracy is clearly above the majority; cells of its README."""
    accuracy, majority = (float(cell.split("%")[0]) for cell in scores[:2])
    return accuracy - majority >= CLEAR


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
    results: Path = DATA,
    kinds: tuple[Kind, ...] = ("encoder", "decoder", "untrained"),
    limit: int = 50,
    seeds: Count = 1,
    init: str = INIT,
) -> str:
    """Train a classifier for each task, explain its decisions, and compare.

    Args:
        out: directory of the results
        task: names of the tasks
        data: folder of their files
        models: folder of the classifiers; those that are missing are trained
        results: folder of the finished units
        kinds: which models; pretrained is that of --init, fine-tuned
        limit: decisions of each model
        seeds: classifiers of each kind, of seeds 0, 1, …
        init: the pretrained encoder: a folder, a hub id or package:NAME
    """
    lines, found = [HEAD, "|" + "-|" * (HEAD.count("|") - 1)], {}
    of_seeds: dict[str, list[Mapping[str, Any]]] = {}
    clear: dict[str, bool] = {}
    for name, kind, seed in itertools.product(task, kinds, range(seeds)):
        end = f"-seed{seed}" if seed else ""
        print(f"{name}, {kind}{end}", flush=True)

        def unit(name: str = name, kind: Kind = kind, seed: int = seed, end: str = end) -> Any:
            built: Built = "encoder" if kind == "untrained" else kind
            place, run = models / f"{name}-{built}{end}", out / f"{name}-{kind}{end}"
            if not (place / "README.md").exists():
                print(train(name, built, data, models, seed=seed, init=init), flush=True)
            found = explain(
                place, name, run, limit=limit, data=data, cut=True, seed=seed,
                untrained=kind == "untrained", resume=run.exists(),
            )  # fmt: skip
            line = (place / "README.md").read_text().splitlines()[-1]
            return {"scores": [cell.strip() for cell in line.split("|")[3:6]], **kept(found)}

        of = f"{kind}-{file_name(init)}" if kind == "pretrained" else kind
        summary = finished(results / f"{Path(name).stem}-{of}-seed{seed}-{limit}.json", unit)
        label = f"{name}, {kind}"
        lines.append(row(name, f"{kind}{end}", summary))
        of_seeds.setdefault(label, []).append(summary)
        above = kind == "untrained" or clearly_above(summary["scores"])
        clear[label] = clear.get(label, True) and above
        found |= {} if kind == "untrained" or seed else {label: summary}
        write_text(out / "table.md", "\n".join(lines) + "\n")
        write_text(out / "claims.md", claims(of_seeds, clear))
    if found:
        save_figure(lambda: figure(found), out / "flips.png")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
