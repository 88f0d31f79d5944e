"""Our models in lm-eval: ``python -m tale_jax.harness --model tale_jax …`` (extra ``eval``).

The command is lm-eval's own, with the model ``tale_jax`` in its registry.  Arguments of the model:
``pretrained`` (folder, hub id or ``demo``), ``drop`` (layers to leave out, such as ``3:5``),
``dtype``, ``revision`` and ``batch_tokens``.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import sys
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__" and importlib.util.find_spec("lm_eval") is None:
    sys.exit("tale_jax.harness: needs lm-eval: pip install 'tale-jax[eval]'")

from lm_eval.api.instance import Instance  # pyright: ignore[reportMissingImports]
from lm_eval.api.model import TemplateLM  # pyright: ignore[reportMissingImports]
from lm_eval.api.registry import register_model  # pyright: ignore[reportMissingImports]
from lm_eval.utils import (  # pyright: ignore[reportMissingImports]
    get_rolling_token_windows,
    make_disjoint_window,
)

from attention.errors import InputError
from attention.likelihood import Arrays, Row, RowBatches, check_vocabulary, token_log_probs
from attention.options import Weights
from attention.transformer import decoding_form, generate
from tale_jax.models import load_model
from tale_jax.options import ModelOptions
from tale_jax.scoring import without_layers
from tale_jax.tasks import cut, encode_texts
from tale_jax.units import Unit, check_layers, parse_unit

Pair = tuple[list[int], list[int]]  # tokens before, and tokens that are scored


@register_model("tale_jax")
class TaleModel(TemplateLM):
    """A model of ours behind lm-eval's interface, whole or without some layers."""

    def __init__(
        self,
        pretrained: str = "demo",
        drop: str | int | Sequence[Unit] = "",
        dtype: Literal["float32", "bfloat16"] = "float32",
        revision: str | None = None,
        weights: Weights = "exact",
        batch_tokens: int = 4096,
        **ignored: Any,
    ):
        """Load the model.

        Args:
            pretrained: folder, hub id or ``demo``.
            drop: layers to leave out, or halves such as ``3.mlp``, with colons or spaces in between
                (commas divide arguments).
            dtype: ``float32`` or ``bfloat16``.
            revision: of a model on the hub.
            weights: ``exact`` or ``int8``, which holds the linear layers in 8 bits.
            batch_tokens: tokens in a batch.
            ignored: what lm-eval adds of itself: ``batch_size``, ``max_batch_size``, ``device``.

        Raises:
            InputError: no such model or layer, or an argument that there is not.
        """
        super().__init__()
        if unknown := ignored.keys() - {"batch_size", "max_batch_size", "device"}:
            raise InputError(f"the model tale_jax has no argument {min(unknown)}")
        loaded = load_model(
            pretrained, ModelOptions(dtype=dtype, revision=revision, weights=weights)
        )
        depth = loaded.config.num_hidden_layers
        dropped = check_layers(_layers(drop), depth, loaded.missing)
        self.tokenizer: Any = loaded.tokenizer
        self._end_tokens, self._chats = loaded.end_tokens, False
        self.max_length = loaded.config.longest_text
        self._config, self._params = without_layers(loaded.config, loaded.params, dropped)
        self._batch_tokens, self._sharding = int(batch_tokens), loaded.batch_sharding

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        start = self.tokenizer.bos_token_id
        return self.eot_token_id if start is None else start

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        if add_special_tokens is False:
            return self.tokenizer(string, add_special_tokens=False, verbose=False)["input_ids"]
        return encode_texts(self.tokenizer, [string], not self._chats)[0]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        self._chats = True  # lm-eval asks all or none of its prompts as chats
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        scores = self._scores([(before, scored) for _, before, scored in requests])
        for (texts, _, _), score in zip(requests, scores, strict=True):
            self.cache_hook.add_partial("loglikelihood", texts, score)
        return scores

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        pairs: list[Pair] = []
        ends: list[int] = []
        for request in requests:
            tokens = self.tok_encode(request.args[0], add_special_tokens=False)
            windows = get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1)
            pairs += map(make_disjoint_window, windows)
            ends.append(len(pairs))
        scores = [log_prob for log_prob, _ in self._scores(pairs)]
        found = [sum(scores[i:j]) for i, j in itertools.pairwise([0, *ends])]
        for request, total in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return found

    def _scores(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """Log-probability of each second part, and whether each of its tokens is the likeliest.

        Raises:
            InputError: a second part is empty or longer than the model's positions, or a token is
                not in its vocabulary.
        """
        rows = []
        for before, scored in pairs:
            if not 0 < len(scored) <= self.max_length:
                raise InputError(f"{len(scored)} tokens to score; the model has {self.max_length}")
            # The last token is only predicted; what does not fit leaves on the left.
            rows.append(Row.text((before + scored)[-self.max_length - 1 :][:-1], scored))
        if not rows:
            return []
        check_vocabulary(rows, self._config.vocab_size)
        batches = RowBatches(rows, self._batch_tokens, self._sharding)
        return [
            (float(log_probs.sum(dtype=np.float64)), bool(likeliest.all()))
            for log_probs, likeliest in token_log_probs(self._config, self._params, batches)
        ]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        texts: list[str] = [""] * len(requests)
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(_settings(request.arguments[1]), []).append(i)
        for (new_tokens, stops), members in groups.items():
            written = self._write([requests[i].args[0] for i in members], new_tokens)
            for i, text in zip(members, written, strict=True):
                texts[i] = cut(text, stops)
                self.cache_hook.add_partial("generate_until", requests[i].args, texts[i])
        return texts

    def _write(self, prompts: Sequence[str], new_tokens: int) -> list[str]:
        """What the model writes behind each prompt; what does not fit leaves on the left.

        Raises:
            InputError: the new tokens leave no room for a prompt, or a token is not in the model's
                vocabulary.
        """
        room = self.max_length - new_tokens
        if room < 1:
            raise InputError(
                f"{new_tokens} new tokens leave no room for a prompt in {self.max_length} "
                "positions; lower max_gen_toks"
            )
        how: Any = {"max_new_tokens": new_tokens, "stop_tokens": self._end_tokens}
        rows = [Row.prompt(self.tok_encode(prompt)[-room:]) for prompt in prompts]
        check_vocabulary(rows, self._config.vocab_size)
        longest = max(len(row.tokens) for row in rows)
        size = max(1, self._batch_tokens * longest // (longest + new_tokens))  # room for new tokens

        def write(arrays: Arrays) -> jax.Array:
            out = generate(self._config, self._decoded, arrays.tokens, arrays.where, **how)
            return jnp.where(out.where, out.tokens, -1)

        tokens_EN = RowBatches(rows, size, self._sharding).run(write)
        lines = [[int(token) for token in line if token >= 0] for line in tokens_EN]
        return self.tokenizer.batch_decode(lines, skip_special_tokens=True)

    @functools.cached_property
    def _decoded(self) -> dict[str, Any]:
        return decoding_form(self._params)


def _settings(given: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
    """New tokens and stop strings of a request.

    Raises:
        InputError: it asks for sampling.
    """
    if given.get("do_sample") or float(given.get("temperature") or 0) > 0:
        raise InputError("the model tale_jax writes greedily; set do_sample and temperature to 0")
    stops = given.get("until") or ()
    stops = (stops,) if isinstance(stops, str) else tuple(stop for stop in stops if stop)
    return int(given.get("max_gen_toks", 256)), stops


def _layers(drop: str | int | Sequence[Unit]) -> list[Unit]:
    if isinstance(drop, int):
        return [drop]
    words = drop.replace(":", " ").split() if isinstance(drop, str) else drop
    try:
        return [parse_unit(str(word)) for word in words]
    except ValueError:
        raise InputError(f"layers are numbers such as 3:5, not {drop!r}") from None


def main() -> None:
    """lm-eval's command."""
    from lm_eval.__main__ import cli_evaluate  # pyright: ignore[reportMissingImports]

    try:
        cli_evaluate()
    except InputError as error:
        print(f"tale_jax.harness: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
