"""Checkpoints: there and back to the bit, and every way in which one can be wrong."""

import dataclasses
import json
import re
import shutil

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attention.errors import InputError
from attention.transformer import (
    TransformerConfig,
    abstract_params,
    keep_layers,
    load_pretrained,
    save_pretrained,
    unstack_layers,
)
from attention.transformer.hf_config import from_hf, to_hf


def same(found, expected):
    """Equal trees, to the bit."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)

    def equal(one, other):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()

    jax.tree.map(equal, found, expected)


def refused(folder, *messages):
    """Loading fails with one line that says all of this."""
    with pytest.raises(InputError) as caught:
        load_pretrained(folder)
    text = str(caught.value)
    assert "\n" not in text
    for message in messages:
        assert message in text, text


@pytest.fixture
def folder(tmp_path, tiny_models):
    """A checkpoint of a tiny Llama, to be spoilt."""
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "model", config, params)
    return tmp_path / "model"


def edit_config(folder, **changes):
    file = folder / "config.json"
    hf = json.loads(file.read_text())
    for name, value in changes.items():
        hf.pop(name, None) if value is ... else hf.update({name: value})
    file.write_text(json.dumps(hf))


def edit_tensors(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edited = edit(tensors)
    save_file(tensors if edited is None else edited, folder / "model.safetensors", {"format": "pt"})


# ---------------------------------------------------------------------------------- round trips


def test_every_family_there_and_back(tiny, tmp_path):
    for form, name in ((tiny.params, "stacked"), (unstack_layers(tiny.params), "unstacked")):
        save_pretrained(tmp_path / name, tiny.config, form)
    config, params = load_pretrained(tmp_path / "stacked")
    same(params, tiny.params)
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("stacked", "unstacked"))
    assert one == two
    assert config.windows == tiny.config.windows
    assert config == dataclasses.replace(
        tiny.config,
        head_dim=config.head_dim,  # None where the family has no such attribute
        num_key_value_heads=config.num_key_value_heads,
    )
    assert config.head_size == tiny.config.head_size
    assert config.key_value_heads == tiny.config.key_value_heads
    assert {path.name for path in (tmp_path / "stacked").iterdir()} == {
        "config.json",
        "model.safetensors",
    }


@pytest.mark.parametrize("head", ["sequence", "token", "none"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "gpt2", "bert", "roberta"])
def test_every_head_there_and_back(configs, random_params, tmp_path, name, head):
    tied = configs[name].tie_word_embeddings
    config = dataclasses.replace(configs[name], head=head, tie_word_embeddings=tied)
    if head != "none":
        config = dataclasses.replace(config, num_labels=7)
    params = random_params(config)
    save_pretrained(tmp_path / "m", config, params)
    again, loaded = load_pretrained(tmp_path / "m")
    assert (again.head, again.num_labels) == (head, config.num_labels)
    same(loaded, params)


@pytest.mark.parametrize("name", ["llama", "bert"])
@pytest.mark.parametrize("tied", [True, False])
def test_tied_and_untied(configs, random_params, tmp_path, name, tied):
    config = dataclasses.replace(configs[name], tie_word_embeddings=tied)
    params = random_params(config)
    assert ("lm_head" in params) == (not tied)
    save_pretrained(tmp_path / "m", config, params)
    again, loaded = load_pretrained(tmp_path / "m")
    assert again.tie_word_embeddings == tied
    same(loaded, params)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_types(tiny_models, tmp_path, dtype):
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "m", config, params, dtype=dtype)
    stored = jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(dtype), params)
    kept, loaded = load_pretrained(tmp_path / "m", dtype=None)
    assert kept.dtype == dtype
    same(loaded, stored)
    for wanted in ("float32", "bfloat16", "float16"):
        config, loaded = load_pretrained(tmp_path / "m", dtype=wanted)
        assert config.dtype == wanted
        same(loaded, jax.tree.map(lambda leaf: leaf.astype(wanted), stored))  # noqa: B023
    with pytest.raises(InputError, match="dtype 'int8' is none of float32, bfloat16, float16"):
        load_pretrained(tmp_path / "m", dtype="int8")


def test_shards(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "m", config, params, max_shard_bytes=5000)
    shards = sorted(path.name for path in (tmp_path / "m").glob("*.safetensors"))
    assert len(shards) > 3
    assert shards[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    sizes = [leaf.nbytes for leaf in jax.tree.leaves(params)]
    assert index["metadata"]["total_size"] == sum(sizes)
    assert set(index["weight_map"].values()) == set(shards)
    same(load_pretrained(tmp_path / "m")[1], params)


def test_dropped_layers_are_renumbered(tiny_models, tmp_path):
    for name in ("llama", "qwen2-mixed"):
        _, config, params = tiny_models(name)
        for kept in ((0, 2), (1, 2), (0,)):  # (0,): no sliding layer is left
            target = tmp_path / f"{name}-{kept}"
            save_pretrained(target, config.keep_layers(kept), keep_layers(params, kept))
            again, loaded = load_pretrained(target)
            assert again.num_hidden_layers == len(kept)
            assert again.windows == tuple(config.windows[i] for i in kept)
            same(loaded, keep_layers(params, kept))
            names = load_file(target / "model.safetensors")
            numbers = {int(n) for key in names for n in re.findall(r"layers\.(\d+)", key)}
            assert numbers == set(range(len(kept)))


def test_what_a_source_gives(tiny_models, tmp_path, folder):
    _, config, params = tiny_models("llama")
    edit_config(folder, eos_token_id=[5, 7], bos_token_id=3, torch_dtype="bfloat16")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "secret.txt").write_text("not a tokenizer file")
    save_pretrained(
        tmp_path / "new",
        config.keep_layers((1,)),
        keep_layers(params, (1,)),
        source=folder,
        readme="# Made of layer 1\n",
    )
    hf = json.loads((tmp_path / "new" / "config.json").read_text())
    assert (hf["eos_token_id"], hf["bos_token_id"], hf["num_hidden_layers"]) == ([5, 7], 3, 1)
    assert hf["torch_dtype"] == "float32"  # what is stored, not what the source says
    assert (tmp_path / "new" / "README.md").read_text() == "# Made of layer 1\n"
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "README.md"}


def test_both_layouts_of_rope_settings(folder):
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }
    linear = {"factor": 3.0}
    for kind, values in (("llama3", scaling), ("linear", linear)):
        edit_config(folder, rope_theta=5e5, rope_scaling={"rope_type": kind, **values})
        old = load_pretrained(folder)[0]
        edit_config(folder, rope_theta=5e5, rope_scaling={"type": kind, **values})
        oldest = load_pretrained(folder)[0]
        both = {"rope_type": kind, "rope_theta": 5e5, **values}
        edit_config(folder, rope_theta=..., rope_scaling=..., rope_parameters=both)
        new = load_pretrained(folder)[0]
        assert old == oldest == new
        assert new.rope_theta == 5e5
        assert new.rope_scaling.rope_type == kind
        assert new.rope_scaling.factor == values["factor"]
        edit_config(folder, rope_parameters=...)
    edit_config(folder, rope_theta=5e5, rope_scaling=None)
    old = load_pretrained(folder)[0]
    edit_config(
        folder,
        rope_theta=...,
        rope_scaling=...,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    )
    assert load_pretrained(folder)[0] == old
    for kind in ("yarn", "dynamic", "longrope"):
        edit_config(folder, rope_parameters={"rope_type": kind, "rope_theta": 1e4, "factor": 2.0})
        refused(folder, "rope")


# --------------------------------------------------------------------- tied tensors, old names


def test_either_of_two_tied_tensors_may_be_stored(configs, random_params, tmp_path):
    config = configs["qwen2"]
    params = random_params(config)
    save_pretrained(tmp_path / "m", config, params)

    def rename(tensors):
        tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")

    edit_tensors(tmp_path / "m", rename)
    same(load_pretrained(tmp_path / "m")[1], params)

    def both(tensors):
        tensors["model.embed_tokens.weight"] = tensors["lm_head.weight"].copy()
        tensors["lm_head.weight"][3, 5] = np.nan  # equal means to the bit
        tensors["model.embed_tokens.weight"][3, 5] = np.nan

    edit_tensors(tmp_path / "m", both)
    load_pretrained(tmp_path / "m")

    def differ(tensors):
        tensors["lm_head.weight"][2, 3] += 1

    edit_tensors(tmp_path / "m", differ)
    refused(tmp_path / "m", "lm_head.weight differs from embed_tokens.weight", "ties")

    def another_type(tensors):
        tensors["lm_head.weight"] = np.zeros((29, 18), np.int64)

    edit_tensors(tmp_path / "m", another_type)
    refused(tmp_path / "m", "lm_head.weight")


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_masked_lm_checkpoints_that_repeat_themselves(tiny_models, tmp_path, name):
    _, config, params = tiny_models(name)
    save_pretrained(tmp_path / "m", config, params)
    head = {"bert": "cls.predictions", "roberta": "lm_head"}[name]

    def repeat(tensors):
        embedding = tensors[f"{name}.embeddings.word_embeddings.weight"]
        tensors[f"{head}.decoder.weight"] = embedding.copy()
        tensors[f"{head}.decoder.bias"] = tensors[f"{head}.bias"].copy()
        tensors[f"{name}.embeddings.position_ids"] = np.arange(25)[None]
        tensors[f"{name}.pooler.dense.weight"] = np.zeros((14, 14), np.float32)

    edit_tensors(tmp_path / "m", repeat)
    same(load_pretrained(tmp_path / "m")[1], params)

    def differ(tensors):
        tensors[f"{head}.decoder.bias"][0] += 1

    edit_tensors(tmp_path / "m", differ)
    refused(tmp_path / "m", f"{head}.decoder.bias differs from {head}.bias")


def test_the_oldest_bert_names(tiny_models, tmp_path):
    _, config, params = tiny_models("bert")
    save_pretrained(tmp_path / "m", config, params)

    def age(tensors):
        return {
            re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", name).replace(
                "LayerNorm.weight", "LayerNorm.gamma"
            ): tensor
            for name, tensor in tensors.items()
        } | {"cls.seq_relationship.weight": np.zeros((2, 14), np.float32)}

    edit_tensors(tmp_path / "m", age)
    assert any("gamma" in name for name in load_file(tmp_path / "m" / "model.safetensors"))
    same(load_pretrained(tmp_path / "m")[1], params)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_base_names_without_prefix_and_old_buffers(tiny_models, tmp_path, name):
    _, config, params = tiny_models(name)
    save_pretrained(tmp_path / "m", config, params)
    prefix = {"llama": "model.", "gpt2": "transformer."}[name]
    buffer = {"llama": "layers.0.self_attn.rotary_emb.inv_freq", "gpt2": "h.1.attn.bias"}[name]

    def strip(tensors):
        bare = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
        return bare | {buffer: np.zeros(5, np.float32)}

    edit_tensors(tmp_path / "m", strip)
    same(load_pretrained(tmp_path / "m")[1], params)


def test_one_tensor_under_two_names(folder):
    edit_tensors(folder, lambda t: t | {"norm.weight": t["model.norm.weight"] + 1})
    refused(folder, "norm.weight", "twice")


# ---------------------------------------------------------------------------------- bad tensors

K_PROJ = "layers.1.self_attn.k_proj.weight"
SPOILT = {
    "missing": (
        lambda t: t.pop(f"model.{K_PROJ}") is ...,
        (f"{K_PROJ} is missing",),
    ),
    "unknown": (
        lambda t: t.update({"model.layers.1.self_attn.k_proj.bias": np.zeros(20, np.float32)}),
        ("model.layers.1.self_attn.k_proj.bias is not known",),
    ),
    "of a layer too many": (
        lambda t: t.update({"model.layers.3.input_layernorm.weight": np.zeros(18, np.float32)}),
        ("model.layers.3.input_layernorm.weight is not known",),
    ),
    "wrong shape": (
        lambda t: t.update({f"model.{K_PROJ}": np.zeros((20, 19), np.float32)}),
        (f"{K_PROJ} has shape (20, 19), expected (20, 18)",),
    ),
    "transposed": (
        lambda t: t.update({f"model.{K_PROJ}": np.zeros((18, 20), np.float32)}),
        (f"{K_PROJ} has shape (18, 20), expected (20, 18)",),
    ),
    "wrong type": (
        lambda t: t.update({f"model.{K_PROJ}": np.zeros((20, 18), np.int64)}),
        (f"{K_PROJ} has dtype I64, expected", "F32"),
    ),
    "several at once": (
        lambda t: t.update({"extra": np.zeros(1, np.float32)}) or t.pop(f"model.{K_PROJ}") is ...,
        (f"{K_PROJ} is missing", "extra is not known"),
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_tensor_that_is(folder, case):
    edit, messages = SPOILT[case]
    edit_tensors(folder, lambda tensors: edit(tensors) or None)
    refused(folder, *messages)


def test_more_layers_than_the_config_says(folder):
    edit_config(folder, num_hidden_layers=2)
    refused(folder, "model.layers.2.", "is not known", "more)")


def test_nothing_is_loaded_as_the_wrong_family(folder):
    edit_config(folder, model_type="qwen2", architectures=["Qwen2ForCausalLM"])
    refused(folder, "attributes not handled: attention_bias=False, mlp_bias=False")
    edit_config(folder, attention_bias=..., mlp_bias=...)
    refused(folder, "q_proj.bias is missing")


# ---------------------------------------------------------------------------------- bad files


def test_truncated_anywhere(folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(folder, "model.safetensors: damaged or truncated")


def test_shards_that_are_not_there(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "m", config, params, max_shard_bytes=5000)
    index = tmp_path / "m" / "model.safetensors.index.json"
    shard = next((tmp_path / "m").glob("model-00002-*"))
    kept = shard.read_bytes()
    shard.unlink()
    refused(tmp_path / "m", f"names shard {shard.name!r}, which is not there")
    save_file({"other": np.zeros(3, np.float32)}, shard)
    refused(tmp_path / "m", shard.name, "which the index names")
    shard.write_bytes(kept)

    good = index.read_text()
    for bad in ("[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "{", ""):
        index.write_text(bad)
        refused(tmp_path / "m", index.name)
    for outside in ("../m/config.json", "/etc/hostname", 3, None):
        decoded = json.loads(good)
        first = next(iter(decoded["weight_map"]))
        decoded["weight_map"][first] = outside
        index.write_text(json.dumps(decoded))
        refused(tmp_path / "m", "which is not there")


def test_pickles_are_refused_with_the_way_out(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "pytorch_model.bin is a pickle", "convert", "save_pretrained")
    (folder / "pytorch_model.bin").unlink()
    refused(folder, "no model.safetensors")


def test_no_folder(tmp_path):
    refused(tmp_path / "nowhere", "nowhere: no such model folder")
    refused(tmp_path, "config.json: not found")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "no such model folder")


BAD_CONFIGS = {
    "not JSON": ("{", "cannot be read as JSON"),
    "not an object": ("[1, 2]", "is not a JSON object"),
    "not text": (b"\xff\xfe\x00", "cannot be read as JSON"),
    "too deep": ("[" * 100_000, "cannot be read as JSON"),
    "no model_type": ({"model_type": ...}, "unknown model_type None"),
    "another model_type": ({"model_type": "mamba"}, "unknown model_type 'mamba'"),
    "an unknown class": ({"architectures": ["LlamaForTelepathy"]}, "'LlamaForTelepathy'"),
    "another's class": ({"architectures": ["BertForMaskedLM"]}, "'BertForMaskedLM'"),
    "an unknown attribute": ({"logit_softcap": 30.0}, "logit_softcap=30.0"),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config"),
    "remote code": ({"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
    "an unknown activation": ({"hidden_act": "swishy"}, "unknown activation 'swishy'"),
    "a text for a number": ({"hidden_size": "18"}, "hidden_size"),
    "a billion layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    "an enormous vocabulary": ({"vocab_size": 10**23}, "vocab_size is 1"),
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers"),
    "a negative size": ({"intermediate_size": -17}, "intermediate_size"),
    "heads that do not divide": ({"num_key_value_heads": 4}, "num_key_value_heads=4"),
    "an odd head": ({"head_dim": 7}, "head_dim"),
    "a null": ({"vocab_size": None}, "vocab_size"),
    "an unknown type": ({"torch_dtype": "int4", "dtype": "int4"}, "config.json"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_config_that_is(folder, case):
    content, message = BAD_CONFIGS[case]
    file = folder / "config.json"
    if isinstance(content, dict):
        edit_config(folder, **content)
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    if case == "an unknown type":
        with pytest.raises(InputError, match="int4"):
            load_pretrained(folder, dtype=None)
    else:
        refused(folder, message)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"add_cross_attention": True}),
        ("bert", {"position_embedding_type": "relative_key"}),
        ("bert", {"is_decoder": True}),
        ("qwen2", {"use_mrope": True}),
    ],
)
def test_an_attribute_that_would_change_the_model_is_named(configs, name, attribute):
    hf = to_hf(configs[name])
    from_hf(hf)
    with pytest.raises(InputError, match=next(iter(attribute))):
        from_hf(hf | attribute)


# ---------------------------------------------------------------------------------- bad saves


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"normalizer": "ssa"}, "normalizer='ssa'"),
        ({"mlp": False}, "mlp=False"),
        ({"residual": False}, "residual=False"),
        ({"position_embedding": "none"}, "position_embedding='none'"),
        ({"head": "regression"}, "head='regression'"),
        ({"vocab_size": None, "input_size": 7, "head": "none"}, "input_size=7"),
    ],
)
def test_what_no_hugging_face_model_is_cannot_be_saved(
    configs, random_params, tmp_path, fields, named
):
    config = dataclasses.replace(configs["llama"], **fields)
    with pytest.raises(InputError) as caught:
        save_pretrained(tmp_path / "m", config, random_params(config))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_leaves_nothing(tiny_models, tmp_path, folder, monkeypatch):
    _, config, params = tiny_models("llama")
    from attention.transformer import weights

    def full(*_):
        raise OSError("No space left on device")

    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(weights, "write_tensors", full)
    with pytest.raises(OSError, match="No space"):
        save_pretrained(tmp_path / "new", config, params)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_parameters_of_another_depth_are_not_saved(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    for kept in ((0, 1), (2,)):
        with pytest.raises(InputError, match="config"):
            save_pretrained(tmp_path / "new", config.keep_layers(kept), params)
        with pytest.raises(InputError, match="config"):
            save_pretrained(tmp_path / "new", config, keep_layers(params, kept))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_left_alone(tiny_models, tmp_path, folder):
    _, config, params = tiny_models("llama")
    before = (folder / "model.safetensors").read_bytes()
    for taken in (folder, folder / "config.json"):
        with pytest.raises(InputError, match="exists and is not an empty folder"):
            save_pretrained(taken, config, params)
    assert (folder / "model.safetensors").read_bytes() == before
    (tmp_path / "empty").mkdir()
    save_pretrained(tmp_path / "empty", config, params)
    same(load_pretrained(tmp_path / "empty")[1], params)
    shutil.rmtree(tmp_path / "empty")
    save_pretrained(tmp_path / "not" / "yet" / "there", config, params)
    same(load_pretrained(tmp_path / "not" / "yet" / "there")[1], params)


# ---------------------------------------------------------------------------------- golden trees

ATTENTION = """
layers/attention/query/kernel 3×{D}×{N}×{H}
layers/attention/key/kernel 3×{D}×{K}×{H}
layers/attention/value/kernel 3×{D}×{K}×{H}
layers/attention/out/kernel 3×{N}×{H}×{D}
"""
QKV_BIASES = """
layers/attention/query/bias 3×{N}×{H}
layers/attention/key/bias 3×{K}×{H}
layers/attention/value/bias 3×{K}×{H}
"""
RMS_NORMS = """
layers/attention_norm/scale 3×{D}
layers/mlp_norm/scale 3×{D}
final_norm/scale {D}
"""
GATED = """
layers/mlp/gate/kernel 3×{D}×17
layers/mlp/up/kernel 3×{D}×17
layers/mlp/down/kernel 3×17×{D}
"""
LLAMA = f"embed/embedding 29×{{D}} {ATTENTION} {RMS_NORMS} {GATED}"
LAYER_NORMED = f"""
{ATTENTION} {QKV_BIASES}
embed/embedding 29×{{D}}
layers/attention/out/bias 3×{{D}}
layers/attention_norm/scale 3×{{D}}
layers/attention_norm/bias 3×{{D}}
layers/mlp_norm/scale 3×{{D}}
layers/mlp_norm/bias 3×{{D}}
layers/mlp/up/kernel 3×{{D}}×17
layers/mlp/up/bias 3×17
layers/mlp/down/kernel 3×17×{{D}}
layers/mlp/down/bias 3×{{D}}
"""
MASKED = f"""
{LAYER_NORMED}
embedding_norm/scale {{D}}
embedding_norm/bias {{D}}
head/dense/kernel {{D}}×{{D}}
head/dense/bias {{D}}
head/norm/scale {{D}}
head/norm/bias {{D}}
head/bias 29
"""
HEAD = "lm_head/kernel 29×{D}"
GOLDEN = {
    "llama": f"{LLAMA} {HEAD}",
    "qwen2": f"{LLAMA} {QKV_BIASES}",
    "qwen3": f"""{LLAMA} {HEAD}
        layers/attention/query_norm/scale 3×{{H}}
        layers/attention/key_norm/scale 3×{{H}}""",
    "mistral": f"{LLAMA} {HEAD}",
    "gpt2": f"""{LAYER_NORMED}
        position_embedding/embedding 23×{{D}}
        final_norm/scale {{D}}
        final_norm/bias {{D}}""",
    "bert": f"""{MASKED}
        position_embedding/embedding 23×{{D}}
        token_type_embedding/embedding 2×{{D}}""",
    "roberta": f"""{MASKED}
        position_embedding/embedding 25×{{D}}
        token_type_embedding/embedding 1×{{D}}""",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_parameter_trees(configs, name):
    """A renamed parameter breaks saved training states: change this literal knowingly."""
    config = configs[name]
    sizes = {
        "D": config.hidden_size,
        "N": config.num_attention_heads,
        "K": config.key_value_heads,
        "H": config.head_size,
    }
    words = GOLDEN[name].format(**sizes).split()
    golden = dict(zip(words[::2], words[1::2], strict=True))
    leaves = jax.tree_util.tree_flatten_with_path(abstract_params(config))[0]
    found = {
        "/".join(key.key for key in path): "×".join(map(str, leaf.shape)) for path, leaf in leaves
    }
    assert found == golden


def test_a_config_reads_back_as_itself(configs):
    for name, config in configs.items():
        again = from_hf(to_hf(config))
        assert isinstance(again, TransformerConfig)
        assert again == from_hf(to_hf(again)), name
        assert hash(again) == hash(from_hf(to_hf(again)))


def test_bfloat16_survives_numpy(tmp_path, folder):
    edit_tensors(folder, lambda t: {k: v.astype(ml_dtypes.bfloat16) for k, v in t.items()})
    _, params = load_pretrained(folder, dtype="float32")
    leaf = np.asarray(params["embed"]["embedding"])
    assert leaf.dtype == np.float32
    assert (leaf == leaf.astype(ml_dtypes.bfloat16).astype(np.float32)).all()
