"""``attn …``: the transformer and what is inside it."""

from __future__ import annotations

import dataclasses
import math
from json import dumps as dump
from pathlib import Path
from typing import Any, Literal

from attention.errors import InputError
from attention.old_command_line import run


def describe(*, model: str, revision: str | None = None) -> None:
    """Config, parameters and bytes of a checkpoint, part by part; no weights are read.

    Args:
        model: local folder, or hub id
        revision: branch, tag or commit on the hub
    """
    import jax
    import numpy as np

    from attention.transformer import TransformerConfig, abstract_params, half_of
    from attention.transformer.huggingface import load_config

    config = load_config(model, revision=revision)
    usual = {field.name: field.default for field in dataclasses.fields(TransformerConfig)}
    for name, value in dataclasses.asdict(config).items():
        if value != usual[name]:
            print(f"{name:26}{value}")
    print()
    params = abstract_params(config)
    layers = params["layers"]
    parts = {name: tree for name, tree in params.items() if name != "layers"}
    parts |= {f"layers/{name}": tree for name, tree in layers.items()}
    total = 0
    for name, tree in parts.items():
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        if name.startswith("layers/"):  # stacked, even where a layer lacks it
            having = sum(has[half_of(name.split("/")[1])] for has in config.halves)
            count = count * having // config.num_hidden_layers
        total += count
        print(f"{name:26}{count:>16,}")
    size = np.dtype(config.dtype).itemsize * total
    print(f"{'parameters':26}{total:>16,}   {size / 2**30:.2f} GiB as {config.dtype}")


def bench(
    *,
    lengths: str = "1024,2048,4096",
    normalizers: str = "softmax,ssa",
    batch: int = 1,
    heads: int = 8,
    kv_heads: int = 8,
    head_size: int = 64,
    dtype: Literal["float32", "bfloat16"] = "float32",
    rounds: int = 5,
    only: str | None = None,
    json: bool = False,
) -> None:
    """Time causal attention: each implementation and normalizer, and its rivals, in one run.

    Args:
        lengths: tokens, between commas
        normalizers: names or specifications, between commas
        batch: sequences
        heads: query heads
        kv_heads: key/value heads
        head_size: of each head
        dtype: of queries, keys and values
        rounds: times each is run; medians count
        only: leave out cases without this in their name
        json: end with one line of JSON
    """
    import jax

    from attention.dot_product import Shape, measure

    try:
        counts = [int(length) for length in lengths.split(",")]
    except ValueError:
        raise InputError(f"lengths are numbers between commas, not {lengths!r}") from None
    found = []
    shapes = [Shape(batch, count, heads, kv_heads, head_size, dtype) for count in counts]
    for shape in shapes:
        cases = measure(shape, normalizers.split(","), rounds, only)
        if not found:  # not before what may be refused
            print(
                f"{'':24}{'tokens':>8}{'forward':>11}{'+ backward':>12}{'TFLOP/s':>9}{'memory':>10}"
            )
        for case in cases:
            rate = shape.flops / case.forward / 1e12
            both = 3.5 * shape.flops / case.backward / 1e12  # two products forward, five back
            row = {"tflops_forward": rate, "tflops_backward": both}
            found.append(dataclasses.asdict(case) | row)
            memory = case.temporary_bytes
            print(
                f"{case.name:24}{shape.length:>8}"
                f"{1e3 * case.forward:>8.2f} ms{1e3 * case.backward:>9.2f} ms"
                f"{rate:>9.3f}" + ("" if memory is None else f"{memory / 2**20:>6.0f} MiB")
            )
    if json:
        device = jax.devices()[0]
        setting = {"heads": heads, "kv_heads": kv_heads, "head_size": head_size, "batch": batch}
        print(dump({"device": device.device_kind, "dtype": dtype, **setting, "cases": found}))


def convert(
    *,
    model: str,
    text: Path,
    out: Path,
    normalizer: str = "ssa:learn=n+b",
    largest: float = 64.0,
    tokens: int = 512,
    length: int = 128,
) -> None:
    """Give a softmax model another normalizer, started closest to softmax on its own scores.

    Args:
        model: local folder, or hub id
        text: a text file that the model is made for
        out: new folder, a checkpoint that every command opens
        normalizer: specification with learned parameters
        largest: bound of every parameter: larger is closer to softmax
        tokens: of the text, that are looked at
        length: of the pieces that the text is cut into
    """
    import numpy as np
    from tokenizers import Tokenizer

    from attention.transformer import convert as converted
    from attention.transformer import load_pretrained, save_pretrained
    from attention.transformer.huggingface import checkpoint_folder

    if min(tokens, length) < 2 or tokens < length:
        raise InputError("tokens and length must be at least 2, and tokens at least length")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder")
    folder = checkpoint_folder(model, None)
    try:
        words = text.read_text(encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise InputError(f"{text} or the tokenizer of {model} cannot be read: {error}") from None
    ids = tokenizer.encode(words[: 16 * tokens]).ids[: tokens // length * length]
    if len(ids) < length:
        raise InputError(f"{text}: {len(ids)} tokens are fewer than one piece of {length}")
    ids = np.reshape(ids[: len(ids) // length * length], (-1, length))
    config, params = load_pretrained(folder)
    config, params, drift = converted(config, params, normalizer, ids, largest=largest)
    save_pretrained(out, config, params, source=folder)
    _print_conversion(config, params, drift, ids.size)
    print(f"\nwritten to {out}")


def _print_conversion(config: Any, params: Any, drift: Any, tokens: int) -> None:
    from attention.training import learned_values

    values = learned_values(config)(params)
    names = list(dict.fromkeys(key.split("/")[1] for key in values))
    print(f"{'layer':>5}{'|score| to':>12}{'KL, nats':>12}" + "".join(f"{n:>11}" for n in names))
    for i, (most, divergence) in enumerate(zip(drift.score_range, drift.divergence, strict=True)):
        print(f"{i:>5}{most:>12.2f}{divergence:>12.2e}", end="")
        for name in names:
            key = f"normalizer/{name}"
            own = [v for k, v in values.items() if k == key or f"{k}/".startswith(f"{key}/{i}/")]
            print(f"{sum(float(v) for v in own) / len(own):>11.4g}", end="")
        print()
    print(
        f"logits over {tokens} tokens change by {drift.logit_mean:.2g} on average, "
        f"{drift.logit_max:.2g} at most\n(their standard deviation is {drift.logit_std:.2g}); "
        f"the most likely token stays at {100 * drift.agreement:.1f} %"
    )


def plot(*, run: Path, out: Path) -> None:
    """Draw what a run's normalizer learned, layer by layer over training.

    Args:
        run: directory of a training run, or its metrics.jsonl
        out: picture: .svg, .png or .pdf
    """
    from attention.training import learned

    learned.plot(run, out)
    print(f"written to {out}")


def explain(
    *,
    model: str,
    data: str,
    out: Path,
    layers: str = "all",
    heads: str = "all",
    limit: int = 50,
    show: int = 3,
    split: Literal["train", "validation", "test"] = "test",
    data_folder: Path = Path("data"),
    cut: bool = False,
    x64: bool = False,
    untrained: bool = False,
    resume: bool = False,
    seed: int = 0,
    adversary_steps: int = 150,
    adversary_weight: float = 0.5,
) -> None:
    """What of attention reaches the output, and whether it explains a classifier's decisions.

    Args:
        model: folder or hub id of an encoder or decoder that classifies, or "demo"
        data: snli, ner, pos, reviews, demo, or a JSONL file
        out: directory of the results; must be new unless --resume
        layers: whose attention is replaced: all, or 0-based numbers between commas
        heads: the same of heads
        limit: decisions, drawn from the split
        show: examples that the report shows
        split: of the data
        data_folder: where the named sets are
        cut: cut texts that are longer than the model
        x64: run the model in float64
        untrained: the control: the same model with random weights
        resume: go on with the run in --out
        seed: of all that is drawn
        adversary_steps: of the trained adversary; 0 leaves it out
        adversary_weight: of the distance of its attention, against that of its predictions
    """
    from attention.commands.explain import explain

    explain(
        model, data, out, layers=layers, heads=heads, limit=limit, show=show, split=split,
        data_folder=data_folder, cut=cut, x64=x64, untrained=untrained, resume=resume, seed=seed,
        adversary_steps=adversary_steps, adversary_weight=adversary_weight,
    )  # fmt: skip
    print(f"report: {out / 'report.html'}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    commands = {
        "describe": describe,
        "bench": bench,
        "convert": convert,
        "plot": plot,
        "explain": explain,
    }
    run("attn", commands, "What is in this model, and how fast is attention?", arguments)
