"""Labelled texts: named sets, files, rows from outside, and labels as a model numbers them."""

import gzip
import json

import pytest

from attention.errors import InputError
from attention.language import (
    SOURCES,
    Dataset,
    LabelledText,
    Row,
    Source,
    generate_texts,
    load_texts,
    with_labels_of,
)


def test_labels_are_found_by_name(tmp_path):
    texts = [LabelledText(["a"], None, [i]) for i in range(2)]
    data = Dataset("d", "sequence", ["no", "yes"], texts)

    def named(*labels):
        content = {"id2label": {str(i): label for i, label in enumerate(labels)}}
        (tmp_path / "config.json").write_text(json.dumps(content))
        return with_labels_of(tmp_path, data)

    found = named("Maybe", "YES", "No")  # another order and case, and one more
    assert found.labels == ["Maybe", "YES", "No"]
    assert [text.labels for text in found.texts] == [[2], [1]]
    assert named("LABEL_0", "LABEL_1") == named("no", "yes") == data
    for labels in (("LABEL_0", "LABEL_1", "LABEL_2"), ("yes",), ("no", "No", "YES"), ()):
        with pytest.raises(InputError, match="label sets differ"):
            named(*labels)


def test_the_generated_task_needs_its_question():
    texts = generate_texts(1, 300)
    assert texts == generate_texts(1, 300)
    answers = set()
    for text in texts:
        words = " ".join(text.words)
        clause = next(c for c in words.split(" the ") if c.startswith(text.words[0] + " w"))
        good = any(w in clause for w in "good lovely great clean fresh kind".split())
        turned = " not " in clause or " never " in clause
        assert text.labels == [int(good != turned)]
        answers.add(text.labels[0])
    assert answers == {0, 1}


def test_files_have_labels_of_texts_or_of_words(tmp_path):
    file = tmp_path / "texts.jsonl"
    lines = [
        {"text": "so (it) is.", "label": "b"},
        {"text": "no", "pair": "why?", "label": "a"},
        {"text": "", "label": "a"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    found = load_texts(str(file), "test")
    assert (found.kind, found.labels) == ("sequence", ["a", "b"])
    assert found.texts == [
        LabelledText("so ( it ) is .".split(), None, [1]),
        LabelledText(["no"], ["why", "?"], [0]),
    ]
    file.write_text(json.dumps({"tokens": ["x", "y"], "tags": ["N", "M"]}))
    found = load_texts(str(file), "train")
    assert (found.kind, found.texts) == ("token", [LabelledText(["x", "y"], None, [1, 0])])
    file.write_text(json.dumps({"tokens": ["x"], "label": "N"}))
    wrong = r"texts.jsonl:1: Object missing required field `text`; a line is"
    with pytest.raises(InputError, match=wrong):
        load_texts(str(file), "test")
    with pytest.raises(InputError, match=r"unknown task 'snil' \(did you mean snli\?\)"):
        load_texts("snil", "test")


def test_splits_of_one_file_share_nothing(tmp_path):
    (tmp_path / "movie_reviews").mkdir()
    lines = [{"id": f"cv{i}00_1", "text": f"t{i}", "label": i % 2} for i in range(10)]
    packed = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    (tmp_path / "movie_reviews" / "all.jsonl.gz").write_bytes(packed)
    words = [
        {text.words[0] for text in load_texts("reviews", split, tmp_path).texts}
        for split in ("train", "validation", "test")
    ]
    assert [len(each) for each in words] == [8, 1, 1] and len(set.union(*words)) == 10


def test_a_row_from_outside(monkeypatch):
    rows = {"test": [Row(["a", "b"], None, ["p", "q"])], "train": []}
    own = Source("token", ["q", "p"], lambda split, folder: rows[split], "two words")
    monkeypatch.setitem(SOURCES, "own", own)
    assert load_texts("own", "test").texts == [LabelledText(["a", "b"], None, [1, 0])]
    assert "own" in SOURCES.listed
    rows["train"] = [Row(["a"], None, ["r"])]
    with pytest.raises(InputError, match="own has a label 'r', which is none of q, p"):
        load_texts("own", "train")
