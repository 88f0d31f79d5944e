"""Labels of words, their states, and what a probe reads."""

import json

import numpy as np
import pytest

from attention.errors import InputError
from attention.language.probing.measured import Subject
from attention.language.probing.options import Asked
from attention.language.probing.treebank.layer_probes import (
    control_labels,
    measure_layers,
    read_words,
    sentence_interval,
)
from attention.language.probing.treebank.word_labels import (
    WORD_LABELS,
    ParsedSentence,
    read_treebank,
)
from attention.transformer import Transformer

# "the" ← "cat" ← "sat"(root) → "down"; "now" hangs below "down" five times as a chain.
SENTENCE = ParsedSentence(
    ["the", "cat", "sat", "down", "a", "b", "c"],
    ["DET", "NOUN", "VERB", "ADV", "X", "X", "X"],
    ["_", "Number=Sing", "Tense=Past|Number=Plur", "_", "Number=Ptan", "_", "_"],
    [2, 3, 0, 3, 4, 5, 1],
)


def test_labels_of_words():
    found = {name: row.read(SENTENCE) for name, row in WORD_LABELS.items()}
    assert found["head"] == ["+1", "+1", "root", "-1", "-1", "-1", "-4"]
    assert found["depth"] == ["2", "1", "0", "1", "2", "3", "3"]
    assert found["number"] == [None, "Sing", "Plur", None, None, None, None]
    assert found["tense"] == [None, None, "Past", None, None, None, None]


def test_states_are_those_of_the_last_token_of_a_word(decoder):
    words = read_words(decoder, [SENTENCE])
    assert words.states.shape == (7, 3, 22)
    tokens = [1, *decoder.tokenizer("the cat sat down a b c", add_special_tokens=False).input_ids]
    _, captured = Transformer(decoder.config).apply(
        {"params": decoder.params}, np.array([tokens]), capture=("hidden_states",)
    )
    places = [3, 7, 11, 16, 18, 20, 22]  # letters are tokens, and the first is the marker
    expected = np.asarray(captured["hidden_states"])[:, 0, places]
    np.testing.assert_allclose(words.states[:, 1:].swapaxes(0, 1), expected, atol=1e-5)
    assert words.types[:2] == ["the", "cat"]


def test_control_labels_belong_to_types():
    found = control_labels(["x", "y"], ["a", "b", "a", "c", "b"], 3)
    assert found[0] == found[2] and found[1] == found[4]
    many = control_labels(["x"] * 3 + ["y"], [str(i) for i in range(2000)], 3)
    assert many.count("x") / 2000 == pytest.approx(0.75, abs=0.04)


def test_whole_sentences_are_drawn():
    right = np.repeat([1.0, 0.0], 50)
    low, high = sentence_interval(right, np.repeat([0, 1], 50))
    assert (low, high) == (0.0, 1.0)  # two sentences say little, whatever their length
    low, high = sentence_interval(right, np.arange(100))
    assert 0.38 < low < 0.43 and 0.57 < high < 0.62


def test_probes_of_a_model(decoder, tmp_path):
    draw = np.random.default_rng(5)
    folder = tmp_path / "classification" / "ud_english_ewt"
    folder.mkdir(parents=True)
    for split, count in (("train", 67), ("test", 31)):
        lines = []
        for _ in range(count):
            kinds = draw.integers(0, 2, 5)  # the first letter tells the part of speech
            line = {
                "tokens": ["ab"[kind] + "".join(draw.choice(list("cde"), 2)) for kind in kinds],
                "upos": [("NOUN", "VERB")[kind] for kind in kinds],
                "feats": [("Number=Sing", "Number=Plur|Tense=Past")[kind] for kind in kinds],
                "heads": [2, 0, 2, 3, 4],
            }
            line["feats"][0] = "Tense=Pres"
            lines.append(json.dumps(line))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    found = measure_layers("ud", Subject(decoder, Asked(tmp_path)))
    rows = {(row["task"], row["layer"]): row for row in found.layers}
    assert len(rows) == 5 * 3
    assert rows["pos", 0]["accuracy"] < 0.7  # the last letter alone does not tell
    assert rows["pos", 2]["accuracy"] > max(0.75, rows["pos", 0]["accuracy"] + 0.1)
    assert rows["pos", 2]["tokens"] == 31 * 5
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in found.layers)
    assert rows["pos", 2]["selectivity"] == rows["pos", 2]["accuracy"] - rows["pos", 2]["control"]
    assert rows["pos", 2]["untrained"] is not None


def test_bad_treebanks(tmp_path):
    with pytest.raises(InputError, match=r"no .*train.jsonl"):
        read_treebank(tmp_path, "train")
    (tmp_path / "ud_english_ewt").mkdir()
    row = {"tokens": ["a"], "upos": ["X"], "feats": ["_"], "heads": [2]}
    (tmp_path / "ud_english_ewt" / "train.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=r"train.jsonl:1: a head is no word"):
        read_treebank(tmp_path, "train")
