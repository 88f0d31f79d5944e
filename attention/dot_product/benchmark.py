"""``attn bench``: attention by implementation and normalizer, timed in turns in one run."""

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
    fused,
)
from attention.dot_product.masks import Visibility
from attention.errors import InputError
from attention.normalizers import NORMALIZERS

Attend = Callable[..., jax.Array]  # (query, key, value, params)


@dataclasses.dataclass(frozen=True)
class Shape:
    """Self-attention over ``length`` tokens, causal."""

    batch: int
    length: int
    heads: int
    kv_heads: int
    head_size: int
    dtype: str

    def __post_init__(self) -> None:
        sizes = (self.batch, self.length, self.heads, self.kv_heads, self.head_size)
        if min(sizes) < 1 or self.heads % self.kv_heads:
            raise InputError(
                "batch, lengths, heads and head size must be positive, and key/value heads "
                f"({self.kv_heads}) divide query heads ({self.heads})"
            )

    @property
    def flops(self) -> float:
        """Operations of the two products of the forward pass, over the keys a query may see."""
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


def _implementations() -> list[str]:
    """Names of the implementations that are compiled here, not interpreted."""
    here = jax.default_backend()
    return [name for name, row in IMPLEMENTATIONS.items() if here in (row.compiled_on or (here,))]


def _ours(implementation: str, normalizer: str) -> Attend:
    def attend(query: jax.Array, key: jax.Array, value: jax.Array, params: Any) -> jax.Array:
        return dot_product_attention(
            query,
            key,
            value,
            normalizer=normalizer,
            params=params,
            causal=True,
            implementation=implementation,
        )

    return attend


def _cases(shape: Shape, normalizers: Sequence[str]) -> dict[str, tuple[Attend, dict[str, Any]]]:
    """Our implementations and JAX's own, each with the parameters whose gradient it computes."""
    cases: dict[str, tuple[Attend, dict[str, Any]]] = {}
    kinds: list[Any] = ["xla", "cudnn"] if jax.default_backend() == "gpu" else ["xla"]
    for kind in kinds:
        if kind == "cudnn" and shape.dtype == "float32":
            continue  # it has none
        library: Any = functools.partial(
            jax.nn.dot_product_attention, is_causal=True, implementation=kind
        )
        cases[f"jax.nn {kind}"] = (lambda q, k, v, _, library=library: library(q, k, v), {})
    for how in _implementations():
        for name in normalizers:
            row = NORMALIZERS.pick(name)
            learned = {n: jnp.float32(p.value) for n, p in row.parameters.items() if p.learned}
            cases[f"{how} {name}"] = (_ours(how, name), learned)
    if "pallas" in _implementations():
        # Softmax through our own kernel, where `pallas softmax` may be cuDNN's.
        cases["pallas softmax (own)"] = (_own_softmax, {})
    return cases


def _own_softmax(query: jax.Array, key: jax.Array, value: jax.Array, params: Any) -> jax.Array:
    del params
    return fused(flash_attention, Call(query, key, value, Visibility(causal=True), "softmax"))


def _runs(
    shape: Shape, attend: Attend, params: dict[str, Any]
) -> tuple[Callable[[], Any], Callable[[], Any], int | None]:
    """Compiled forward pass, forward and backward pass, and the latter's temporaries."""
    keys = jax.random.split(jax.random.key(0), 3)
    heads = (shape.heads, shape.kv_heads, shape.kv_heads)
    drawn: list[Any] = [
        jax.random.normal(key, (shape.batch, shape.length, count, shape.head_size), shape.dtype)
        for key, count in zip(keys, heads, strict=True)
    ]

    arrays = [*drawn, params]

    def loss(*arrays: Any) -> jax.Array:
        return jnp.sum(attend(*arrays).astype(jnp.float32))

    forward = jax.jit(attend).lower(*arrays).compile()
    both = jax.jit(jax.grad(loss, (0, 1, 2, 3))).lower(*arrays).compile()
    memory = both.memory_analysis()
    return (
        lambda: jax.block_until_ready(forward(*arrays)),
        lambda: jax.block_until_ready(both(*arrays)),
        None if memory is None else memory.temp_size_in_bytes,
    )


def _torch_runs(
    shape: Shape, normalizers: Sequence[str]
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any], None]]:
    """PyTorch's ``scaled_dot_product_attention``, where it is installed, and FlexAttention.

    FlexAttention on a GPU alone, with SSA's constant parameters as its score function if ``ssa`` is
    among the normalizers: that is compiled for other processors without a backward pass.
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

    def runs(attend: Callable[..., Any]) -> tuple[Callable[[], Any], Callable[[], Any], None]:
        def forward() -> None:
            with torch.no_grad():
                attend(*arrays)
            wait()

        def both() -> None:
            torch.autograd.grad(attend(*arrays).float().sum(), arrays)
            wait()

        return forward, both, None

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
        rounds: times each is run.
        only: part of a name; cases without it are left out.

    Raises:
        InputError: no rounds, no case, or an unknown normalizer.
    """
    if rounds < 1:
        raise InputError(f"there must be at least 1 round, not {rounds}")
    runs: dict[str, Any] = {
        name: _runs(shape, *case)
        for name, case in _cases(shape, normalizers).items()
        if only is None or only in name
    }
    rivals = _torch_runs(shape, normalizers)
    runs |= {name: run for name, run in rivals.items() if only is None or only in name}
    if not runs:
        raise InputError(f"no case has {only!r} in its name")
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
