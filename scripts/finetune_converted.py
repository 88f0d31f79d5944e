"""A pretrained softmax model converted to another normalizer, then fine-tuned, beside itself.

    python scripts/finetune_converted.py --out runs/converted            # the bundled demo model
    python scripts/finetune_converted.py --model FOLDER --text FILE --out runs/converted

The model and its converted copy go on with the same batches of the same text.  Printed: the loss on
held-out text of both, before and after; written: `softmax/` and `converted/` (metrics.jsonl and
checkpoints; `attn plot` reads the latter) and `learned.png`, what the normalizer learned.

Expected: hardly any difference after the conversion, and two models that learn alike; so few steps
move the parameters a little.  Two minutes on 2 quiet cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Int

import tale_jax
from attention.command_line import run_script
from attention.errors import InputError
from attention.files import load_tokenizer, read_bytes
from attention.language import encode_pieces
from attention.training import fit, learned_values, plot_learned
from attention.transformer import (
    Transformer,
    TransformerConfig,
    checkpoint_folder,
    convert,
    load_pretrained,
)
from tale_jax.tasks import DEMO_TASKS, completed, worked

FEWEST = 20  # pieces of text
DEMO = Path(tale_jax.__file__).parent / "assets" / "demo"


def text_of_the_demo(count: int = 200) -> str:
    """Answered examples of the tasks that the demo model knows, in turn."""
    examples = [
        worked(name, "train", index).example for index in range(count) for name in DEMO_TASKS
    ]
    return "".join(f"{completed(example)}</s>" for example in examples)


def loss_of(config: TransformerConfig) -> Any:
    """Sum of the next token's negative log-likelihood, nats, and how many there are."""

    def loss(params: Any, tokens_BT: Any, key: Any) -> Any:
        del key
        logits: Any = Transformer(config).apply({"params": params}, tokens_BT)
        each = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens_BT[:, 1:])
        return jnp.sum(each), each.size

    return loss


def held_out(config: TransformerConfig, params: Any, tokens_BT: Int[np.ndarray, "B T"]) -> float:
    """The mean loss, in nats a token."""
    total, count = jax.jit(loss_of(config))(params, tokens_BT, None)
    return float(total) / float(count)


def main(
    *,
    out: Path,
    model: str = "demo",
    text: Path | None = None,
    normalizer: str = "ssa:learn=n+b",
    largest: float = 8.0,
    steps: int = 200,
    batch: int = 8,
    length: int = 64,
    learning_rate: float = 3e-4,
    seed: int = 0,
) -> None:
    """Convert a softmax model, fine-tune it beside itself, and compare.

    Args:
        out: directory of the results
        model: local folder, hub id, or demo
        text: file with text that the model is made for; only the demo model needs none
        normalizer: specification with learned parameters
        largest: bound of its parameters at the start
        steps: steps of fine-tuning
        batch: pieces of text a step
        length: of a piece, in tokens
        learning_rate: of Adam
        seed: of the order of the pieces

    Raises:
        InputError: there is no text for the model, or too little.
    """
    if text is None and model != "demo":
        raise InputError("give a --text for this model")
    folder = DEMO if model == "demo" else checkpoint_folder(model, None)
    words = text_of_the_demo() if text is None else read_bytes(text).decode(errors="replace")
    tokens = encode_pieces(load_tokenizer(folder), words, length)
    if len(tokens) < FEWEST:
        raise InputError(
            f"{len(tokens)} pieces of {length} tokens are too few; there must be {FEWEST}"
        )
    test, rest = tokens[: max(2, len(tokens) // 20)], tokens[max(2, len(tokens) // 20) :]
    config, params = load_pretrained(folder, "float32")
    new_config, new, drift = convert(config, params, normalizer, rest[:8], largest=largest)
    print(
        f"logits change by {drift.logit_mean:.2g} of a standard deviation of {drift.logit_std:.2g}"
    )
    order = np.random.default_rng(seed).integers(0, len(rest), (steps, batch))
    print(f"{'':12}{'before':>10}{'after':>10}   held-out loss, nats a token")
    for name, conf, start in (("softmax", config, params), ("converted", new_config, new)):
        state = fit(
            loss_of(conf),
            start,
            optax.adam(learning_rate),
            lambda t: rest[order[t]],
            steps=steps,
            key=jax.random.key(seed),
            directory=out / name,
            save_every=steps,
            log_every=max(1, steps // 40),
            watch=learned_values(conf),
            quiet=True,
        )
        before, after = held_out(conf, start, test), held_out(conf, state.params, test)
        print(f"{name:12}{before:>10.4f}{after:>10.4f}", flush=True)
    plot_learned(out / "converted", out / "learned.png")
    print(f"\n{out / 'learned.png'}")


if __name__ == "__main__":
    run_script(main)
