"""``attn describe``: what a checkpoint consists of."""

from __future__ import annotations

import dataclasses

from attention import explanation, transformer
from attention.command_line import Result, command
from attention.options import Hub
from attention.terminal import plain_table


@command
def describe(model: str, *, hub: Hub = Hub()) -> Result:
    """Show the config, the parameters and the size of a checkpoint; no weights are read.

    Attributes of its config.json that have no part in what is computed are listed apart.

    Args:
        model: local folder, GGUF file, package:NAME, hub id, or "demo", the classifier of attn
            explain
        hub: what is taken from the hub
    """
    place = explanation.DEMO if model == "demo" else model
    config = transformer.load_config(place, revision=hub.revision)
    ignored = transformer.load_ignored(place, revision=hub.revision)
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    given = {
        name: value for name, value in dataclasses.asdict(config).items() if value != usual[name]
    }
    counts = transformer.parameter_counts(config)
    total, size = sum(counts.values()), transformer.parameter_bytes(config)
    shown = [[name, f"{count:,}"] for name, count in counts.items()]
    listed = ", ".join(ignored) or "nothing"
    return Result(
        {
            "config": given,
            "ignored": ignored,
            "parts": counts,
            "parameters": total,
            "bytes": size,
        },
        plain_table(["config", ""], [[name, str(value)] for name, value in given.items()]),
        "",
        plain_table(["part", "parameters"], [*shown, ["all", f"{total:,}"]], 1),
        f"{size / 2**20:,.1f} MiB as {config.dtype}",
        f"\nignored in config.json: {listed}",
    )
