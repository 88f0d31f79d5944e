"""Our models in lm-eval: ``python -m tale_jax.harness --model tale_jax …`` (extra ``eval``).

The command is lm-eval's own, with the model ``tale_jax`` in its registry.  Arguments of the model:
``pretrained`` (folder, hub id or ``demo``), ``drop`` (layers to leave out, such as ``3:5``),
``dtype``, ``revision`` and ``batch_tokens``.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from typing import Any

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
from attention.likelihood import bucket
from attention.transformer import Transformer, TransformerConfig, generate, unstack_layers
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
        dtype: str = "float32",
        revision: str | None = None,
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
            batch_tokens: tokens in a batch.
            ignored: what lm-eval adds of itself: ``batch_size``, ``max_batch_size``, ``device``.

        Raises:
            InputError: no such model or layer, or an argument that there is not.
        """
        super().__init__()
        if unknown := ignored.keys() - {"batch_size", "max_batch_size", "device"}:
            raise InputError(f"the model tale_jax has no argument {min(unknown)}")
        loaded = load_model(pretrained, ModelOptions(dtype=dtype, revision=revision))
        depth = loaded.config.num_hidden_layers
        dropped = check_layers(_layers(drop), depth, loaded.missing)
        self.tokenizer: Any = loaded.tokenizer
        self.max_length = loaded.config.max_position_embeddings
        self._config, self._params = without_layers(loaded.config, loaded.params, dropped)
        self._batch_tokens = int(batch_tokens)

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
        return encode_texts(self.tokenizer, [string])[0]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
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
        found = []
        for request in requests:
            tokens = self.tok_encode(request.args[0], add_special_tokens=False)
            windows = get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1)
            pairs = [make_disjoint_window(window) for window in windows]
            found.append(sum(log_prob for log_prob, _ in self._scores(pairs)))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, found[-1])
        return found

    def _scores(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """Log-probability of each second part, and whether each of its tokens is the likeliest."""
        rows = []
        for before, scored in pairs:
            if not 0 < len(scored) <= self.max_length:
                raise InputError(f"{len(scored)} tokens to score; the model has {self.max_length}")
            # The last token is only predicted; what does not fit leaves on the left.
            rows.append((before + scored)[-self.max_length - 1 :][:-1])
        found: list[Any] = [None] * len(pairs)
        for members, tokens, where in self._batches(rows):
            longest = bucket(max(len(pairs[i][1]) for i in members))
            targets = np.zeros((len(tokens), longest), np.int32)
            count = np.zeros(len(tokens), np.int32)
            for place, i in enumerate(members):
                count[place] = len(pairs[i][1])
                targets[place, : count[place]] = pairs[i][1]
            scored = _score(self._config, self._params, tokens, where, targets, count)
            log_probs, greedy = (np.asarray(part) for part in scored)
            for place, i in enumerate(members):
                found[i] = float(log_probs[place]), bool(greedy[place])
        return found

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        texts: list[str] = [""] * len(requests)
        groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(_settings(request.arguments[1]), []).append(i)
        for (new_tokens, stops), members in groups.items():
            room = self.max_length - new_tokens
            if room < 1:
                raise InputError(
                    f"{new_tokens} new tokens leave no room for a prompt in {self.max_length} "
                    "positions; lower max_gen_toks"
                )
            rows = [self.tok_encode(requests[i].args[0])[-room:] for i in members]
            for places, tokens, where in self._batches(rows, new_tokens):
                for place, text in zip(
                    places, self._write(tokens, where, new_tokens), strict=False
                ):
                    i = members[place]
                    texts[i] = cut(text, stops)
                    self.cache_hook.add_partial("generate_until", requests[i].args, texts[i])
        return texts

    def _write(self, tokens: np.ndarray, where: np.ndarray, new_tokens: int) -> list[str]:
        end = self.tokenizer.eos_token_id
        stops = [] if end is None else [end]
        arrays = jnp.asarray(tokens), jnp.asarray(where)
        out = generate(
            self._config, self._unstacked, *arrays, max_new_tokens=new_tokens, stop_tokens=stops
        )
        kept = np.where(np.asarray(out.where), np.asarray(out.tokens), -1)
        lines = [[int(t) for t in line if t >= 0] for line in kept]
        return self.tokenizer.batch_decode(lines, skip_special_tokens=True)

    @functools.cached_property
    def _unstacked(self) -> dict[str, Any]:
        return unstack_layers(self._params)

    def _batches(
        self, rows: Sequence[list[int]], extra: int = 0
    ) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
        """Indices, tokens and mask of rows of about one length, the longest first."""
        members: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            members.setdefault(min(bucket(len(row)), self.max_length - extra), []).append(i)
        for length in sorted(members, reverse=True):
            size = max(1, self._batch_tokens // (length + extra))
            size = min(size, bucket(len(members[length])))
            for start in range(0, len(members[length]), size):
                chosen = members[length][start : start + size]
                tokens = np.zeros((size, length), np.int32)
                where = np.zeros((size, length), bool)
                where[:, 0] = True  # rows of padding stay finite
                for place, i in enumerate(chosen):
                    tokens[place, : len(rows[i])] = rows[i]
                    where[place, : len(rows[i])] = True
                yield chosen, tokens, where


@functools.partial(jax.jit, static_argnames="config")
def _score(
    config: TransformerConfig,
    params: Any,
    tokens_BT: jax.Array,
    where_BT: jax.Array,
    targets_BS: jax.Array,
    count_B: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """``Σ_s log p(target_s)`` over the last ``count`` positions, and whether all are the argmax."""
    places_S = jnp.arange(targets_BS.shape[1])
    first_B = jnp.sum(where_BT, axis=1) - count_B
    read_at_BS = jnp.clip(first_B[:, None] + places_S[None], 0, tokens_BT.shape[1] - 1)
    logits_BSV: Any = Transformer(config).apply(
        {"params": params}, tokens_BT, where=where_BT, read_at=read_at_BS
    )
    where_BS = places_S[None] < count_B[:, None]
    chosen_BS = jnp.take_along_axis(logits_BSV, targets_BS[:, :, None], axis=-1)[..., 0]
    log_probs_BS = chosen_BS - jax.nn.logsumexp(logits_BSV, axis=-1)
    greedy_BS = jnp.argmax(logits_BSV, axis=-1) == targets_BS
    return (
        jnp.sum(jnp.where(where_BS, log_probs_BS, 0), axis=1),
        jnp.all(greedy_BS | ~where_BS, axis=1),
    )


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
