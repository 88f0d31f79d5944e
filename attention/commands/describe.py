"""``attn describe``: what a checkpoint consists of."""

from __future__ import annotations

import dataclasses

from attention import transformer
from attention.command_line import Result, command
from attention.options import Hub
from attention.terminal import plain_table


@command
def describe(model: str, *, hub: Hub = Hub()) -> Result:
    """Show the config, the parameters and the size of a checkpoint; no weights are read.

    Args:
        model: local folder, or hub id
        hub: what is taken from the hub
    """
    config = transformer.load_config(model, revision=hub.revision)
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    given = {
        name: value for name, value in dataclasses.asdict(config).items() if value != usual[name]
    }
    counts = transformer.parameter_counts(config)
    total, size = sum(counts.values()), transformer.parameter_bytes(config)
    shown = [[name, f"{count:,}"] for name, count in counts.items()]
    return Result(
        {"config": given, "parts": counts, "parameters": total, "bytes": size},
        plain_table(["config", ""], [[name, str(value)] for name, value in given.items()]),
        "",
        plain_table(["part", "parameters"], [*shown, ["all", f"{total:,}"]], 1),
        f"{size / 2**20:,.1f} MiB as {config.dtype}",
    )
