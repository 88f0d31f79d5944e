"""Time attention for ``attn bench``: each implementation and normalizer, in turns in one run."""

from __future__ import annotations

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.dot_product.flash import flash_attention
from attention.dot_product.implementations import (
    IMPLEMENTATIONS,
    Call,
    dot_product_attention,
    without_matrix,
)
from attention.dot_product.masks import Visibility
from attention.errors import InputError
from attention.normalizers import NORMALIZERS

Attend = Callable[..., jax.Array]  # of query, key, value and the learned parameters


@dataclasses.dataclass(frozen=True)
class Runs:
    """What is timed of a case, compiled and with its arrays.

    Attributes:
        forward: runs the forward pass, and waits for it.
        both: runs forward and backward pass, and waits for them.
        temporary_bytes: what the compiler plans for the temporaries of both; None if unknown.
    """

    forward: Callable[[], object]
    both: Callable[[], object]
    temporary_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shapes of causal self-attention.

    Attributes:
        batch: number of sequences.
        length: tokens of each.
        heads: query heads.
        kv_heads: key/value heads, which divide the query heads.
        head_size: numbers in each head.
        dtype: of queries, keys and values.

    Raises:
        InputError: the key/value heads do not divide the query heads.
    """

    batch: int
    length: int
    heads: int
    kv_heads: int
    head_size: int
    dtype: str

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise InputError(
                f"key/value heads ({self.kv_heads}) divide query heads ({self.heads}) unevenly"
            )

    @property
    def flops(self) -> float:
        """Operations of the two products of the forward pass, over the keys that are seen."""
        pairs = self.batch * self.heads * self.length * (self.length + 1) / 2
        return 4 * pairs * self.head_size


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: implementation and normalizer, or the rival.
        length: tokens of a sequence.
        forward: seconds of the forward pass, the median of all rounds.
        backward: seconds of forward and backward pass, likewise.
        temporary_bytes: memory that the compiler plans for both; None if unknown.
    """

    name: str
    length: int
    forward: float
    backward: float
    temporary_bytes: int | None


def _implementations() -> list[str]:
    """Names of the implementations that are compiled here, not interpreted."""
    here = jax.default_backend()
    return [name for name, row in IMPLEMENTATIONS.items() if here in (row.compiled_on or (here,))]


def _cases(shape: Shape, normalizers: Sequence[str]) -> dict[str, tuple[Attend, dict[str, Any]]]:
    """Our implementations and JAX's own, each with the parameters whose gradient it computes."""
    cases: dict[str, tuple[Attend, dict[str, Any]]] = {}

    def library(kind: Any, q: jax.Array, k: jax.Array, v: jax.Array, _: object) -> jax.Array:
        return jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation=kind)

    def ours(how: dict[str, Any], q: jax.Array, k: jax.Array, v: jax.Array, params: Any):
        return dot_product_attention(q, k, v, params=params, causal=True, **how)

    for kind in ("xla", "cudnn") if jax.default_backend() == "gpu" else ("xla",):
        if kind != "cudnn" or shape.dtype != "float32":  # cuDNN has no float32
            cases[f"jax.nn {kind}"] = (functools.partial(library, kind), {})
    for implementation in _implementations():
        for name in normalizers:
            row = NORMALIZERS.pick(name)
            learned = {n: jnp.float32(p.value) for n, p in row.parameters.items() if p.learned}
            how = {"implementation": implementation, "normalizer": name}
            cases[f"{implementation} {name}"] = (functools.partial(ours, how), learned)
    if "pallas" in _implementations():
        # Softmax through our own kernel, where `pallas softmax` may be cuDNN's.
        cases["pallas softmax (own)"] = (_own_softmax, {})
    return cases


def _own_softmax(query: jax.Array, key: jax.Array, value: jax.Array, _: object) -> jax.Array:
    call = Call(query, key, value, Visibility(causal=True), "softmax")
    return without_matrix(flash_attention, call)


def _runs(shape: Shape, attend: Attend, params: dict[str, Any]) -> Runs:
    """Compile a case for random arrays."""
    keys = jax.random.split(jax.random.key(0), 3)
    heads = (shape.heads, shape.kv_heads, shape.kv_heads)
    drawn = [
        jax.random.normal(key, (shape.batch, shape.length, count, shape.head_size), shape.dtype)
        for key, count in zip(keys, heads, strict=True)
    ]

    def loss(*arrays: Any) -> jax.Array:
        return jnp.sum(attend(*arrays).astype(jnp.float32))

    forward = jax.jit(attend).lower(*drawn, params).compile()
    both = jax.jit(jax.grad(loss, (0, 1, 2, 3))).lower(*drawn, params).compile()
    memory = both.memory_analysis()
    return Runs(
        lambda: jax.block_until_ready(forward(*drawn, params)),
        lambda: jax.block_until_ready(both(*drawn, params)),
        None if memory is None else memory.temp_size_in_bytes,
    )


def _torch_runs(shape: Shape, normalizers: Sequence[str]) -> dict[str, Runs]:
    """PyTorch's ``scaled_dot_product_attention`` and FlexAttention, where PyTorch is installed.

    FlexAttention runs on a GPU alone, because it has no backward pass elsewhere.  If ``ssa`` is
    among the normalizers, it also runs with SSA's constant parameters in its score function.
    """
    try:
        torch = __import__("torch")
    except ImportError:
        return {}
    on = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    dtype = getattr(torch, shape.dtype)
    arrays = [
        torch.randn(shape.batch, count, shape.length, shape.head_size, device=on, dtype=dtype)
        .repeat_interleave(shape.heads // count, dim=1)
        .requires_grad_()
        for count in (shape.heads, shape.kv_heads, shape.kv_heads)
    ]
    wait = torch.cuda.synchronize if on == "cuda" else lambda: None

    def runs(attend: Callable[..., Any]) -> Runs:
        def forward() -> None:
            with torch.no_grad():
                attend(*arrays)
            wait()

        def both() -> None:
            torch.autograd.grad(attend(*arrays).float().sum(), arrays)
            wait()

        return Runs(forward, both)

    sdpa = functools.partial(torch.nn.functional.scaled_dot_product_attention, is_causal=True)
    found = {"torch sdpa": runs(sdpa)}
    if on == "cuda":
        flex = __import__("torch.nn.attention.flex_attention", fromlist=["flex_attention"])
        size = shape.length
        mask = flex.create_block_mask(lambda b, h, q, k: q >= k, None, None, size, size)
        attend = torch.compile(flex.flex_attention)
        found["torch flex softmax"] = runs(functools.partial(attend, block_mask=mask))
        if any(name.partition(":")[0] == "ssa" for name in normalizers):
            n, b = NORMALIZERS.pick("ssa").defaults.values()

            def ssa(score: Any, batch: Any, head: Any, query: Any, key: Any) -> Any:
                logs = n * torch.log1p(b * torch.abs(score))
                return torch.where(score < 0, -logs, logs)

            found["torch flex ssa"] = runs(
                functools.partial(attend, score_mod=ssa, block_mask=mask)
            )
    return found


def measure(
    shape: Shape, normalizers: Sequence[str], rounds: int, only: str | None = None
) -> list[Case]:
    """Time every case ``rounds`` times in turns, each round in another order.

    Args:
        shape: of the arrays.
        normalizers: names or specifications.
        rounds: how many times each case runs, at least 1.
        only: part of a name; cases without it are left out.

    Raises:
        InputError: there is no such case, or a normalizer is unknown.
    """
    runs = {
        name: _runs(shape, *case)
        for name, case in _cases(shape, normalizers).items()
        if only is None or only in name
    }
    rivals = _torch_runs(shape, normalizers)
    runs |= {name: run for name, run in rivals.items() if only is None or only in name}
    if not runs:
        raise InputError(f"no case has {only!r} in its name")
    passes = [(name, run) for name, both in runs.items() for run in (both.forward, both.both)]
    times: list[list[float]] = [[] for _ in passes]
    for _, run in passes:
        run()
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for place in order.permutation(len(passes)):
            start = time.perf_counter()
            passes[place][1]()
            times[place].append(time.perf_counter() - start)
    medians = [statistics.median(taken) for taken in times]
    return [
        Case(name, shape.length, forward, backward, run.temporary_bytes)
        for (name, run), forward, backward in zip(
            runs.items(), medians[::2], medians[1::2], strict=True
        )
    ]
