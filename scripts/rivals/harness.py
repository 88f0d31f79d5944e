"""One evaluation by lm-eval with its torch model, as a program of its own.

    python scripts/rivals/harness.py FOLDER ROWS.jsonl BATCH

Rows have a prompt, choices with the space before them, and the place of the answer.  The last line
is JSON: correct answers, and the seconds from the loaded model to the result.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

from lm_eval import evaluator  # pyright: ignore[reportMissingImports]
from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]
from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

YAML = """
task: rows
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {rows}}}}}
output_type: multiple_choice
validation_split: validation
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""


def main(folder: str, rows: str, batch: str) -> None:
    """Evaluate a checkpoint on rows, a batch at a time."""
    make: Any = HFLM
    model = make(folder, device="cpu", dtype="float32", batch_size=int(batch))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "rows.yaml").write_text(YAML.format(rows=rows))
        manager = TaskManager(include_path=scratch, include_defaults=False)
        found: Any = evaluator.simple_evaluate(
            model, tasks=["rows"], num_fewshot=0, task_manager=manager, bootstrap_iters=0
        )
    seconds = time.perf_counter() - start
    correct = sum(sample["acc"] for sample in found["samples"]["rows"])
    print(json.dumps({"seconds": seconds, "correct": int(correct)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
