"""Minimal pairs of BLiMP and Zorro as tasks."""

import pytest

from attention.errors import InputError
from tale_jax.tasks.loading import load_task


def questions(task):
    return [(e.prompt, e.choices) for e in (*task.search, *(task.test or ()))]


@pytest.mark.parametrize("name", ["blimp:passive_1", "zorro:case-subjective_pronoun"])
def test_minimal_pairs(shared, name):
    task = load_task(name, data=shared)
    assert task.test is not None and task.halves
    examples = (*task.search, *task.test)
    assert len(examples) == (998 if name.startswith("blimp") else 2000) - (
        len(questions(task)) - len(examples)
    )
    assert 0.4 < sum(int(e.answer) for e in examples) / len(examples) < 0.6
    if name.startswith("zorro"):
        good = {e.choices[int(e.answer)] for e in examples if e.choices}
        assert "i brought the wolf my hill ." in good
        assert "the wolf brought i my hill ." not in good
    else:
        assert any("2 pairs of identical" in note for note in task.notes)
    with pytest.raises(InputError, match=r"there are .*"):
        load_task(name + "x", data=shared)


def test_zorro_lines_must_alternate(tmp_path):
    (tmp_path / "zorro").mkdir()
    for text, why in [
        ("a\nb\nc\n", "3 lines"),
        ("a\n\nb\nc\n", ":2: an empty line"),
        ("", "0 lines"),
    ]:
        (tmp_path / "zorro" / "p.txt").write_text(text)
        with pytest.raises(InputError, match=why):
            load_task("zorro:p", data=tmp_path)
