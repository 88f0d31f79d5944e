"""PEFT adapters are merged into the model that they were trained for, or refused by name."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attention.transformer import load_pretrained, save_pretrained
from attention.transformer.huggingface.adapters import OTHER_KINDS

RANK, ALPHA = 3, 7
TARGETS = ("q_proj", "o_proj", "down_proj")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_adapter(folder, base, targets=TARGETS, layers=(0, 1, 2), transposed=False, **changes):
    """A random adapter of a checkpoint; returns the tensors that the merged model should have."""
    rng = np.random.default_rng(1)
    stored = {}
    for file in base.glob("*.safetensors"):
        stored |= load_file(file)
    scale = changes.pop("scale", ALPHA / RANK)
    tensors, merged = {}, dict(stored)
    for name, weight in stored.items():
        module = name.removesuffix(".weight")
        if not any(
            module.endswith(f".{t}") and f".{i}." in module for t in targets for i in layers
        ):
            continue
        if not name.endswith(".weight"):
            continue
        out, inner = weight.shape[::-1] if transposed else weight.shape
        a = rng.normal(0, 0.3, (RANK, inner)).astype(np.float32)
        b = rng.normal(0, 0.3, (out, RANK)).astype(np.float32)
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
        merged[name] = weight + scale * ((b @ a).T if transposed else b @ a)
    assert tensors
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(base),
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": list(targets),
        "lora_dropout": 0.1,
        "use_dora": False,
        "bias": "none",
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(about | changes))
    return merged


def expected_params(folder, base, merged):
    """The parameters of a checkpoint with these tensors."""
    folder.mkdir()
    (folder / "config.json").write_text((base / "config.json").read_text())
    save_file(merged, folder / "model.safetensors", {"format": "pt"})
    return load_pretrained(folder)[1]


def close(found, expected):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6), found, expected
    )


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({}, ALPHA / RANK),
        ({"use_rslora": True}, ALPHA / RANK**0.5),
        ({"r": 5, "rank_pattern": {"q_proj|o_proj|down_proj": RANK}}, ALPHA / RANK),
        ({"lora_alpha": 5, "alpha_pattern": {".*_proj": ALPHA}}, ALPHA / RANK),
        ({"target_modules": r".*\.(self_attn\.[qo]|mlp\.down)_proj"}, ALPHA / RANK),
    ],
)
def test_weights_are_those_of_the_sum(folder, tmp_path, changes, scale):
    merged = write_adapter(tmp_path / "adapter", folder, scale=scale, **changes)
    config, params = load_pretrained(tmp_path / "adapter")
    close(params, expected_params(tmp_path / "expected", folder, merged))
    assert config == load_pretrained(folder)[0]
    assert not np.allclose(
        params["layers"]["attention"]["query"]["kernel"],
        load_pretrained(folder)[1]["layers"]["attention"]["query"]["kernel"],
    )


def test_shards_and_some_layers_alone(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    base = tmp_path / "base"
    save_pretrained(base, config, params, max_shard_bytes=5000)
    merged = write_adapter(tmp_path / "adapter", base, layers=(1,), layers_to_transform=[1])
    found = load_pretrained(tmp_path / "adapter")[1]
    close(found, expected_params(tmp_path / "expected", base, merged))


def test_matrices_that_are_stored_transposed(tiny_models, tmp_path):
    _, config, params = tiny_models("gpt2")
    base = tmp_path / "base"
    save_pretrained(base, config, params)
    merged = write_adapter(tmp_path / "adapter", base, ("c_attn",), transposed=True)
    found = load_pretrained(tmp_path / "adapter")[1]
    close(found, expected_params(tmp_path / "expected", base, merged))


def test_modules_that_are_saved_whole(folder, tmp_path):
    merged = write_adapter(tmp_path / "adapter", folder, modules_to_save=["lm_head"])
    head = np.full((29, 18), 0.25, np.float32)
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file(load_file(file) | {"base_model.model.lm_head.weight": head}, file)
    found = load_pretrained(tmp_path / "adapter")[1]
    close(found, expected_params(tmp_path / "expected", folder, merged | {"lm_head.weight": head}))


def test_it_is_merged_once_and_again_when_it_changes(same, folder, tmp_path):
    write_adapter(tmp_path / "adapter", folder)
    first = load_pretrained(tmp_path / "adapter")[1]
    same(load_pretrained(tmp_path / "adapter")[1], first)
    made = (tmp_path / "cache" / "tale-jax" / "adapters").iterdir()
    assert sum(each.is_dir() for each in made) == 1
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(file.read_text().replace(f'"lora_alpha": {ALPHA}', '"lora_alpha": 11'))
    again = load_pretrained(tmp_path / "adapter")[1]
    query = [p["layers"]["attention"]["query"]["kernel"] for p in (first, again)]
    assert not np.allclose(*query)


def test_tokenizer_files_of_the_adapter_come_first(folder, tmp_path):
    from attention.transformer import checkpoint_folder

    (folder / "tokenizer.json").write_text("{}")
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    write_adapter(tmp_path / "adapter", folder)
    (tmp_path / "adapter" / "tokenizer.json").write_text('{"own": 1}')
    found = checkpoint_folder(tmp_path / "adapter")
    assert (found / "tokenizer.json").read_text() == '{"own": 1}'
    assert (found / "generation_config.json").read_text() == '{"eos_token_id": [1, 2]}'


def edit(folder, change):
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


Q = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"
SPOILT = {
    "a target without its adapter": (
        lambda t: [t.pop(Q), t.pop(Q.replace("_A", "_B"))],
        "layers.1.self_attn.q_proj is a target and lacks its adapter",
    ),
    "half an adapter": (lambda t: t.pop(Q), "layers.1.self_attn.q_proj has one of"),
    "a module that the base lacks": (
        lambda t: t.update({Q.replace(".1.", ".9."): t[Q], Q.replace(".1.", ".9.").replace(
            "_A", "_B"): t[Q.replace("_A", "_B")]}),
        "layers.9.self_attn.q_proj is adapted, and the base lacks it",
    ),
    "another rank": (
        lambda t: t.update({Q: np.zeros((5, 18), np.float32)}),
        "layers.1.self_attn.q_proj has an adapter of rank 5, its config says 3",
    ),
    "another size": (
        lambda t: t.update({Q: np.zeros((3, 17), np.float32)}),
        "layers.1.self_attn.q_proj is of size (60, 18), its adapter of (60, 17)",
    ),
    "an unknown tensor": (
        lambda t: t.update({"base_model.model.score.weight": t[Q]}),
        "score.weight is not known",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_what_does_not_fit_is_named(refused, folder, tmp_path, case):
    change, message = SPOILT[case]
    write_adapter(tmp_path / "adapter", folder)
    edit(tmp_path / "adapter", change)
    refused(tmp_path / "adapter", "does not fit", message)


def test_an_adapted_module_that_is_no_target(refused, folder, tmp_path):
    write_adapter(tmp_path / "adapter", folder, target_modules=["q_proj", "o_proj"])
    refused(tmp_path / "adapter", "layers.0.mlp.down_proj is adapted and no target")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of the type IA3"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        *(({name: True}, f"{name} of LoRA") for name in OTHER_KINDS),
    ],
)
def test_other_kinds_are_refused_by_name(refused, folder, tmp_path, changes, message):
    write_adapter(tmp_path / "adapter", folder, **changes)
    refused(tmp_path / "adapter", message)


def test_its_base_must_be_there(refused, folder, tmp_path):
    write_adapter(tmp_path / "adapter", folder, base_model_name_or_path="./nowhere")
    refused(tmp_path / "adapter", "nowhere: no such model folder")
    write_adapter(tmp_path / "pickled", folder)
    file = tmp_path / "pickled" / "adapter_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    refused(tmp_path / "pickled", "no adapter_model.safetensors", "pickles")
