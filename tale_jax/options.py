"""What ``search`` and ``evaluate`` share: how a model is loaded, a task read, a question asked."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the commands and keyword arguments of the functions.

    Attributes:
        protocol: how the model is asked; auto compares log-probabilities where there are choices
        test: JSONL file of examples to report on
        train: JSONL file of examples to draw shots from
        holdout: share of the task's file that becomes the test split
        data: folder DIR in which the task is DIR/TASK/{validation,test,train}.jsonl[.gz], in the
            official fields if it is a benchmark, which is otherwise taken from the hub
        limit: use the first so many examples of each split
        shots: answered examples before every prompt, from the train split if there is one
        template: jinja2 file in place of the tokenizer's chat template; none for plain text
        max_new_tokens: tokens to write in the protocol decode; by default the task's number, or
            two more than the longest answer has
        dtype: of parameters and products
        batch_tokens: tokens in a batch; lowered if memory runs out
        cache_gib: GiB of states between layers that are kept; the rest is computed again
        model_parallel: devices that share one copy of the parameters
        seed: draws the shots
        revision: branch, tag or commit of a model on the hub
    """

    protocol: Literal["auto", "loglikelihood", "loglikelihood-norm", "decode"] = "auto"
    test: str | None = None
    train: str | None = None
    holdout: float | None = None
    data: str | None = None
    limit: int | None = None
    shots: int = 0
    template: str | None = None
    max_new_tokens: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_tokens: int = 4096
    cache_gib: float = 4.0
    model_parallel: int = 1
    seed: int = 0
    revision: str | None = None
