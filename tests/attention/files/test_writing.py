"""Files and folders appear whole or not at all, and never over something else."""

import json

import numpy as np
import pytest

from attention.errors import InputError
from attention.files import (
    check_folder,
    new_folder,
    write_bytes,
    write_json,
    write_json_lines,
    write_new,
    write_text,
)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_writes_and_replaces_in_folders_of_its_own(tmp_path):
    file = tmp_path / "deep" / "er" / "a.txt"
    write_text(file, "é\n")
    write_text(file, "two\r\nlines\n")
    assert file.read_bytes() == b"two\r\nlines\n"
    write_bytes(file, b"\xff")
    assert file.read_bytes() == b"\xff"
    assert names(tmp_path) == ["deep", "deep/er", "deep/er/a.txt"]


def test_what_a_kill_left_is_overwritten(tmp_path):
    (tmp_path / ".a.json.part").write_text("half a ra")
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"é": [1, None]}
    assert names(tmp_path) == ["a.json"]


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        write_json_lines(tmp_path / "deep" / "b.jsonl", [{"a": 1}, {"a": float("inf")}])
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_what_json_has_no_word_for(tmp_path):
    value = {"a": [float("nan"), np.float32("inf"), 1.5], "b": np.arange(3), "c": tmp_path}
    write_json(tmp_path / "a.json", value)
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == {"a": [None, None, 1.5], "b": [0, 1, 2], "c": str(tmp_path)}


def test_lines(tmp_path):
    write_json_lines(tmp_path / "a.jsonl", [{"a": "x\ny"}, [2]])
    assert (tmp_path / "a.jsonl").read_text() == '{"a": "x\\ny"}\n[2]\n'


def test_new_files_replace_nothing(tmp_path):
    write_new(tmp_path / "list", "3,5\n")
    with pytest.raises(InputError, match=r"list exists.*--out"):
        write_new(tmp_path / "list", "4\n")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="broken exists"):
        write_new(tmp_path / "broken", "4\n")
    assert (tmp_path / "list").read_text() == "3,5\n"


def test_faults_end_in_one_line_and_leave_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    before = names(tmp_path)
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "deep" / "a"):
        with pytest.raises(InputError, match="cannot write"):
            write_text(path, "text")
        with pytest.raises(InputError, match="is a file"), new_folder(path):
            pass
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == before


def test_a_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "deep" / "model"
    with new_folder(target) as scratch:
        (scratch / "config.json").write_text("{}")
        assert not target.exists()
    assert names(tmp_path) == ["deep", "deep/model", "deep/model/config.json"]
    with pytest.raises(InputError, match="not an empty folder"), new_folder(target):
        pass


def test_a_folder_may_be_there_if_it_is_empty(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / ".model.part").mkdir()  # of a killed process
    (tmp_path / ".model.part" / "old").write_text("old")
    with new_folder(tmp_path / "model") as scratch:
        (scratch / "new").write_text("new")
    assert names(tmp_path) == ["model", "model/new"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_folder_that_fails_leaves_nothing(tmp_path, error):
    def fail():
        with new_folder(tmp_path / "deep" / "model") as scratch:
            (scratch / "config.json").write_text("{}")
            raise error("no")

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == []


def test_folders_are_checked_before_long_work(tmp_path):
    (tmp_path / "file").write_text("mine")
    check_folder(tmp_path / "not" / "yet")
    check_folder(tmp_path)
    check_folder(tmp_path / "not", empty=True)
    for path in (tmp_path / "file", tmp_path / "file" / "deep" / "run"):
        with pytest.raises(InputError, match="file is a file"):
            check_folder(path)
    with pytest.raises(InputError, match="not an empty folder"):
        check_folder(tmp_path, empty=True)
