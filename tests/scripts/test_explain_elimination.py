"""The script that explains the answers of a model before and after elimination."""

import pytest

from attention.errors import InputError
from tale_jax import search
from tale_jax.models import load_model
from tale_jax.tasks import Example


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("explain_elimination")


def test_answers_are_one_token_and_the_same_everywhere(script, write_model, tmp_path):
    model = load_model(str(write_model(tmp_path / "tiny")))
    asked = [Example("abc", ("d", "e"), 0), Example("fgh", ("d", "e"), 1)]
    first, second = script.answer_tokens(model, asked)
    assert model.tokenizer.convert_ids_to_tokens([first, second]) == ["d", "e"]
    for other in (("d", "f"), ("de", "e")):
        with pytest.raises(InputError, match="same for all questions"):
            script.answer_tokens(model, [asked[0], Example("fgh", other, 1)])


@pytest.mark.nightly
def test_a_search_is_explained(script, tmp_path):
    run, short = tmp_path / "run", {"limit": 2, "draws": 1, "data": tmp_path / "data"}
    search("demo", "demo:boolean", run, limit=23, max_drops=2, quiet=True)
    found = script.main(run, **short)
    assert list(found) == ["whole", "BEST", "BSBA", "random 0"]
    assert len(found["random 0"]["dropped"]) == len(found["BSBA"]["dropped"])
    for row in found.values():
        assert row["examples"] == 2 and row["support"]["vertex"] <= row["support"]["raw"]
        assert all(0 <= low <= share <= high <= 1 for share, low, high in row["flips"].values())
    assert len(list((run / "explain").glob("*/report.html"))) == 4
    assert script.main(run, **short) == found  # read, not measured
