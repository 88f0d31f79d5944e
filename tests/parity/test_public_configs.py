"""Configs of public checkpoints, and those in installed packages, at small sizes."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from attention.errors import InputError
from attention.transformer.huggingface.families import FAMILIES

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
FILE = ROOT.parent / "shared/cases/configs/public_configs.json"
PUBLIC = json.loads(FILE.read_text()) if FILE.is_file() else {}
LARGEST = 1e-4  # of the largest logit
# The other public configs are compared at night, as are most of the classes' own defaults.
QUICK = ["codellama_7b", "ministral3_3b_2512", "gemma3_1b_it"]
# name → what the refusal says
REFUSED: dict[str, str] = {}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "check_families", ROOT / "scripts/check_families.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_families"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_families"]


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.nightly) for n in PUBLIC] or ["none"],
)
def test_public(script, name):
    if not PUBLIC:
        pytest.skip("no ../shared/cases")
    if name in REFUSED:
        with pytest.raises(InputError) as caught:
            script.compare(PUBLIC[name])
        assert REFUSED[name] in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        assert script.compare(PUBLIC[name]).difference < LARGEST


@pytest.mark.quick("llama", "bert", "gemma3_text")
@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_of_the_class(script, name):
    compared = script.compare(script.defaults(name))
    assert compared.family == name
    assert compared.difference < LARGEST


def test_installed(script):
    """What packages hold agrees, or is refused because of its family or class."""
    found = script.installed_configs()
    if not found:
        pytest.skip("no installed package holds a config.json of a model")
    for name, hf in found.items():
        try:
            assert script.compare(hf).difference < LARGEST, name
        except InputError as error:
            known = hf["model_type"] in FAMILIES
            assert not known or "unknown architecture" in str(error), (name, error)


def test_the_page_of_models_lists_every_family():
    page = (ROOT / "docs/guides/models.md").read_text()
    table = page.partition("<!-- families")[2]
    missing = [name for name in FAMILIES if f"| `{name}` |" not in table]
    assert not missing, "python scripts/check_families.py --page docs/guides/models.md"
