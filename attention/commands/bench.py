"""``attn bench``: time attention."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from attention import dot_product
from attention.command_line import Between, Commas, Result, command
from attention.options import Display
from attention.terminal import Terminal, plain_table

COLUMNS = ["", "tokens", "forward", "+ backward", "TFLOP/s", "memory"]


@command
def bench(
    *,
    lengths: Annotated[tuple[int, ...], Commas(), Between(ge=1)] = (1024, 2048, 4096),
    normalizers: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ("softmax", "ssa"),
    batch: Annotated[int, Between(ge=1)] = 1,
    heads: Annotated[int, Between(ge=1)] = 8,
    kv_heads: Annotated[int, Between(ge=1)] = 8,
    head_size: Annotated[int, Between(ge=1)] = 64,
    dtype: Literal["float32", "bfloat16"] = "float32",
    rounds: Annotated[int, Between(ge=1)] = 5,
    only: str | None = None,
    display: Display = Display(),
) -> Result:
    """Time causal attention: each implementation and normalizer, and its rivals, in turns.

    Memory is what the compiler plans for the temporaries of the forward and the backward pass.

    Args:
        lengths: tokens of each sequence
        normalizers: names or specifications
        batch: number of sequences
        heads: number of query heads
        kv_heads: number of key/value heads
        head_size: size of each head
        dtype: type of queries, keys and values
        rounds: how often each case is run; the table shows medians
        only: leave out the cases without this text in their name
        display: what is shown

    Raises:
        InputError: the heads do not divide, no case is left, or a normalizer is unknown.
    """
    import jax

    setting = {"heads": heads, "kv_heads": kv_heads, "head_size": head_size, "batch": batch}
    shapes = [
        dot_product.Shape(batch, length, heads, kv_heads, head_size, dtype) for length in lengths
    ]
    found, shown = [], []
    with Terminal(display.quiet).steps("lengths", len(shapes)) as advance:
        for shape in shapes:
            for case in dot_product.measure(shape, normalizers, rounds, only):
                rate = shape.flops / case.forward / 1e12
                both = 3.5 * shape.flops / case.backward / 1e12  # two products forward, five back
                rates = {"tflops_forward": rate, "tflops_backward": both}
                found.append(dataclasses.asdict(case) | rates)
                memory = case.temporary_bytes
                shown.append(
                    [
                        case.name, str(shape.length), f"{1e3 * case.forward:.2f} ms",
                        f"{1e3 * case.backward:.2f} ms", f"{rate:.3f}",
                        "" if memory is None else f"{memory / 2**20:.0f} MiB",
                    ]
                )  # fmt: skip
            advance()
    device = jax.devices()[0].device_kind
    values = {"device": device, "dtype": dtype, **setting, "cases": found}
    return Result(values, plain_table(COLUMNS, shown, 1))
