"""A tokenizer is read from a model folder, and code in that folder is never run."""

import io
import json
import sys

import pytest

from attention.errors import InputError
from attention.files import load_tokenizer


def test_reads_what_is_in_the_folder(letter_tokenizer, tmp_path):
    letter_tokenizer().save_pretrained(tmp_path)
    # a model type of the project's own must not be warned about
    (tmp_path / "config.json").write_text('{"model_type": "llama_halves"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.decode(tokenizer("abc")["input_ids"], skip_special_tokens=True) == "abc"


def test_a_folder_without_one_is_refused_in_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no tokenizer that can be read") as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def sentences(tmp_path):
    """A folder with a model of SentencePiece alone."""
    sentencepiece = pytest.importorskip("sentencepiece")
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat", "red fruit by the sea"] * 9),
        model_writer=written,
        vocab_size=53,
        model_type="bpe",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "tokenizer.model").write_bytes(written.getvalue())
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


def test_a_model_of_sentencepiece_alone_is_converted(sentences):
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    expected = sentencepiece.SentencePieceProcessor(str(sentences / "tokenizer.model"))
    tokenizer = load_tokenizer(sentences)
    for text in ("the cat sat", "red fruit by"):
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert found == expected.encode(text)


def test_what_reads_sentencepiece_is_named_if_it_is_missing(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(InputError, match=r"needs sentencepiece.*tale-jax\[sentencepiece\]"):
        load_tokenizer(tmp_path)


def test_code_in_the_folder_is_not_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(mark)!r}, 'w')\nclass Mine: pass\n")
    files = {
        "config.json": {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}},
        "tokenizer_config.json": {
            "tokenizer_class": "Mine",
            "auto_map": {"AutoTokenizer": ["mine.Mine", None]},
        },
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match="no tokenizer that can be read"):
        load_tokenizer(tmp_path)
    assert not mark.exists()


def _changed(folder, change):
    file = folder / "tokenizer.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


RUNAWAY = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}


def test_a_regular_expression_without_end_is_one_line(letter_tokenizer, tmp_path, capfd):
    letter_tokenizer().save_pretrained(tmp_path)
    _changed(tmp_path, lambda value: value.update(pre_tokenizer=RUNAWAY))
    tokenizer = load_tokenizer(tmp_path)
    with pytest.raises(InputError, match=r"the tokenizer of .* fails") as error:
        tokenizer("a" * 60 + "b")
    assert "\n" not in str(error.value) and capfd.readouterr().err == ""
    assert type(tokenizer).__name__ == type(letter_tokenizer()).__name__


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.clear(),
        lambda value: value.update(model={}),
        lambda value: value.update(model=None),
        lambda value: value["model"].update(type="Magic"),
        lambda value: value["model"].update(vocab={"a": -1}),
        lambda value: value["model"].update(vocab={"a": 2**40}),
        lambda value: value["model"].update(vocab=[]),
        lambda value: value.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}}),
        lambda value: value.update(added_tokens=[{"id": "x"}]),
        lambda value: value.update(post_processor={"type": "Nothing"}),
        lambda value: value.update(normalizer=5),
    ],
)
def test_damaged_tokenizers_are_one_line(letter_tokenizer, tmp_path, change):
    letter_tokenizer().save_pretrained(tmp_path)
    _changed(tmp_path, change)
    with pytest.raises(InputError) as error:
        load_tokenizer(tmp_path)
    assert "\n" not in str(error.value) and "no tokenizer that can be read" in str(error.value)


def test_code_of_a_model_is_not_run_and_nobody_is_asked(letter_tokenizer, tmp_path, monkeypatch):
    letter_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')")
    file = tmp_path / "tokenizer_config.json"
    about = json.loads(file.read_text()) | {"auto_map": {"AutoTokenizer": ["mine.Mine", None]}}
    file.write_text(json.dumps(about | {"tokenizer_class": "Mine"}))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question"))
    try:
        load_tokenizer(tmp_path)("a")
    except InputError as error:
        assert "\n" not in str(error)
