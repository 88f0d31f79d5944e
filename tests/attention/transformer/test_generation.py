"""Cached greedy decoding gives what a loop without a cache gives."""

import dataclasses
import itertools

import numpy as np
import pytest

from attention.transformer import generate, stack_layers, unstack_layers

NEW, STOP = 7, 13


def without_cache(apply, config, params, prompt, how, stop=None):
    """One unpadded prompt, the whole sequence again for every token, at one (padded) length."""
    slots = 7 + NEW  # of the longest prompt
    sequence = list(prompt)
    for _ in range(NEW):
        padded = np.zeros((1, slots), np.int32)
        padded[0, : len(sequence)] = sequence
        where = np.arange(slots)[None] < len(sequence)
        logits = apply(config, params, padded, where, **how)
        sequence.append(int(np.argmax(logits[0, len(sequence) - 1])))
        if sequence[-1] == stop:
            break
    return sequence[len(prompt) :]


def padded_prompts(tokens):
    """Left, right and not padded, on lengths of their own."""
    prompts = [tokens[0, :3], tokens[1, :5], tokens[2, :7]]
    batch, where = np.zeros((3, 7), np.int32), np.zeros((3, 7), bool)
    for row, (prompt, start) in enumerate(zip(prompts, (4, 0, 0), strict=True)):
        batch[row, start : start + len(prompt)] = prompt
        where[row, start : start + len(prompt)] = True
    return prompts, batch, where


CASES = {
    "llama": {},
    "mistral": {},  # the window is shorter than the sequence
    "qwen2-mixed": {},
    "gpt2": {},  # learned positions
    "llama, static": {"layer_mask": (True, False, True)},
    "llama, dynamic": {"keep": np.array([[True, True], [False, True], [True, False]])},
}


@pytest.mark.quick("qwen2-mixed", "llama, dynamic")
@pytest.mark.parametrize("case", CASES)
def test_same_tokens_as_without_a_cache(configs, random_params, apply, tokens, case):
    # A tied model of random weights repeats itself.
    config = dataclasses.replace(configs[case.split(",")[0]], tie_word_embeddings=False)
    params = random_params(config)
    how = CASES[case]
    prompts, batch, where = padded_prompts(tokens)
    expected = [without_cache(apply, config, params, p, how) for p in prompts]
    assert len({*itertools.chain(*expected)}) > 5, (
        "the model repeats itself; the test could not fail"
    )
    if how:  # what is dropped changes what is said
        assert expected != [without_cache(apply, config, params, p, {}) for p in prompts]
    forms = [stack_layers, unstack_layers]
    forms = forms[:1] if "keep" in how else forms[1:] if "layer_mask" in how else forms
    for form in forms:
        out = generate(config, form(params), batch, where, max_new_tokens=NEW, **how)
        assert out.tokens.shape == out.where.shape == (3, NEW)
        assert out.tokens.tolist() == expected
        assert np.asarray(out.where).all()


def test_no_new_tokens_are_refused(tiny_models, tokens):
    _, config, params = tiny_models("llama")
    with pytest.raises(ValueError, match="at least one new token, not 0"):
        generate(config, params, tokens, max_new_tokens=0)


def test_a_row_ends_at_its_stop_token(tiny_models, apply, tokens):
    _, config, params = tiny_models("llama")
    _, batch, where = padded_prompts(tokens)
    whole = np.asarray(generate(config, params, batch, where, max_new_tokens=NEW).tokens)
    stops = (int(whole[0, 2]), int(whole[1, 4]))
    out = generate(config, params, batch, where, max_new_tokens=NEW, stop_tokens=stops)
    for row in range(3):
        ends = np.isin(whole[row], stops)
        length = int(np.argmax(ends)) if ends.any() else NEW
        assert np.asarray(out.where)[row].tolist() == [i < length for i in range(NEW)]
        assert out.tokens[row, :length].tolist() == whole[row, :length].tolist()
    assert np.asarray(out.where)[0].sum() <= 2


def test_decoding_ends_when_every_row_has(tiny_models, tokens):
    _, config, params = tiny_models("llama")
    first = generate(config, params, tokens[:1], max_new_tokens=1)
    assert first.tokens.shape == (1, 1)
    out = generate(
        config, params, tokens[:1], max_new_tokens=NEW, stop_tokens=[int(first.tokens[0, 0])]
    )
    assert not np.asarray(out.where).any()


def test_other_stop_tokens_compile_nothing(tiny_models, tokens):
    from attention.transformer.generation import jitted_generate

    _, config, params = tiny_models("llama")
    generate(config, params, tokens[:1], max_new_tokens=NEW, stop_tokens=[1])
    before = jitted_generate._cache_size()
    for stops in ([], [2], [3, 4, 5]):
        generate(config, params, tokens[:1] + 0, max_new_tokens=NEW, stop_tokens=stops)
    assert jitted_generate._cache_size() == before


def test_too_long_raises(tiny_models, tokens):
    for name, positions in (("llama", 31), ("gpt2", 23)):
        _, config, params = tiny_models(name)
        message = f"11 prompt tokens and {positions - 10} new ones are more.* {positions} positions"
        with pytest.raises(ValueError, match=message):
            generate(config, params, tokens, max_new_tokens=positions - 10)
    where = np.arange(11)[None] < np.array([[4], [3], [2], [1], [5]])
    config, params = tiny_models("gpt2")[1:]
    # Real tokens count, not slots: 5 + 18 fit.
    generate(config, params, tokens, where, max_new_tokens=18)


def test_rows_whose_logits_are_not_numbers_say_so(tiny_models, tokens):
    _, config, params = tiny_models("llama")
    wrong = tokens[:2].copy()
    wrong[1, 4] = 29  # outside the vocabulary
    out = generate(config, params, wrong, max_new_tokens=2)
    assert np.asarray(out.finite).tolist() == [True, False]


def test_layer_forms_that_do_not_go_together_raise(tiny_models, tokens):
    _, config, params = tiny_models("llama")
    with pytest.raises(ValueError, match="stacked"):
        generate(config, params, tokens, max_new_tokens=2, layer_mask=(True, False, True))
    with pytest.raises(ValueError, match="keep needs stacked"):
        generate(
            config, unstack_layers(params), tokens, max_new_tokens=2, keep=np.ones((3, 2), bool)
        )
