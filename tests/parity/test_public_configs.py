"""Configurations of public checkpoints as they stand, with sizes reduced, against torch."""

import copy
import json
from pathlib import Path

import pytest

from attention.transformer import load_pretrained

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

FILE = Path(__file__).parents[3] / "shared" / "cases" / "configs" / "public_configs.json"
V, HEAD = 29, 16
SMALL = {
    "vocab_size": V,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_size": 4 * HEAD,
    "intermediate_size": 37,
    "head_dim": HEAD,
    "n_embd": 2 * HEAD,
    "n_layer": 3,
    "n_head": 2,
    "sliding_window": 4,
}


def reduced(hf):
    """The same kind of model with three small layers and a vocabulary of 29."""
    small = {name: SMALL.get(name, value) for name, value in copy.deepcopy(hf).items()}
    groups = hf.get("num_attention_heads", 1) // hf.get("num_key_value_heads", 1)
    if "num_key_value_heads" in hf:  # one for all, one for each, or some
        small["num_key_value_heads"] = {1: 4, hf["num_attention_heads"]: 1}.get(groups, 2)
    for name, of_all in (("sliding_window", hf.get("sliding_window")), ("head_dim", 1)):
        if name in hf and not (hf[name] and of_all):
            small[name] = hf[name]
    scaling = small.get("rope_scaling") or {}
    for name in ("short_factor", "long_factor"):
        if name in scaling:
            scaling[name] = scaling[name][: HEAD // 2]
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if isinstance(small.get(name), int):
            small[name] = 1
        elif name in small:
            small[name] = [1, 2]
    return small | {"torch_dtype": "float32", "dtype": "float32"}


CONFIGS = json.loads(FILE.read_text()) if FILE.exists() else {}  # a checkout without them


@pytest.mark.parametrize("name", CONFIGS)
def test_a_public_config_agrees_with_torch(batch, theirs, ours, agree, tmp_path, name):
    hf = CONFIGS[name]
    seeing = "text_config" in hf  # its language model is meant
    hf = reduced(hf["text_config"] | {"model_type": hf["model_type"]} if seeing else hf)
    config = transformers.CONFIG_MAPPING[hf["model_type"]].from_dict(copy.deepcopy(hf))
    kind = transformers.AutoModelForCausalLM
    if not seeing and hf["architectures"][0].endswith("Model"):
        kind = transformers.AutoModel
    torch.manual_seed(0)
    model = kind.from_config(config).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            parameter.normal_(1.0 if path.endswith("norm.weight") else 0.0, 0.3)
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(hf))
    tokens, where, positions = batch
    expected = theirs(model, tokens, where, positions)
    config, params = load_pretrained(tmp_path)
    agree(ours(config, params, tokens, where), expected, where)
