"""Linear layers in 8 bits."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from attention.errors import InputError
from attention.meshes import LogicalRules, make_mesh
from attention.training import param_shardings, transformer_axes
from attention.transformer import (
    Transformer,
    TransformerConfig,
    abstract_params,
    decoding_form,
    generate,
    is_quantized,
    keep_layers,
    load_pretrained,
    save_pretrained,
    unstack_layers,
)
from attention.transformer.quantization import quantize

CONFIG = TransformerConfig(
    hidden_size=18,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=10,
    intermediate_size=34,
    vocab_size=53,
    max_position_embeddings=41,
    attention_bias=True,
    attention_out_bias=True,
    mlp_bias=True,
    initializer_range=0.3,
)
TOKENS = np.random.default_rng(2).integers(0, 53, (2, 7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized") / "model"
    number = np.random.default_rng(3)

    def draw(path, leaf):
        value = number.normal(0, 0.3, leaf.shape) + ("scale" in str(path[-1]))
        return value.astype(np.float32)

    params = jax.tree_util.tree_map_with_path(draw, abstract_params(CONFIG))
    save_pretrained(folder, CONFIG, params)
    return folder


def logits(config, params, **arguments):
    return np.asarray(apply(config, params, **arguments))


@functools.partial(jax.jit, static_argnums=0, static_argnames="layer_mask")
def apply(config, params, **arguments):
    return Transformer(config).apply({"params": params}, TOKENS, **arguments)


@pytest.mark.parametrize(("shape", "inputs"), [((13, 3, 5), 1), ((3, 5, 13), 2), ((11, 7), 1)])
def test_rounding_errs_by_half_a_step_at_most(shape, inputs):
    kernel = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    kernel[..., 1] = 0
    q, scale = (np.asarray(x) for x in quantize(kernel, inputs))
    assert q.dtype == np.int8 and scale.dtype == np.float32
    assert scale.shape == shape[inputs:]
    assert np.all(np.abs(kernel - q * scale) <= 0.5001 * scale)
    largest = np.abs(q).max(axis=tuple(range(inputs)))
    assert np.all((largest == 127) | (np.abs(kernel).max(axis=tuple(range(inputs))) == 0))


def test_a_model_in_8_bits_computes_what_its_rounded_weights_say(folder):
    config, exact = load_pretrained(folder)
    same, params = load_pretrained(folder, weights="int8")
    assert same == config
    assert is_quantized(params) and not is_quantized(exact)
    held, flat = flatten_dict(params, sep="/"), dict(flatten_dict(exact, sep="/"))
    for path, leaf in flat.items():
        if held[path].dtype == jnp.int8:
            q, scale = held[path], held[path.replace("kernel", "scale")]
            wide = (1,) * (q.ndim - scale.ndim)
            flat[path] = q * scale.reshape(scale.shape[0], *wide, *scale.shape[1:])
        else:
            np.testing.assert_array_equal(held[path], leaf)
    assert sum(leaf.dtype == jnp.int8 for leaf in held.values()) == 7
    rounded = {"layers": {}}
    for path, leaf in flat.items():
        tree = rounded
        *parents, name = path.split("/")
        for parent in parents:
            tree = tree.setdefault(parent, {})
        tree[name] = leaf
    wanted = logits(config, rounded)
    np.testing.assert_allclose(logits(config, params), wanted, atol=1e-5 * np.abs(wanted).max())
    change = np.abs(logits(config, exact) - wanted).max() / np.abs(wanted).max()
    assert 1e-5 < change < 0.1


@pytest.mark.nightly  # the test before it runs one
def test_every_program_takes_it(folder):
    config, params = load_pretrained(folder, weights="int8")
    wanted = logits(config, params)
    close = {"atol": 1e-5 * np.abs(wanted).max()}
    apart = unstack_layers(params)
    np.testing.assert_allclose(logits(config, apart), wanted, **close)
    keep = np.array([[True, True], [False, False], [True, True]])
    shorter = logits(config.keep_layers([0, 2]), keep_layers(params, [0, 2]))
    np.testing.assert_allclose(logits(config, params, keep=keep), shorter, **close)
    masked = logits(config, apart, layer_mask=(True, False, True))
    np.testing.assert_allclose(masked, shorter, **close)
    assert not isinstance(decoding_form(params)["layers"], tuple)
    assert isinstance(decoding_form(load_pretrained(folder)[1])["layers"], tuple)
    written = [generate(config, p, TOKENS, max_new_tokens=5).tokens for p in (params, apart)]
    np.testing.assert_array_equal(*written)


def test_bfloat16_has_the_same_numbers(folder):
    _, params = load_pretrained(folder, "bfloat16", weights="int8")
    kernels = params["layers"]["mlp"]["up"]
    assert kernels["kernel"].dtype == jnp.int8 and kernels["scale"].dtype == jnp.float32
    assert params["embed"]["embedding"].dtype == jnp.bfloat16
    config = dataclasses.replace(CONFIG, dtype="bfloat16")
    exact = logits(*load_pretrained(folder, "bfloat16"))
    assert np.abs(logits(config, params) - exact).max() < 0.1 * np.abs(exact).max()


def test_parameters_are_divided_over_a_mesh(folder):
    mesh, rules = make_mesh(1, 1), LogicalRules()
    seen = []

    def shardings(abstract):
        seen.append(transformer_axes(abstract))
        return param_shardings(abstract, seen[0], mesh, rules)

    _, params = load_pretrained(folder, weights="int8", shardings=shardings)
    axes = seen[0]["layers"]["attention"]
    assert axes["query"]["scale"] == ("layer", "heads", "head_dim")
    assert axes["out"]["scale"] == ("layer", "embed")
    assert is_quantized(params)


def test_it_is_not_written(folder, tmp_path):
    config, params = load_pretrained(folder, weights="int8")
    for form in (params, unstack_layers(params)):
        with pytest.raises(InputError, match="load it with exact weights"):
            save_pretrained(tmp_path / "out", config, form)
    assert not (tmp_path / "out").exists()
