"""Log-probabilities of given tokens against a plain loop: one text at a time, whole logits."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.likelihood import Row, RowBatches, targets, token_log_probs
from attention.transformer import (
    Transformer,
    TransformerConfig,
    abstract_params,
    keep_halves,
    unstack_layers,
)

V, DEPTH, MASK = 29, 3, 2
LLAMA = TransformerConfig(
    hidden_size=18,
    num_hidden_layers=DEPTH,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=10,
    intermediate_size=17,
    vocab_size=V,
    max_position_embeddings=23,
    initializer_range=0.3,
)
LEARNED = dataclasses.replace(
    LLAMA,
    family="gpt2",
    num_key_value_heads=None,
    head_dim=None,
    position_embedding="learned",
    norm="layernorm",
    mlp_bias=True,
    gated_mlp=False,
    hidden_act="gelu",
    tie_word_embeddings=True,
)
BERT = dataclasses.replace(
    LEARNED,
    family="bert",
    causal=False,
    norm_placement="post",
    embedding_norm=True,
    final_norm=False,
    type_vocab_size=2,
    head="masked_lm",
)
CONFIGS = {
    "llama": LLAMA,
    "windows": dataclasses.replace(LLAMA, family="mistral", sliding_window=3),
    "learned": LEARNED,
    "ssa": dataclasses.replace(LLAMA, normalizer="ssa:learn=n+b,per=model"),
    "chunked": dataclasses.replace(LLAMA, attention_implementation="chunked"),
}


@functools.cache
def random_params(config):
    number = np.random.default_rng(3)

    def draw(path, leaf):
        return (number.normal(0, 0.3, leaf.shape) + ("scale" in str(path[-1]))).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, abstract_params(config))


def plain(config, params, tokens):
    """``log p`` of every token at every place, ``[T, V]``; one padded length, one program."""
    length = config.max_position_embeddings
    padded = jnp.array([[*tokens, *[0] * (length - len(tokens))]])
    where = jnp.arange(length)[None] < len(tokens)
    return np.asarray(_log_softmax(config, params, padded, where)[0])[: len(tokens)]


@functools.partial(jax.jit, static_argnums=0)
def _log_softmax(config, params, tokens, where):
    return jax.nn.log_softmax(Transformer(config).apply({"params": params}, tokens, where=where))


def random_texts(lengths):
    number = np.random.default_rng(5)
    return [number.integers(3, V, length).tolist() for length in lengths]


def check(scores, wanted):
    """``wanted``: for each target, the log-probabilities of all tokens and the target."""
    for score, rows in zip(scores, wanted, strict=True):
        assert len(score.log_probs) == len(rows)
        for log_prob, likeliest, (line, target) in zip(*score, rows, strict=True):
            assert log_prob == pytest.approx(line[target], rel=1e-4, abs=1e-5)
            assert likeliest == (line.argmax() == target)


@pytest.mark.quick("llama-145", "windows-67108864", "ssa-67108864")
@pytest.mark.parametrize("most", [2**26, 5 * V])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_token_of_a_text(name, most, monkeypatch):
    """At once, and in blocks of places."""
    monkeypatch.setattr(targets, "MOST_LOGITS", most)
    targets._read.clear_cache()
    config = CONFIGS[name]
    texts = random_texts([2, 19, 7, 11, 5, 3])
    texts[1][-1] = int(plain(config, random_params(config), texts[1])[-2].argmax())
    rows = [Row.text(text[:-1], text[1:]) for text in texts]
    scores = token_log_probs(config, random_params(config), RowBatches(rows, 53))
    wanted = [zip(plain(config, random_params(config), t), t[1:], strict=False) for t in texts]
    check(scores, [list(rows) for rows in wanted])
    assert scores[1].likeliest[-1]


@pytest.mark.quick("llama", "learned", "chunked")
@pytest.mark.parametrize("name", CONFIGS)
def test_choices_side_by_side_do_not_see_each_other(name):
    """Two of them and their prompt are longer than the model's positions, and each fits.

    Nor does a text that stands alone see the prompt.
    """
    config = CONFIGS[name]
    prompt, *choices, alone = random_texts([7, 1, 4, 11, 12, 5])
    texts = [([*prompt, *choice], len(choice)) for choice in choices]
    row = Row.choices(texts, [(alone, len(alone) - 1)])
    assert Row.choices(texts).unread == 6 and row.unread == 0
    assert len(row.tokens) > config.max_position_embeddings
    [score] = token_log_probs(config, random_params(config), RowBatches([row]))
    wanted = []
    for choice in choices:
        lines = plain(config, random_params(config), [*prompt, *choice])[len(prompt) - 1 : -1]
        wanted += zip(lines, choice, strict=True)
    wanted += zip(plain(config, random_params(config), alone)[:-1], alone[1:], strict=True)
    check([score], [wanted])


@pytest.mark.parametrize("stacked", [True, False])
def test_a_model_without_halves_of_layers(stacked):
    """As data in stacked parameters, and as a shorter model of either form."""
    keep = ((True, False), (False, False), (False, True))
    config, texts = LLAMA.keep_halves(keep), random_texts([5, 13])
    short = keep_halves(random_params(LLAMA), keep)
    rows = RowBatches([Row.text(text[:-1], text[-2:]) for text in texts])
    wanted = [list(zip(plain(config, short, t)[-3:-1], t[-2:], strict=True)) for t in texts]
    if stacked:
        check(token_log_probs(LLAMA, random_params(LLAMA), rows, np.array(keep)), wanted)
    else:
        short = keep_halves(unstack_layers(random_params(LLAMA)), keep)
    check(token_log_probs(config, short, rows), wanted)


def test_a_masked_token_is_seen_from_both_sides():
    """The pseudo-log-likelihood of a text: each of its tokens is masked in turn."""
    [text] = random_texts([11])
    rows = [Row.masked(text, place, MASK) for place in range(11)]
    scores = token_log_probs(BERT, random_params(BERT), RowBatches(rows, 50))
    wanted = []
    for place, token in enumerate(text):
        seen = [MASK if i == place else t for i, t in enumerate(text)]
        wanted.append([(plain(BERT, random_params(BERT), seen)[place], token)])
    check(scores, wanted)


def test_a_model_without_a_vocabulary_is_refused():
    config = dataclasses.replace(LLAMA, head="none")
    with pytest.raises(ValueError, match="no probabilities of tokens"):
        token_log_probs(config, random_params(LLAMA), RowBatches([Row.text([3], [5])]))


def test_other_halves_and_other_rows_of_a_shape_compile_nothing():
    texts = random_texts([7] * 6)
    rows = [RowBatches([Row.text(t[:-1], t[-1:]) for t in part]) for part in (texts[:3], texts[3:])]
    everything = np.ones((DEPTH, 2), bool)
    token_log_probs(LLAMA, random_params(LLAMA), rows[0], everything)
    seen: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: seen.append(name))
    less = everything.copy()
    less[1, 0] = False
    scores = [token_log_probs(LLAMA, random_params(LLAMA), part, less) for part in rows]
    assert len({float(s.log_probs[0]) for part in scores for s in part}) == 6
    assert not [name for name in seen if "compile" in name]


def test_places_of_padding_are_left_out(monkeypatch):
    """Rows of different numbers of places, all of which are read in blocks of three, or whole."""
    number = np.random.default_rng(7)
    texts = [number.integers(3, V, size).tolist() for size in (5, 11, 7)]
    rows = [Row.text(text[:-1], text[1 + i :]) for i, text in enumerate(texts)]
    whole = token_log_probs(LLAMA, random_params(LLAMA), RowBatches(rows, 64))
    targets._read.clear_cache()  # the bounds are read when the program is traced
    monkeypatch.setattr(targets, "PACKED_LOGITS", 0)
    monkeypatch.setattr(targets, "MOST_LOGITS", 3 * V)
    packed = token_log_probs(LLAMA, random_params(LLAMA), RowBatches(rows, 64))
    targets._read.clear_cache()
    for right, found, row in zip(whole, packed, rows, strict=True):
        assert len(found.log_probs) == len(row.targets)
        np.testing.assert_allclose(found.log_probs, right.log_probs, atol=1e-5)
        np.testing.assert_array_equal(found.likeliest, right.likeliest)
