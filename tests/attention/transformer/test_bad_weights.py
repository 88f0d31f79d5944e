"""Every way in which a checkpoint can be wrong."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import CONFIG_MAPPING

from attention.errors import InputError
from attention.transformer import (
    keep_layers,
    load_pretrained,
    save_pretrained,
)
from attention.transformer.huggingface.attributes import NEUTRAL, OF_OTHERS
from attention.transformer.huggingface.config import from_hf, ignored_attributes, to_hf

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
def test_a_tensor_that_is(edit_tensors, refused, folder, case):
    edit, messages = SPOILT[case]
    edit_tensors(folder, lambda tensors: edit(tensors) or None)
    refused(folder, *messages)


def test_more_layers_than_the_config_says(edit_config, refused, folder):
    edit_config(folder, num_hidden_layers=2)
    refused(folder, "model.layers.2.", "is not known", "more)")


def test_nothing_is_loaded_as_the_wrong_family(edit_config, refused, folder):
    edit_config(folder, model_type="qwen2", architectures=["Qwen2ForCausalLM"])
    refused(folder, "q_proj.bias is missing")


def test_truncated_anywhere(refused, folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(folder, "model.safetensors: damaged or truncated")


def test_shards_that_are_not_there(refused, tiny_models, tmp_path):
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
    for outside, told in [
        ("../m/config.json", "which is not there"),
        ("/etc/hostname", "which is not there"),
        (3, "Expected `str`, got `int`"),
        (None, "Expected `str`, got `null`"),
    ]:
        decoded = json.loads(good)
        first = next(iter(decoded["weight_map"]))
        decoded["weight_map"][first] = outside
        index.write_text(json.dumps(decoded))
        refused(tmp_path / "m", index.name, told)


def test_pickles_are_refused_with_the_way_out(refused, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "pytorch_model.bin is a pickle", "convert", "save_pretrained")
    (folder / "pytorch_model.bin").unlink()
    refused(folder, "no model.safetensors")


def test_no_folder(refused, tmp_path):
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
    "another model's attribute": ({"logit_softcap": 30.0}, "logit_softcap=30.0"),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config"),
    "remote code": (
        {"auto_map": {"AutoModel": "x.Y"}, "architectures": ["YForCausalLM"]},
        "'YForCausalLM'",
    ),
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
def test_a_config_that_is(edit_config, refused, folder, case):
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
        ("gpt2", {"scale_attn_weights": None}),
        ("bert", {"position_embedding_type": "relative_key"}),
        ("llama", {"position_embedding_type": "alibi"}),
        ("llama", {"quantization_config": {"bits": 4}}),
        ("llama", {"rope_condense_ratio": 8}),
        ("llama", {"rope_interleaved": True}),
        ("llama", {"scale_attn_by_inverse_layer_idx": True}),
        ("llama", {"final_logit_softcapping": 30.0}),
        ("llama", {"partial_rotary_factor": 0.5}),
        ("gpt2", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        ("bert", {"is_decoder": True}),
        ("qwen2", {"use_mrope": True}),
        ("llama", {"bias": True}),
        ("bert", {"key_multiplier": 0.7}),
        ("qwen2", {"use_sandwich_norm": True}),
        ("llama", {"output_logit_soft_cap": 15.0}),
    ],
)
def test_an_attribute_that_would_change_the_model_is_named(configs, name, attribute):
    hf = to_hf(configs[name])
    from_hf(hf)
    with pytest.raises(InputError, match=next(iter(attribute))):
        from_hf(hf | attribute)


def test_gemma_3_has_no_capped_scores():
    """Its class keeps the attribute of Gemma 2 and does not compute with it."""
    hf = CONFIG_MAPPING["gemma3_text"]().to_dict() | {"architectures": ["Gemma3ForCausalLM"]}
    from_hf(hf)
    with pytest.raises(InputError, match="attn_logit_softcapping"):
        from_hf(hf | {"attn_logit_softcapping": 50.0})


INERT = {
    "llama": {
        "is_llama_config": True,
        "rope_interleaved": False,
        "rope_condense_ratio": 1,
        "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}},
        "unsloth_fixed": True,
        "_model_name_or_path": "some name",
        "neftune_noise_alpha": 5.0,
        "quantization_config": None,
        "final_logit_softcapping": None,
        "max_sequence_length": 2048,
        "auto_map": {"AutoModel": "x.Y"},
        "bias": False,
        "key_multiplier": 1.0,
        "output_logit_soft_cap": None,
    },
    "gpt2": {"_num_labels": 1, "output_past": True, "scale_attn_weights": True},
    "bert": {"directionality": "bidi", "pooler_fc_size": 768, "pooler_type": "first_token"},
}


@pytest.mark.parametrize("name", INERT)
def test_an_attribute_that_cannot_change_the_model_is_ignored_and_listed(configs, tmp_path, name):
    hf = to_hf(configs[name])
    assert from_hf(hf | INERT[name]) == from_hf(hf)
    listed = ignored_attributes(hf | INERT[name] | {"bos_token_id": 1, "attention_dropout": 0.5})
    unknown = {k for k in INERT[name] if k not in {*NEUTRAL, *OF_OTHERS}}
    assert set(listed) == unknown | {"attention_dropout"}


def test_inert_attributes_of_public_checkpoints(configs, shared):
    cases = json.loads((shared.parent / "cases/inert-attributes/attributes.json").read_text())
    hf = to_hf(configs["llama"])
    for attributes in cases.values():
        assert from_hf(hf | attributes) == from_hf(hf)


def test_the_oldest_name_of_llama(configs):
    hf = to_hf(configs["llama"])
    assert from_hf(hf | {"architectures": ["LLaMAForCausalLM"]}) == from_hf(hf)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
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
    from attention.transformer.huggingface import pretrained as weights

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


def test_a_folder_that_holds_something_is_left_alone(same, tiny_models, tmp_path, folder):
    _, config, params = tiny_models("llama")
    before = (folder / "model.safetensors").read_bytes()
    for taken, message in (
        (folder, "exists and is not an empty folder"),
        (folder / "config.json", "is a file, not a folder"),
    ):
        with pytest.raises(InputError, match=message):
            save_pretrained(taken, config, params)
    assert (folder / "model.safetensors").read_bytes() == before
    (tmp_path / "empty").mkdir()
    save_pretrained(tmp_path / "empty", config, params)
    same(load_pretrained(tmp_path / "empty")[1], params)
    shutil.rmtree(tmp_path / "empty")
    save_pretrained(tmp_path / "not" / "yet" / "there", config, params)
    same(load_pretrained(tmp_path / "not" / "yet" / "there")[1], params)
