"""Greedy decoding of a padded batch with a key/value cache, in one compiled loop."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from attention.transformer.config import TransformerConfig
from attention.transformer.context import Cache, init_cache
from attention.transformer.model import Transformer


class Generated(NamedTuple):
    """New tokens; ``where`` is true at those before the first stop token (itself excluded).

    Where a row ends at a text of several tokens, the last of these is true.

    ``finite`` is false for a row any of whose chosen logits was not a number.
    """

    tokens: Int[Array, "B new"]
    where: Bool[Array, "B new"]
    finite: Bool[Array, " B"]


class _State(NamedTuple):
    step: Int[Array, ""]
    token_B: Int[Array, " B"]
    place_B: Int[Array, " B"]  # in the table of stops
    done_B: Bool[Array, " B"]
    hidden_B: Bool[Array, " B"]  # the token is not part of the answer
    cache: Cache
    out: Generated


def generate(
    config: TransformerConfig,
    params: Mapping[str, Any],
    tokens: Int[Array, "B T"],
    where: Bool[Array, "B T"] | None = None,
    *,
    max_new_tokens: int,
    stop_tokens: Sequence[int] = (),
    layer_mask: tuple[bool, ...] | None = None,
    keep: Bool[Array, "L 2"] | None = None,
    temperature: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> Generated:
    """Append the most probable token, ``argmax_v logits_v``, up to ``max_new_tokens`` times.

    With a temperature, tokens are drawn from ``softmax(logits / temperature)`` instead.

    Args:
        config: of a causal language model.
        params: stacked or (faster) unstacked; ``layer_mask`` needs the latter, ``keep`` the former.
        tokens: prompts, padded on either side.
        where: true at real tokens; None: all are.
        max_new_tokens: length of the result; decoding ends early once every row has stopped.
        stop_tokens: ids that end a row.
        layer_mask: static, as in ``Transformer``.
        keep: data, as in ``Transformer``.
        temperature: 0 takes the most probable token.
        key: of the draws, which a temperature needs.

    Returns:
        ``Generated``, its tokens ``[B, max_new_tokens]``.  Ties go to the lowest id.

    Raises:
        ValueError: no new tokens, or more than the model's positions hold.
    """
    if where is None:
        where = jnp.ones(tokens.shape, bool)
    longest = int(np.sum(where, axis=1).max())
    if longest + max_new_tokens > config.longest_text:
        raise ValueError(
            f"{longest} prompt tokens and {max_new_tokens} new ones are more than the model's "
            f"{config.longest_text} positions"
        )
    if max_new_tokens < 1:
        raise ValueError(f"there must be at least one new token, not {max_new_tokens}")
    if temperature < 0 or (temperature > 0 and key is None):
        raise ValueError("a temperature is at least 0, and needs a key if it is more")
    stop_V = np.zeros(config.vocab_size or 0, bool)
    stop_V[list(stop_tokens)] = True
    drawn = (key, jnp.float32(temperature)) if temperature else None
    return jitted_generate(
        config,
        params,
        tokens,
        where,
        stop_V,
        max_new_tokens,
        layer_mask=layer_mask,
        keep=keep,
        sampling=drawn,
    )


@functools.partial(jax.jit, static_argnames=("config", "max_new_tokens", "layer_mask"))
def jitted_generate(
    config: TransformerConfig,
    params: Mapping[str, Any],
    tokens: Int[Array, "B T"],
    where: Bool[Array, "B T"],
    stop_V: Bool[Array, " V"] | Int[Array, "S V"],
    max_new_tokens: int,
    *,
    layer_mask: tuple[bool, ...] | None = None,
    keep: Bool[Array, "L 2"] | None = None,
    sampling: tuple[Key[Array, ""], Float[Array, ""]] | None = None,
) -> Generated:
    """The compiled part of ``generate``, without its checks.

    Args:
        config: see ``generate``, as for all that is not named here.
        params: see there.
        tokens: see there.
        where: see there.
        stop_V: true at tokens that end a row.  Or ``[S, V]``, an automaton: ``[s, v]`` is the state
            after token v in state s; a row begins in state 0, ends before the token at S, and
            behind it at S + 1.
        max_new_tokens: see there.
        layer_mask: see there.
        keep: see there.
        sampling: key and temperature.
    """
    model = Transformer(config)
    batch, length = tokens.shape
    stacked = not isinstance(params["layers"], tuple)
    cache = init_cache(config, batch, length + max_new_tokens, stacked=stacked)
    how = {"where": where, "layer_mask": layer_mask, "keep": keep, "method": "decode"}
    last_B1 = last_places(where)
    read: Any = model.apply({"params": params}, tokens, cache, read_at=last_B1, **how)
    logits_B1V, cache = read
    return write_behind(
        config,
        params,
        logits_B1V,
        cache,
        stop_V,
        max_new_tokens,
        layer_mask=layer_mask,
        keep=keep,
        sampling=sampling,
    )


def last_places(where: Bool[Array, "B T"]) -> Int[Array, "B 1"]:
    """The place of the last real token of each row."""
    return where.shape[1] - 1 - jnp.argmax(where[:, ::-1], axis=1)[:, None]


def write_behind(
    config: TransformerConfig,
    params: Mapping[str, Any],
    logits_B1V: Float[Array, "B 1 V"],
    cache: Cache,
    stop_V: Bool[Array, " V"] | Int[Array, "S V"] | np.ndarray,
    max_new_tokens: int,
    *,
    layer_mask: tuple[bool, ...] | None = None,
    keep: Bool[Array, "L 2"] | None = None,
    sampling: tuple[Key[Array, ""], Float[Array, ""]] | None = None,
) -> Generated:
    """What follows prompts that the model has read.

    Args:
        config: see ``jitted_generate``, as for all that is not named here.
        params: see there.
        logits_B1V: of the last token of each prompt.
        cache: of the prompts, with ``max_new_tokens`` free slots.
        stop_V: see there.
        max_new_tokens: see there.
        layer_mask: see there.
        keep: see there.
        sampling: see there.
    """
    model, batch = Transformer(config), len(logits_B1V)
    stop_SV = jnp.asarray(stop_V if stop_V.ndim == 2 else stop_V[None].astype(jnp.int32))
    states = len(stop_SV)

    def decode(tokens: Array, cache: Cache, where: Array) -> Any:
        how = {"where": where, "layer_mask": layer_mask, "keep": keep}
        return model.apply({"params": params}, tokens, cache, **how, method="decode")

    token_B, finite_B = _choose(logits_B1V, sampling, 0)
    out = Generated(
        jnp.zeros((batch, max_new_tokens), jnp.int32),
        jnp.zeros((batch, max_new_tokens), bool),
        finite_B,
    )

    def follow(place_B: Array, done_B: Array, token_B: Array) -> tuple[Array, Array, Array]:
        """The state of a row behind a token, whether it has ended, and whether before the token."""
        code_B = stop_SV[place_B, token_B].astype(jnp.int32)
        hidden_B = done_B | (code_B == states)
        return jnp.minimum(code_B, states - 1), done_B | (code_B >= states), hidden_B

    start_B = jnp.zeros(batch, jnp.int32), jnp.zeros(batch, bool)
    state = _State(jnp.int32(0), token_B, *follow(*start_B, token_B), cache, out)

    def unfinished(state: _State) -> Array:
        return (state.step + 1 < max_new_tokens) & ~jnp.all(state.done_B)

    def record(state: _State) -> Generated:
        return Generated(
            state.out.tokens.at[:, state.step].set(state.token_B.astype(jnp.int32)),
            state.out.where.at[:, state.step].set(~state.hidden_B),
            state.out.finite,
        )

    def advance(state: _State) -> _State:
        out = record(state)
        logits_B1V, cache = decode(state.token_B[:, None], state.cache, ~state.done_B[:, None])
        token_B, finite_B = _choose(logits_B1V, sampling, state.step + 1)
        out = out._replace(finite=out.finite & (finite_B | state.done_B))
        stops = follow(state.place_B, state.done_B, token_B)
        return _State(state.step + 1, token_B, *stops, cache, out)

    # The last token is not fed back: nobody reads what would follow it.
    return record(jax.lax.while_loop(unfinished, advance, state))


def _choose(logits_B1V: Array, sampling: Any, step: Array | int) -> tuple[Array, Array]:
    """The most probable token of each row, or one drawn, and whether its logit is a number."""
    scores_BV = logits_B1V[:, 0]
    finite_B = ~jnp.isnan(jnp.max(scores_BV, axis=-1))
    if sampling is not None:  # the largest of logits with Gumbel noise is a draw of the softmax
        key, temperature = sampling
        noise_BV = jax.random.gumbel(jax.random.fold_in(key, step), scores_BV.shape)
        scores_BV = scores_BV / temperature + noise_BV
    return jnp.argmax(scores_BV, axis=-1), finite_B
