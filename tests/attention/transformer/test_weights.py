"""Checkpoints there and back to the bit; tied tensors; old names."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attention.errors import InputError
from attention.transformer import (
    TransformerConfig,
    keep_layers,
    load_pretrained,
    save_pretrained,
    unstack_layers,
)
from attention.transformer.huggingface.config import from_hf, to_hf


def test_every_family_there_and_back(same, tiny, tmp_path):
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


@pytest.mark.quick("gpt2-token", "bert-none", "qwen2-sequence", "roberta-sequence")
@pytest.mark.parametrize("head", ["sequence", "token", "none"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "mistral", "gpt2", "bert", "roberta"])
def test_every_head_there_and_back(same, configs, random_params, tmp_path, name, head):
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
def test_tied_and_untied(same, configs, random_params, tmp_path, name, tied):
    config = dataclasses.replace(configs[name], tie_word_embeddings=tied)
    params = random_params(config)
    assert ("lm_head" in params) == (not tied)
    save_pretrained(tmp_path / "m", config, params)
    again, loaded = load_pretrained(tmp_path / "m")
    assert again.tie_word_embeddings == tied
    same(loaded, params)


@pytest.mark.quick("bfloat16")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_types(same, tiny_models, tmp_path, dtype):
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


def test_shards(same, tiny_models, tmp_path):
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


def test_dropped_layers_are_renumbered(same, tiny_models, tmp_path):
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


def test_what_a_source_gives(edit_config, tiny_models, tmp_path, folder):
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


def test_both_layouts_of_rope_settings(edit_config, refused, folder):
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
    for wrong in (
        {"rope_type": "su"},
        {"rope_type": "llama3", "factor": 2.0},
        {"rope_type": "yarn"},
    ):
        edit_config(folder, rope_parameters={"rope_theta": 1e4, **wrong})
        refused(folder, "rope")


def test_either_of_two_tied_tensors_may_be_stored(
    edit_tensors, refused, same, configs, random_params, tmp_path
):
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

    edit_tensors(tmp_path / "m", differ)  # a head of its own, whatever the config says
    found, loaded = load_pretrained(tmp_path / "m")
    assert not found.tie_word_embeddings
    head, embedding = loaded["lm_head"]["kernel"], loaded["embed"]["embedding"]
    assert head[2, 3] == embedding[2, 3] + 1
    assert (head != embedding).sum() == 2  # that one, and the NaN

    def another_type(tensors):
        tensors["lm_head.weight"] = np.zeros((29, 18), np.int64)

    edit_tensors(tmp_path / "m", another_type)
    refused(tmp_path / "m", "lm_head.weight")


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_masked_lm_checkpoints_that_repeat_themselves(
    edit_tensors, same, tiny_models, tmp_path, name
):
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

    edit_tensors(tmp_path / "m", differ)  # torch adds the decoder's bias
    found = load_pretrained(tmp_path / "m")[1]["head"]["bias"]
    assert found[0] == params["head"]["bias"][0] + 1
    same(found[1:], params["head"]["bias"][1:])


def test_a_tensor_in_two_shards_is_that_which_the_index_names(same, tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "m", config, params, max_shard_bytes=5000)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())["weight_map"]
    name = "model.norm.weight"
    for shard in {*index.values()} - {index[name]}:  # before and behind the right one
        tensors = load_file(tmp_path / "m" / shard)
        tensors[name] = np.full(18, 7, np.float32)
        save_file(tensors, tmp_path / "m" / shard, {"format": "pt"})
    same(load_pretrained(tmp_path / "m")[1], params)


def test_consolidated_weights_beside_the_shards_are_left_alone(same, folder, tiny_models):
    weights = {"tok_embeddings.weight": np.zeros((29, 18), np.float32)}
    (folder / "original").mkdir()
    for name in ("consolidated.safetensors", "original/consolidated.00.safetensors"):
        save_file(weights, folder / name)
    (folder / "original" / "consolidated.00.pth").write_bytes(b"a pickle")
    same(load_pretrained(folder)[1], tiny_models("llama").params)


def test_the_oldest_bert_names(edit_tensors, same, tiny_models, tmp_path):
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
def test_base_names_without_prefix_and_old_buffers(edit_tensors, same, tiny_models, tmp_path, name):
    _, config, params = tiny_models(name)
    save_pretrained(tmp_path / "m", config, params)
    prefix = {"llama": "model.", "gpt2": "transformer."}[name]
    buffer = {"llama": "layers.0.self_attn.rotary_emb.inv_freq", "gpt2": "h.1.attn.bias"}[name]

    def strip(tensors):
        bare = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
        return bare | {buffer: np.zeros(5, np.float32)}

    edit_tensors(tmp_path / "m", strip)
    same(load_pretrained(tmp_path / "m")[1], params)


def test_one_tensor_under_two_names(edit_tensors, refused, folder):
    edit_tensors(folder, lambda t: t | {"norm.weight": t["model.norm.weight"] + 1})
    refused(folder, "norm.weight", "twice")


def test_a_config_reads_back_as_itself(configs):
    for name, config in configs.items():
        again = from_hf(to_hf(config))
        assert isinstance(again, TransformerConfig)
        assert again == from_hf(to_hf(again)), name
        assert hash(again) == hash(from_hf(to_hf(again)))


def test_bfloat16_survives_numpy(edit_tensors, tmp_path, folder):
    edit_tensors(folder, lambda t: {k: v.astype(ml_dtypes.bfloat16) for k, v in t.items()})
    _, params = load_pretrained(folder, dtype="float32")
    leaf = np.asarray(params["embed"]["embedding"])
    assert leaf.dtype == np.float32
    assert (leaf == leaf.astype(ml_dtypes.bfloat16).astype(np.float32)).all()
