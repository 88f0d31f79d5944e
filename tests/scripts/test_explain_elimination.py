"""The script that explains the answers of a model before and after elimination."""

import pytest

from attention.errors import InputError
from tale_jax import search
from tale_jax.models import load_model
from tale_jax.tasks import Example


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("explain_elimination")


def test_questions_are_explained_whose_choices_begin_differently(script, write_model, tmp_path):
    model = load_model(str(write_model(tmp_path / "tiny")))
    first, alike = Example("abc", ("de", "ed"), 0), Example("fgh", ("de", "df"), 1)
    three, last = Example("fgh", ("a", "b", "c"), 1), Example("hgf", ("a", "b"), 1)
    found = script.questions_of(model, [first, alike, three, last], 3)
    words = [[model.tokenizer.decode(tokens) for tokens in each[:2]] for each in found]
    assert words == [["<s>abc", "de"], ["<s>hgf", "ab"]]
    assert [question.right for question in found] == [0, 1]
    assert script.questions_of(model, [first, last], 1) == found[:1]
    with pytest.raises(InputError, match="two choices begin with one token"):
        script.questions_of(model, [alike], 1)
    with pytest.raises(InputError, match="only choices"):
        script.questions_of(model, [Example("abc", None, "d")], 1)


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
