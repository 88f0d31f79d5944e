"""``attn explain``: a model and data in, tables, figures and a report out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import track

from attention.errors import InputError
from attention.explanation import (
    Goal,
    Inputs,
    Probe,
    explain_example,
    train_adversary,
    write_report,
)
from attention.language import Dataset, Example, load, load_tokenizer, read, with_labels_of
from attention.transformer import Transformer, load_pretrained
from attention.transformer.huggingface import checkpoint_folder

DEMO = Path(__file__).parents[1] / "explanation" / "assets" / "demo"
BUCKET = 16  # tokens; lengths are padded to a multiple, so that few programs are compiled
POOL = 512  # examples that the adversary is trained on


def explain(
    model: str,
    data: str,
    out: Path,
    *,
    layers: str = "all",
    heads: str = "all",
    limit: int = 50,
    show: int = 3,
    split: str = "test",
    data_folder: Path = Path("data"),
    cut: bool = False,
    x64: bool = False,
    untrained: bool = False,
    resume: bool = False,
    seed: int = 0,
    adversary_steps: int = 150,
    adversary_weight: float = 0.5,
    quiet: bool = False,
) -> dict[str, Any]:
    """Explain ``limit`` decisions of a classifier; see ``attention.cli`` for the arguments."""
    settings = {
        "model": model, "data": data, "split": split, "layers": layers, "heads": heads,
        "limit": limit, "show": show, "cut": cut, "x64": x64, "untrained": untrained, "seed": seed,
        "adversary_steps": adversary_steps, "adversary_weight": adversary_weight,
    }  # fmt: skip
    folder = DEMO if model == "demo" else checkpoint_folder(model)
    dataset = load(data, split, data_folder)
    probe, params = _classifier(folder, model, dataset.kind, x64, seed if untrained else None)
    dataset = with_labels_of(folder, dataset)
    config = probe.config
    chosen = _chosen(layers, config.num_hidden_layers)[:, None] & _chosen(
        heads, config.num_attention_heads
    )
    tokenizer = load_tokenizer(folder)
    picked = _picked(dataset, limit, seed)
    inputs = [_inputs(tokenizer, e, w, config.max_position_embeddings, cut) for e, w in picked]
    probe.attention(inputs[0])  # what is wrong with the model is said before anything is written
    pool = _picked(_training(data, split, data_folder), POOL, seed + 1) if adversary_steps else []
    out = Path(out)
    records = _open(out, settings, resume)
    adversary = None
    if pool and len(records) < len(picked):
        longest = max(len(given.tokens) for given in inputs)
        known = [_inputs(tokenizer, e, w, longest, True, longest) for e, w in pool]
        goal = Goal(adversary_weight, adversary_steps, seed)
        other = train_adversary(config, params, known, chosen, goal, out / "adversary", quiet=quiet)
        adversary = Probe(config, other, x64)

    def record(i: int) -> dict[str, Any]:
        example, word = picked[i]
        label = example.labels[0 if word is None else word]
        real = inputs[i].tokens[inputs[i].where].tolist()
        found = explain_example(
            probe, inputs[i], label, chosen, seed + 1000 * i, adversary, show=i < show
        )
        start = {"example": i, "tokens": tokenizer.convert_ids_to_tokens(real)}
        return {**start, "read": inputs[i].read, **found}

    _go_on(out, records, len(picked), record, quiet)
    _tables(out, records)
    summary = write_report(out, settings, dataset.labels, records)
    if not quiet:
        for line in summary["lines"]:
            print(line)
    return summary


def _go_on(
    out: Path,
    records: list[dict[str, Any]],
    count: int,
    record: Callable[[int], dict[str, Any]],
    quiet: bool,
) -> None:
    """Make the records that are missing, each written as soon as it is there."""
    console = Console(stderr=True, quiet=quiet)
    with (out / "examples.jsonl").open("a", encoding="utf-8") as file:
        rest = range(len(records), count)
        for i in track(rest, "examples", console=console, disable=not console.is_terminal):
            records.append(record(i))
            file.write(json.dumps(records[-1], ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            if not quiet and not console.is_terminal:
                console.print(f"example {i + 1}/{count}", highlight=False)


def _classifier(
    folder: Path, model: str, kind: str, x64: bool, fresh: int | None
) -> tuple[Probe, Any]:
    """The model, for such labels; with random weights by the seed ``fresh``, if given."""
    config, params = load_pretrained(folder)
    probe = Probe(config, params, x64)
    if config.head != kind:
        raise InputError(f"{model} has the head {config.head}, but the data have {kind} labels")
    if fresh is not None:
        tokens = np.zeros((1, 3), np.int32)
        params = Transformer(config).init(jax.random.key(fresh), tokens)["params"]
        return Probe(config, params, x64), params
    if not all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(params)):
        raise InputError(f"{model}: parameters that are not finite (NaN or infinite)")
    return probe, params


def _chosen(text: str, count: int) -> np.ndarray:
    """``all`` or ``0,2`` → which."""
    try:
        numbers = range(count) if text == "all" else [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f"layers and heads are 'all' or numbers between commas, not {text!r}"
        ) from None
    if not all(0 <= number < count for number in numbers):
        raise InputError(f"{text}: there are 0 to {count - 1}")
    return np.isin(np.arange(count), list(numbers))


def _picked(dataset: Dataset, limit: int, seed: int) -> list[tuple[Example, int | None]]:
    """``limit`` examples, drawn; of tagged ones a word, of a rarer label if there is one."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(dataset.examples))[:limit]
    picked = []
    for i in order:
        example = dataset.examples[i]
        if dataset.kind == "sequence":
            picked.append((example, None))
            continue
        counts = np.bincount(example.labels, minlength=len(dataset.labels))
        rarer = [j for j, label in enumerate(example.labels) if label != counts.argmax()]
        picked.append((example, int(draw.choice(rarer or range(len(example.words))))))
    if not picked:
        raise InputError(f"{dataset.name}: no examples")
    return picked


def _training(data: str, split: str, folder: Path) -> Dataset:
    """What the adversary learns from: the training split, or the other one if that is explained."""
    return load(data, "validation" if split == "train" else "train", folder)


def _inputs(
    tokenizer, example: Example, word: int | None, longest: int, cut: bool, least: int = 0
) -> Inputs:
    tokens, types, words = read(tokenizer, example, longest, cut=cut)
    length = max(least, min(-len(tokens) % BUCKET + len(tokens), longest))
    fill = (0, length - len(tokens))
    place = None if word is None else words[min(word, len(words) - 1)]
    where = np.arange(length) < len(tokens)
    return Inputs(np.pad(tokens, fill), where, np.pad(types, fill), place)


def _open(out: Path, settings: dict[str, Any], resume: bool) -> list[dict[str, Any]]:
    """The records of a run that was begun, or none; a line that a kill cut off is dropped."""
    mark, lines = out / "run.json", out / "examples.jsonl"
    if out.exists() and any(out.iterdir()):
        if not mark.exists():
            raise InputError(f"{out} is not empty and holds no run: choose a new --out")
        if not resume:
            raise InputError(f"{out} holds a run: go on with --resume or choose a new --out")
        old = json.loads(mark.read_text(encoding="utf-8"))
        changed = [name for name in settings if old.get(name) != settings[name]]
        if changed:
            raise InputError(f"{out} holds a run with other settings: {', '.join(changed)}")
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    data = lines.read_bytes() if lines.exists() else b""
    data = data[: data.rfind(b"\n") + 1]
    lines.write_bytes(data)
    return [json.loads(line) for line in data.splitlines()]


def _tables(out: Path, records: list[dict[str, Any]]) -> None:
    for name, key in (
        ("metrics", "heads"),
        ("interventions", "interventions"),
        ("curves", "curves"),
    ):
        rows = [{"example": r["example"], **row} for r in records for row in r[key]]
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
