"""What is read is checked: any fault is one line that names the file, and the line in it."""

import gzip
import os

import pytest

from attention.errors import InputError
from attention.files import read_bytes, read_json, read_json_lines, read_table, write_table

LINES = b'{"a": 1}\n\n  \n{"a": "\xc3\xa9", "b": [null, 2.5]}\n'
VALUES = [{"a": 1}, {"a": "é", "b": [None, 2.5]}]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: b"\xef\xbb\xbf" + data])
def test_reads_lines_plain_packed_and_marked(tmp_path, pack):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(pack(LINES))
    assert read_bytes(file) == LINES
    assert read_json_lines(file) == VALUES
    assert read_json_lines(file, lambda fields: fields["a"]) == [1, "é"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1', "not JSON: .* at column"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 1, "a": 2}', "a key is given twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1234567890123456789}', "the number 123456789012… is too large"),
        (b"\xff", "byte 1 is not UTF-8"),
        (b"[" * 100_000, "JSON nested too deeply"),
        (b'{"a": "refused"}', "the reader refused this"),
    ],
)
def test_a_fault_names_its_line(tmp_path, line, message):
    def parse(fields):
        if fields["a"] == "refused":
            raise ValueError("the reader refused this")
        return fields

    file = tmp_path / "rows.jsonl"
    file.write_bytes(LINES + line + b"\n" + LINES)
    with pytest.raises(InputError, match=rf"rows\.jsonl:5: {message}"):
        read_json_lines(file, parse)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LINES)[:-9])
    for name, message in (
        ("absent", "no such file"),
        ("cut.gz", "damaged gzip"),
        (".", "is a folder"),
        ("\0", "not a file name"),
    ):
        for read in (read_bytes, read_json, read_json_lines):
            with pytest.raises(InputError, match=message):
                read(f"{tmp_path}/{name}")


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000])
def test_json_that_is_no_object(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: (cannot be read as|is not a) JSON"):
        read_json(tmp_path / "a.json")


def test_reads_an_object(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, "é"]}


def test_tables_keep_their_cells(tmp_path):
    rows = [
        {"name": 'a "quoted", name', "layers": (3, "5.mlp"), "share": 0.1},
        {"layers": [], "name": None, "note": "two\nlines"},
    ]
    write_table(tmp_path / "a.csv", rows)
    assert read_table(tmp_path / "a.csv") == [
        {"name": 'a "quoted", name', "layers": "3 5.mlp", "share": "0.1", "note": ""},
        {"name": "", "layers": "", "share": "", "note": "two\nlines"},
    ]
    write_table(tmp_path / "a.csv", rows, ("share", "name"))
    text = (tmp_path / "a.csv").read_bytes()
    assert text == b'share,name\n0.1,"a ""quoted"", name"\n,\n'
    write_table(tmp_path / "a.csv", [], ("share", "name"))
    assert read_table(tmp_path / "a.csv") == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff,1\n")
    with pytest.raises(InputError, match=r"a\.csv: cannot be read as a table"):
        read_table(tmp_path / "a.csv")


def test_only_regular_files_of_a_limited_size_are_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match="is a pipe, a socket or a device"):
            read_bytes(path)
    with pytest.raises(InputError, match="is a folder"):
        read_bytes(tmp_path)
    monkeypatch.setenv("TALE_JAX_LIMITS", "file=0.01,json=0.001,line=0.001")
    (tmp_path / "bomb").write_bytes(gzip.compress(b"0" * 20_000))
    (tmp_path / "long").write_bytes(b'{"a": "' + b"0" * 2000 + b'"}')
    with pytest.raises(InputError, match=r"more than 0.01 MiB: TALE_JAX_LIMITS=file=0.04"):
        read_bytes(tmp_path / "bomb")
    with pytest.raises(InputError, match="json="):
        read_json(tmp_path / "long")
    with pytest.raises(InputError, match=r"long:1: more than .*=line="):
        read_json_lines(tmp_path / "long")
    for wrong in ("file=-1", "file=x", "fail=1", "file=nan"):
        monkeypatch.setenv("TALE_JAX_LIMITS", wrong)
        with pytest.raises(InputError, match=r"limit|TALE_JAX_LIMITS"):
            read_bytes(tmp_path / "long")
