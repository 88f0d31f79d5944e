import dataclasses
import gzip
import json

import numpy as np
import pytest

from attention.errors import InputError
from attention.language.corpora import (
    RowSource,
    Shares,
    TokenFiles,
    documents_of,
    encode_corpus,
    load_corpus,
    load_tokens,
    split_of,
    tokenizer_digest,
    train_tokenizer,
)
from attention.language.corpora.drawing import PADDING
from attention.language.corpora.token_files import _dtype, sentences

WORDS = "the dog saw a cat and it ran to the old house near our river".split()


def document(number: int) -> str:
    draw = np.random.default_rng(number)
    return f"Tale {number} begins. " + " ".join(
        " ".join(draw.choice(WORDS, 7)).capitalize() + "." for _ in range(11)
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    texts = [document(i) for i in range(61)]
    (folder / "one.txt").write_text("\n\n".join(texts[:29]))
    (folder / "two.txt.gz").write_bytes(gzip.compress("\n \n".join(texts[29:47]).encode()))
    lines = (json.dumps({"text": text}) + "\n" for text in texts[47:])
    (folder / "three.jsonl").write_text("".join(lines))
    return load_corpus(folder)


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(documents_of(corpus, "train"), 307, closed=False)


@pytest.fixture(scope="module")
def encoded(corpus, tokenizer, tmp_path_factory) -> TokenFiles:
    shares = Shares(validation=0.2, test=0.1)
    return encode_corpus(corpus, tokenizer, tmp_path_factory.mktemp("tokens"), shares=shares)


def test_documents_of_text_and_json(corpus):
    assert sorted(corpus.documents()) == sorted(document(i) for i in range(61))
    assert list(corpus.documents()) == list(corpus.documents())  # as often as one likes


def test_splits_are_disjoint_and_independent_of_the_rest(corpus):
    texts = [document(i) for i in range(701)]
    shares = Shares(validation=0.3, test=0.2)
    splits = [split_of(text, shares) for text in texts]
    assert abs(splits.count("validation") / 701 - 0.3) < 0.06
    assert abs(splits.count("test") / 701 - 0.2) < 0.06
    assert all(split_of(text, Shares(0.0, 0.2)) == "test" for text in texts
               if split_of(text, shares) == "test")  # fmt: skip
    with pytest.raises(InputError, match="no document to train on"):
        Shares(0.5, 0.5)


def test_tokens_are_those_of_each_document(encoded, corpus, tokenizer):
    shares = Shares(validation=0.2, test=0.1)
    for split in ("train", "validation", "test"):
        tokens, starts = encoded.tokens(split), encoded.units(split)
        texts = list(documents_of(corpus, split, shares))
        assert encoded.counts[split]["units"] == len(texts) == len(starts) - 1
        assert encoded.counts[split]["bytes"] == sum(len(text.encode()) for text in texts)
        for text, first, last in zip(texts, starts[:-1], starts[1:], strict=True):
            ids = list(tokens[int(first) : int(last)])
            assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
            assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_tokens_are_written_once_and_named_by_what_they_are(encoded, corpus, tokenizer):
    shares = Shares(validation=0.2, test=0.1)
    before = (encoded.folder / "index.json").stat().st_mtime_ns
    again = encode_corpus(corpus, tokenizer, encoded.folder.parent, shares=shares)
    assert again == encoded == load_tokens(encoded.folder)
    assert (encoded.folder / "index.json").stat().st_mtime_ns == before
    assert tokenizer_digest(tokenizer)[:12] in encoded.folder.name
    other = encode_corpus(corpus, tokenizer, encoded.folder.parent)
    assert other.folder != encoded.folder and other.corpus_digest != encoded.corpus_digest


def test_shards_read_as_one(encoded, corpus, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("attention.language.corpora.token_files.SHARD", 997)
    shares = Shares(validation=0.2, test=0.1)
    small = encode_corpus(corpus, tokenizer, tmp_path, shares=shares)
    assert len(small.shards["train"]) > 3
    whole, parts = encoded.tokens("train"), small.tokens("train")
    assert len(whole) == len(parts)
    for first in (0, 990, 1500):
        assert np.array_equal(whole[first : first + 1201], parts[first : first + 1201])


def test_rows_are_a_pure_function_of_seed_and_step(encoded):
    rows = RowSource(encoded, "train", 23, "packed")
    one, same = rows.draw(5, 3, 7), rows.draw(5, 3, 7)
    assert np.array_equal(one.tokens, same.tokens) and one.tokens.shape == (7, 24)
    assert not np.array_equal(one.tokens, rows.draw(6, 3, 7).tokens)
    steps = len(rows) // 7 + 1
    seen = np.concatenate([rows.numbers(5, step, 7) for step in range(steps)])[: len(rows)]
    assert sorted(seen) == list(range(len(rows)))  # an epoch reads all rows once


def test_packed_rows_know_their_documents(encoded, tokenizer):
    rows = RowSource(encoded, "train", 23, "packed")
    found = rows.read(np.arange(len(rows)))
    new = found.tokens[:, 1:] == tokenizer.bos_token_id
    assert new.any() and np.array_equal(np.diff(found.segments, axis=1) == 1, new)
    assert (found.segments[:, 0] == 0).all()
    stream = RowSource(encoded, "train", 23, "stream").read(np.arange(len(rows)))
    assert np.array_equal(stream.tokens, found.tokens) and not stream.segments.any()


def test_sentences_one_a_row(corpus, tmp_path):
    assert sentences('He ran. "No!" said Mrs. Lee. It was 3.5 m.\nEnd') == [
        "He ran.", '"No!" said Mrs. Lee.', "It was 3.5 m.", "End"]  # fmt: skip
    closed = train_tokenizer(documents_of(corpus, "train"), 307, closed=True)
    files = encode_corpus(corpus, closed, tmp_path, unit="sentence")
    rows = RowSource(files, "train", 40, "sentence", closed.pad_token_id).draw(0, 0, 5)
    for ids, real in zip(rows.tokens, rows.real, strict=True):
        text = ids[real]
        assert text[0] == closed.bos_token_id and (ids[~real] == closed.pad_token_id).all()
        assert len(text) == rows.tokens.shape[1] or text[-1] == closed.eos_token_id
    assert set(rows.segments.flat) <= {0, PADDING}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no .txt"),
        ({"a.txt": ""}, "the corpus is empty"),
        ({"a.jsonl": '{"body": "x"}\n'}, "no text in the field 'text'; there are body"),
    ],
)
def test_bad_corpora_end_in_one_line(files, message, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        list(load_corpus(tmp_path).documents())


def test_other_faults_end_in_one_line(corpus, encoded, tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        load_corpus(tmp_path / "missing")
    with pytest.raises(InputError, match="fewer than one row of 100001"):
        RowSource(encoded, "train", 100_000, "packed")
    nothing = dataclasses.replace(
        encoded, counts={**encoded.counts, "test": {"units": 0, "tokens": 0, "bytes": 0}}
    )
    with pytest.raises(InputError, match="has 0 tokens, fewer than one row"):
        RowSource(nothing, "test", 7, "packed")
    with pytest.raises(InputError, match="needs tokens of a sentence"):
        RowSource(encoded, "train", 10, "sentence")
    with pytest.raises(InputError, match="too large for uint16"):
        _dtype(70_000, "uint16")
    assert (_dtype(65_536, "auto"), _dtype(65_537, "auto")) == ("uint16", "uint32")
    with pytest.raises(InputError, match="at least 261"):
        train_tokenizer([], 200, closed=True)
    (tmp_path / "blank.txt").write_text("\n \n\n")
    with pytest.raises(InputError, match="empty"):
        list(documents_of(load_corpus(tmp_path), "train"))
        train_tokenizer(documents_of(load_corpus(tmp_path), "train"), 300, closed=True)


def test_the_sample_travels_with_the_package():
    corpus = load_corpus()
    texts = list(corpus.documents())
    assert corpus.name == "sample" and len(texts) == 51
    shares = Shares()
    assert {split_of(text, shares) for text in texts} == {"train", "validation", "test"}
