"""Adapters written by PEFT, merged here, give PEFT's logits."""

import pytest

from attention.transformer import load_pretrained

torch = pytest.importorskip("torch")

KINDS = {
    "some of the modules": {"target_modules": ["q_proj", "v_proj"]},
    "all, with a stabilised rank": {"target_modules": "all-linear", "use_rslora": True},
    "ranks of their own": {
        "target_modules": ["k_proj", "up_proj"],
        "rank_pattern": {"k_proj": 2},
        "alpha_pattern": {"layers.1.mlp.up_proj": 13},
        "modules_to_save": ["lm_head"],
    },
    "some of the layers": {"target_modules": ["down_proj"], "layers_to_transform": [0, 2]},
}


# PEFT asks transformers in words that it will lose.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_logits(make_model, batch, theirs, ours, agree, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = make_model("llama")
    model.save_pretrained(tmp_path / "base")
    peft = pytest.importorskip("peft")  # it takes seconds
    config = peft.LoraConfig(r=5, lora_alpha=7, task_type="CAUSAL_LM", **KINDS[kind])
    adapted = peft.get_peft_model(model, config).eval()
    adapted.base_model.model.config._name_or_path = str(tmp_path / "base")
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.normal_(0, 0.2)
    adapted.save_pretrained(tmp_path / "adapter")
    tokens, where, positions = batch
    expected = theirs(adapted, tokens, where, positions)
    found = ours(*load_pretrained(tmp_path / "adapter"), tokens, where)
    agree(found, expected, where)
