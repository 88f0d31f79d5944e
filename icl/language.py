"""The same prompts as text, for language models: a local checkpoint, or an endpoint.

A prompt shows numbers ``[x1, f(x1), x2, …, xn]`` rounded to a few decimals, after worked examples,
and asks for f(xn) alone; the first number of the answer counts, and answers without one are counted
as failures.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from icl.evaluation import Case, Predictor

KEY = "OPENAI_API_KEY"
TASK = (
    "Each list holds inputs and values of one unknown function in turn: x1, f(x1), x2, f(x2), … "
    "Predict the value that follows the last input. Answer with the number alone."
)
Answerer = Callable[[Sequence[str]], list[str]]


@dataclasses.dataclass(frozen=True)
class Answers:
    """What came back.

    Attributes:
        predicted: NaN where no number was found.
        failures: how many those are.
        error: mean squared error of the others.
        error_of_zero: of predicting 0, on the same prompts.
    """

    predicted: Float[np.ndarray, " N"]
    texts: tuple[str, ...]
    failures: int
    error: float
    error_of_zero: float


def write(x_T: Any, y_T: Any, decimals: int = 2) -> str:
    """``[x1, f(x1), …, xn]``: the last value is left out."""
    numbers = [number for pair in zip(x_T, y_T, strict=True) for number in pair][:-1]
    return "[" + ", ".join(f"{_rounded(number, decimals)}" for number in numbers) + "]"


def _rounded(number: float, decimals: int) -> str:
    return f"{round(float(number), decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.00"


def prompt(x_T: Any, y_T: Any, examples: int = 5, decimals: int = 2, seed: int = 0) -> str:
    """Worked examples of other linear functions, then the question."""
    rng, parts = np.random.default_rng(seed), [TASK, ""]
    for _ in range(examples):
        points, (a, b) = rng.normal(size=4), rng.normal(size=2)
        values = a * points + b
        answer = _rounded(values[-1], decimals)
        parts += [f"List: {write(points, values, decimals)}", f"Answer: {answer}", ""]
    return "\n".join([*parts, f"List: {write(x_T, y_T, decimals)}", "Answer:"])


def parse(text: str) -> float:
    """The first number, NaN if there is none; thousands' commas are read."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("−", "-"))
    found = re.search(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)
    return float(found.group()) if found else float("nan")


def ask(
    case: Case,
    answer: Answerer,
    *,
    count: int = 100,
    examples: int = 5,
    decimals: int = 2,
) -> Answers:
    """Asks for the last value of ``count`` prompts, a different function each where there are."""
    x_BTD, y_BT = _asked(case, count)
    texts = answer(
        [
            prompt(x_T, y_T, examples, decimals)
            for x_T, y_T in zip(x_BTD[:, :, 0], y_BT, strict=True)
        ]
    )
    return _scored(np.array([parse(text) for text in texts]), y_BT[:, -1], texts)


def compare(case: Case, predict: Predictor, *, count: int = 100) -> Answers:
    """What a trained model or a baseline says of the same last values, unrounded."""
    x_BTD, y_BT = _asked(case, count)
    return _scored(predict(x_BTD, y_BT[None])[0, :, -1], y_BT[:, -1], ())


def _asked(case: Case, count: int) -> tuple[np.ndarray, np.ndarray]:
    functions, prompts, _ = case.y_FBT.shape
    pairs = [(i % functions, (i // functions + i) % prompts) for i in range(count)]
    x_BTD = np.stack([case.x_BTD[b] for _, b in pairs])
    return x_BTD, np.stack([case.y_FBT[f, b] for f, b in pairs]).astype(np.float64)


def _scored(predicted: np.ndarray, truths: np.ndarray, texts: Sequence[str]) -> Answers:
    good = np.isfinite(predicted)
    squares = np.square(predicted - truths)[good]
    return Answers(
        predicted,
        tuple(texts),
        int((~good).sum()),
        float(squares.mean()) if squares.size else float("nan"),
        float(np.mean(np.square(truths))),
    )


def endpoint(
    url: str, model: str, *, temperature: float = 0.0, max_tokens: int = 16, timeout: float = 60.0
) -> Answerer:
    """An OpenAI-compatible server: POST ``URL/chat/completions``.

    The key, if any, is read from the environment variable ``OPENAI_API_KEY`` and sent nowhere else.

    Raises:
        InputError: an address of another kind; on asking, a server that cannot be reached or
            answers something else.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"an endpoint is an http(s) address, not {url!r}")
    address = url.rstrip("/") + "/chat/completions"

    def one(text: str) -> str:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return json.load(reply)["choices"][0]["message"]["content"] or ""
        except urllib.error.HTTPError as error:
            error.close()
            hint = f"; the key is read from {KEY}" if error.code in (401, 403) else ""
            raise InputError(f"{address} answered {error.code} {error.reason}{hint}") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise InputError(f"{address} cannot be reached: {error}") from None
        except (KeyError, IndexError, TypeError, ValueError):
            raise InputError(f"{address} did not answer as an OpenAI-compatible server") from None

    return lambda texts: [one(text) for text in texts]


def checkpoint(
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 16,
    batch: int = 8,
    seed: int = 0,
) -> Answerer:
    """A local folder or hub id that ``attention.transformer`` loads."""
    from transformers import AutoTokenizer

    from attention.transformer import generate, load_pretrained, unstack_layers
    from attention.transformer.safetensor_files import checkpoint_folder

    folder = checkpoint_folder(model, None)
    config, params = load_pretrained(folder)
    if config.head != "causal_lm":
        raise InputError(f"{model} is no causal language model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    params = unstack_layers(params)

    def answer(texts: Sequence[str]) -> list[str]:
        out: list[str] = []
        encoded = [tokenizer(text)["input_ids"] for text in texts]
        longest = max(map(len, encoded))
        if longest + max_tokens > config.max_position_embeddings:
            raise InputError(
                f"prompts of {longest} tokens and {max_tokens} to come are more than the model's "
                f"{config.max_position_embeddings}; give fewer points or examples"
            )
        for start in range(0, len(encoded), batch):
            rows = encoded[start : start + batch]
            tokens = np.zeros((batch, longest), np.int32)
            where = np.zeros((batch, longest), bool)
            for i, row in enumerate(rows):
                tokens[i, longest - len(row) :], where[i, longest - len(row) :] = row, True
            where[len(rows) :, -1] = True  # a row of padding alone would divide by zero
            found = generate(
                config,
                params,
                jnp.asarray(tokens),
                jnp.asarray(where),
                max_new_tokens=max_tokens,
                stop_tokens=() if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,),
                temperature=temperature,
                key=jax.random.fold_in(jax.random.key(seed), start),
            )
            for new, kept in zip(found.tokens[: len(rows)], found.where[: len(rows)], strict=True):
                out.append(tokenizer.decode(np.asarray(new)[np.asarray(kept)]))
        return out

    return answer
