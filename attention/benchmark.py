"""``attn bench``: attention by implementation and normalizer, timed in turns in one run."""

from __future__ import annotations

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from attention.dot_product import Implementation, dot_product_attention
from attention.errors import InputError

HOW: tuple[Implementation, ...] = get_args(Implementation)


@dataclasses.dataclass(frozen=True)
class Shape:
    """Self-attention over ``length`` tokens, causal."""

    batch: int
    length: int
    heads: int
    kv_heads: int
    head_size: int
    dtype: str

    @property
    def flops(self) -> float:
        """Of the two products of the forward pass, over the keys that a query may see."""
        pairs = self.batch * self.heads * self.length * (self.length + 1) / 2
        return 4 * pairs * self.head_size


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table; times are medians in seconds, memory is what the compiler plans."""

    name: str
    length: int
    forward: float
    backward: float
    temporary_bytes: int | None


def _ours(implementation: Implementation, normalizer: str) -> Callable[..., jax.Array]:
    return functools.partial(
        dot_product_attention, normalizer=normalizer, causal=True, implementation=implementation
    )


def _runs(
    shape: Shape, attend: Callable[..., jax.Array]
) -> tuple[Callable[[], Any], Callable[[], Any], int | None]:
    """Compiled forward pass, forward and backward pass, and the latter's temporaries."""
    keys = jax.random.split(jax.random.key(0), 3)
    heads = (shape.heads, shape.kv_heads, shape.kv_heads)
    arrays = [
        jax.random.normal(key, (shape.batch, shape.length, count, shape.head_size), shape.dtype)
        for key, count in zip(keys, heads, strict=True)
    ]

    def loss(*arrays: jax.Array) -> jax.Array:
        return jnp.sum(attend(*arrays).astype(jnp.float32))

    forward = jax.jit(attend).lower(*arrays).compile()
    both = jax.jit(jax.grad(loss, (0, 1, 2))).lower(*arrays).compile()
    memory = both.memory_analysis()
    return (
        lambda: jax.block_until_ready(forward(*arrays)),
        lambda: jax.block_until_ready(both(*arrays)),
        None if memory is None else memory.temp_size_in_bytes,
    )


def _torch_runs(shape: Shape) -> tuple[Callable[[], Any], Callable[[], Any], None] | None:
    """PyTorch's ``scaled_dot_product_attention`` on the same arrays, where it is installed."""
    try:
        torch = __import__("torch")
    except ImportError:
        return None
    on = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    dtype = getattr(torch, shape.dtype)
    arrays = [
        torch.randn(shape.batch, count, shape.length, shape.head_size, device=on, dtype=dtype)
        .repeat_interleave(shape.heads // count, dim=1)
        .requires_grad_()
        for count in (shape.heads, shape.kv_heads, shape.kv_heads)
    ]
    attend = torch.nn.functional.scaled_dot_product_attention
    wait = torch.cuda.synchronize if on == "cuda" else lambda: None

    def forward() -> None:
        with torch.no_grad():
            attend(*arrays, is_causal=True)
        wait()

    def both() -> None:
        torch.autograd.grad(attend(*arrays, is_causal=True).float().sum(), arrays)
        wait()

    return forward, both, None


def measure(shape: Shape, normalizers: Sequence[str], rounds: int) -> list[Case]:
    """Time every case ``rounds`` times in turns, each round in another order."""
    if rounds < 1:
        raise InputError(f"there must be at least 1 round, not {rounds}")
    rivals = {
        "jax.nn": lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True),
        **{f"{how} {name}": _ours(how, name) for how in HOW for name in normalizers},
    }
    runs: dict[str, Any] = {name: _runs(shape, attend) for name, attend in rivals.items()}
    if (torch := _torch_runs(shape)) is not None:
        runs["torch sdpa"] = torch
    times: dict[tuple[str, int], list[float]] = {(name, i): [] for name in runs for i in (0, 1)}
    for function in (run[i] for run in runs.values() for i in (0, 1)):
        function()
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for place in order.permutation(len(times)):
            name, i = list(times)[place]
            start = time.perf_counter()
            runs[name][i]()
            times[name, i].append(time.perf_counter() - start)
    return [
        Case(
            name,
            shape.length,
            statistics.median(times[name, 0]),
            statistics.median(times[name, 1]),
            run[2],
        )
        for name, run in runs.items()
    ]
