"""A tokenizer is read from a model folder, and code in that folder is never run."""

import json

import pytest
from tiny_models import letter_tokenizer

from attention.errors import InputError
from attention.files import load_tokenizer


def test_reads_what_is_in_the_folder(tmp_path):
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
