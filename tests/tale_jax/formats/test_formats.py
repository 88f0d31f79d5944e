"""The formats that a model is exported in."""

import pytest
import yaml

from attention.errors import InputError
from tale_jax import export
from tale_jax.formats import FORMATS, Format, mergekit_recipe


def test_recipes_name_ranges_of_layers(searched, tmp_path):
    recipe = yaml.safe_load(mergekit_recipe('a"b: c', [0, 1, 3, 5, 6], "bfloat16"))
    sources = [s["sources"][0] for s in recipe["slices"]]
    assert [s["layer_range"] for s in sources] == [[0, 2], [3, 4], [5, 7]]
    assert {s["model"] for s in sources} == {'a"b: c'}
    assert recipe["merge_method"] == "passthrough"
    export(searched / "a", "bsba", tmp_path / "x.yaml", format="mergekit")
    with pytest.raises(InputError, match="exists"):
        export(searched / "a", "bsba", tmp_path / "x.yaml", format="list")


def write_depth(exported, out):
    """A format from outside the package."""
    out.write_text(f"{len(exported.kept)} of {exported.run.summary['num_layers']}\n")


def test_a_format_of_your_own_is_one_row(searched, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "depth", Format("how many layers are left", write_depth))
    found = export(searched / "a", "bsba", tmp_path / "depth", format="depth")
    assert (tmp_path / "depth").read_text() == f"{len(found['kept'])} of 5\n"


def test_without_out_a_model_is_only_described(searched):
    found = export(searched / "a", pick="bsba")
    assert found["out"] is None and len(found["kept"]) + len(found["dropped"]) == 5
    assert "not written" in str(found)
