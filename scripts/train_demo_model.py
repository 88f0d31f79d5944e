"""Train the demo model, ``tale_jax/assets/demo``, on five tasks (``tale_jax.tasks.demo_tasks``).

Command: ``python scripts/train_demo_model.py --directory runs/demo-model --out runs/demo-model-hf``
Cost: about 20 minutes on 2 CPU cores (2 to 4 steps a second, 1,900 steps).
Results (validation / test accuracy): boolean 74.8 / 75.1 %, arithmetic 94.0 / 93.9 %, facts 72.4
/ 69.9 %, quantifiers 81.2 / 81.2 %, reverse 94.8 / 94.2 %.  Aimed at: 60 to 97 %.

A Llama of 12 layers of size 72 (0.83 M parameters), float32, stored as float16.  Each row of a
batch is one example; every step draws new ones, so that training never sees one twice but by
chance.  Killed at any moment, the same command goes on where the run was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from demo_model.batches import Data
from demo_model.tokenizer import END, build_tokenizer, save_tokenizer
from jaxtyping import Array, Float, Int
from optax.contrib import MuonDimensionNumbers, muon
from transformers import PreTrainedTokenizerBase

from attention.command_line import run_script
from attention.errors import InputError
from attention.files import check_folder
from attention.training import fit
from attention.transformer import (
    Transformer,
    TransformerConfig,
    save_pretrained,
    unstack_layers,
)
from tale_jax.tasks import (
    DEMO_TASKS,
    SIZES,
    Example,
    completed,
    demo_examples,
    encode_choices,
    worked,
)

README = """# Demo model of tale-jax

A small Llama made by `scripts/train_demo_model.py` from text that `tale_jax.tasks.demo_tasks`
generates. Apache-2.0, as the project. Answers end with `</s>`.

| task | validation (500) | test (1000) |
|---|---|---|
{table}
"""
RESTART = 1000  # arithmetic, the last to be learnt, needs a higher rate once more


@dataclasses.dataclass(frozen=True)
class Options:
    """Training of the demo model.

    Attributes:
        directory: the run: checkpoints, metrics, compiled programs; resumed if it exists.
        out: the checkpoint in Hugging Face's layout; must not exist.
        steps: updates in all.
        evaluate_every: steps between evaluations and checkpoints.
        learning_rate: of Muon, at its peak; that of AdamW is a seventh.
        drop_rate: probability that a step leaves out a layer.
        seed: of the parameters and the data.
    """

    directory: Path
    out: Path
    steps: int = 1900
    evaluate_every: int = 300
    learning_rate: float = 0.02
    drop_rate: float = 0.0
    seed: int = 0


def demo_config(vocab_size: int) -> TransformerConfig:
    """The demo model."""
    return TransformerConfig(
        vocab_size=vocab_size,
        hidden_size=72,
        num_hidden_layers=12,
        num_attention_heads=4,
        intermediate_size=208,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.05,
        matmul_precision="default",
    )


def log_probabilities(
    config: TransformerConfig, params: Any, tokens_BT: Int[Array, "B T"]
) -> tuple[Float[Array, "B T-1"], Int[Array, "B T-1"]]:
    """Log-probability of each token but the first, and the token that was most probable there."""
    logits_BTV = jnp.asarray(Transformer(config).apply({"params": params}, tokens_BT[:, :-1]))
    scores_BTV = jax.nn.log_softmax(logits_BTV)
    chosen_BT = jnp.take_along_axis(scores_BTV, tokens_BT[:, 1:, None], axis=-1)[..., 0]
    return chosen_BT, logits_BTV.argmax(-1)


def loss(config: TransformerConfig, drop_rate: float, params: Any, batch: Any, key: Any) -> Any:
    """Weighted sum of negative log-probabilities, and the sum of weights."""
    if drop_rate:  # a layer whose weights are zero adds nothing: it is left out
        keep_L = jax.random.bernoulli(key, 1 - drop_rate, (config.num_hidden_layers,))
        leave_out = lambda x: x * keep_L.reshape(-1, *(1,) * (x.ndim - 1))  # noqa: E731
        params = {**params, "layers": jax.tree.map(leave_out, params["layers"])}
    total, weight = 0.0, 0.0
    for rows in batch:
        chosen_BT, _ = log_probabilities(config, params, rows["tokens"])
        total -= jnp.sum(chosen_BT * rows["weights"][:, 1:])
        weight += jnp.sum(rows["weights"][:, 1:])
    return total, weight


def make_optimizer(config: TransformerConfig, options: Options) -> optax.GradientTransformation:
    """Muon for the matrices of the layers, AdamW for all else.

    With AdamW alone, ``facts`` was still at chance after 2,500 steps; with Muon it is learnt in a
    few hundred.
    """

    def schedule(peak: float) -> optax.Schedule:
        first = optax.warmup_cosine_decay_schedule(0.0, peak, 200, 1600, peak / 50)
        second = optax.cosine_decay_schedule(0.75 * peak, options.steps - RESTART, 1 / 40)
        return optax.join_schedules([first, second], [RESTART])

    def dimensions(path: Any, x: Any) -> MuonDimensionNumbers | None:
        if x.ndim < 2 or path[0].key != "layers":
            return None
        split = 1 if x.shape[0] == config.hidden_size else x.ndim - 1  # inputs | outputs
        return MuonDimensionNumbers(tuple(range(split)), tuple(range(split, x.ndim)))

    return muon(
        schedule(options.learning_rate),
        weight_decay=0.05,
        adam_b2=0.98,
        adam_weight_decay=0.05,
        adam_learning_rate=schedule(options.learning_rate / 7),
        muon_weight_dimension_numbers=functools.partial(jax.tree.map_with_path, dimensions),
    )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Accuracy on a split of each task: best choice, or every generated token right."""

    config: TransformerConfig
    tokenizer: PreTrainedTokenizerBase

    def __call__(self, params: Any, split: Any) -> dict[str, float]:
        """Accuracy by task."""
        return {
            name: self._accuracy(params, demo_examples(name, split, SIZES[split]))
            for name in DEMO_TASKS
        }

    @functools.cached_property
    def _scores(self) -> Any:
        return jax.jit(functools.partial(log_probabilities, self.config))

    def _accuracy(self, params: Any, asked: Sequence[Example]) -> float:
        # A generated answer is scored as the one choice: greedy decoding writes it (and stops)
        # if and only if each of its tokens is the most probable one after those before it.
        generated = asked[0].choices is None
        if generated:
            asked = [dataclasses.replace(e, choices=(f"{e.answer}{END}",)) for e in asked]
        rows = [choice for choices in encode_choices(self.tokenizer, asked) for choice in choices]
        tokens = np.zeros((len(rows), max(len(row.tokens) for row in rows)), np.int32)
        answer = np.zeros(tokens.shape, bool)
        for i, row in enumerate(rows):
            tokens[i, : len(row.tokens)] = row.tokens
            answer[i, len(row.tokens) - row.num_choice_tokens : len(row.tokens)] = True
        chosen, best = jax.device_get(self._scores(params, tokens))
        if generated:
            return float(np.mean(((best == tokens[:, 1:]) | ~answer[:, 1:]).all(axis=1)))
        totals = iter((chosen * answer[:, 1:]).sum(axis=1))
        picks = [int(np.argmax([next(totals) for _ in e.choices or ()])) for e in asked]
        return float(np.mean([p == e.answer for p, e in zip(picks, asked, strict=True)]))


def train(options: Options) -> None:
    """Train, evaluate as it goes, and write the checkpoint.

    Raises:
        InputError: an option is out of range, or the checkpoint is there already.
    """
    if min(options.steps, options.evaluate_every) < 1 or not 0 <= options.drop_rate < 1:
        raise InputError("steps and evaluate-every are positive, drop-rate is from 0 to below 1")
    if options.steps <= RESTART:
        raise InputError(f"steps must be more than {RESTART}, where the rate rises once more")
    check_folder(options.out, empty=True)
    programs = (options.directory / "programs").resolve()
    jax.config.update("jax_compilation_cache_dir", str(programs))
    texts = [
        completed(worked(name, "train", i).example) for name in DEMO_TASKS for i in range(2000)
    ]
    tokenizer = save_tokenizer(build_tokenizer(texts), options.directory / "tokenizer")
    config = demo_config(len(tokenizer))
    key = jax.random.key(options.seed)
    # Unstacked layers train 1.4 times as fast on a CPU.
    params = unstack_layers(Transformer(config).init(key, jnp.zeros((1, 2), jnp.int32))["params"])
    evaluation = Evaluation(config, tokenizer)
    every = options.evaluate_every
    for end in [*range(every, options.steps, every), options.steps]:
        if end < _steps_done(options.directory):
            continue
        params = fit(
            functools.partial(loss, config, options.drop_rate),
            params,
            make_optimizer(config, options),
            Data(tokenizer, options.seed),
            steps=end,
            key=key,
            clip=1.0,
            directory=options.directory,
            save_every=every,
            log_every=50,
        ).params
        print(f"validation after {end} steps: {_shown(evaluation(params, 'validation'))}")
    _save(options.out, config, params, options.directory / "tokenizer", evaluation)


def _steps_done(directory: Path) -> int:
    folder = directory / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def _shown(accuracies: dict[str, float]) -> str:
    return ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in accuracies.items())


def _save(
    out: Path,
    config: TransformerConfig,
    params: Any,
    source: Path,
    evaluation: Evaluation,
) -> None:
    """Write the checkpoint; its README has the accuracies of the float16 that is stored."""
    stored = jax.tree.map(lambda x: x.astype(jnp.float16).astype(jnp.float32), params)
    rows = zip(
        *(evaluation(stored, split).items() for split in ("validation", "test")), strict=True
    )
    table = "\n".join(f"| {name} | {v:.1%} | {t:.1%} |" for (name, v), (_, t) in rows)
    readme = README.format(table=table)
    save_pretrained(out, config, params, source=source, readme=readme, dtype="float16")
    print(readme)


def main(options: Options) -> None:
    """Train the demo model, or go on with it."""
    train(options)


if __name__ == "__main__":
    run_script(main)
