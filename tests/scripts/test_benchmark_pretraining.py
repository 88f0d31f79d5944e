"""Both programs of the benchmark train the same model on the same question."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from attention.language.pretraining import OBJECTIVES, Pretraining, config_of
from attention.transformer import parameter_counts


@pytest.mark.parametrize("name", ["decoder", "encoder"])
def test_equal_models(name, monkeypatch):
    pytest.importorskip("torch")  # the rivals are written in it
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    for module in ("benchmark_pretraining", "rivals", "rivals.language_model"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    import benchmark_pretraining
    from rivals.language_model import Trainer

    recipe = benchmark_pretraining.recipe_of(name, 4)
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 96}  # fmt: skip
    recipe = dataclasses.replace(recipe, model={**recipe.model, **small}, vocabulary=53)
    objective = OBJECTIVES[recipe.objective]
    config = config_of(Pretraining(), recipe, objective, 53, "float32")
    theirs = Trainer(2, 4, 24, 53, 128, name == "decoder")
    # RoBERTa has one segment, and two rows of positions before the first one.
    extra = 0 if name == "decoder" else 3 * 24
    counted = sum(parameter.numel() for parameter in theirs.parameters)
    assert sum(parameter_counts(config).values()) == counted + extra
    (part,) = benchmark_pretraining.batch_of(recipe).values()
    wall, processor = theirs.steps({k: v for k, v in part.items() if k != "weights"}, 1)
    assert wall > 0 and processor >= 0 and part["weights"].all()
    if name == "encoder":
        assert part["places"].shape == (4, 19) and (np.diff(part["places"]) > 0).all()
