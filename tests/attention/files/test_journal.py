"""The journal keeps whole lines, forgets a cut-off one and names every other fault."""

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from attention.files import Journal, RecordKind, read_journal


def check_count(record):
    if type(record["correct"]) is not int:
        raise TypeError


KINDS = {
    "candidate": RecordKind(("dropped",), ("dropped", "correct", "bound"), check_count,
                            lambda old, new: old["bound"] and new["bound"]),
    "note": RecordKind(),
}  # fmt: skip
RECORDS = [
    {"kind": "candidate", "dropped": [], "correct": 5, "bound": False},
    {"kind": "candidate", "dropped": [2, "3.mlp"], "correct": 6, "bound": True},
    {"kind": "note", "text": "é", "answers": [["é", True], [None, False]]},
]


def with_sum(record):
    found = zlib.crc32(json.dumps(record, sort_keys=True).encode())
    return (json.dumps({**record, "crc": found}) + "\n").encode()


LINES = [with_sum(each) for each in RECORDS]
BARE = [(json.dumps(each) + "\n").encode() for each in RECORDS]  # of before there were check sums


@pytest.mark.parametrize("lines", [LINES, BARE])
def test_a_changed_letter_is_noticed(tmp_path, lines):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines))
    assert read_journal(path, KINDS)[0] == RECORDS
    path.write_bytes(b"".join(lines).replace(b'"correct": 5', b'"correct": 4'))
    if lines is LINES:
        with pytest.raises(InputError, match=r"journal\.jsonl:1: not a line"):
            read_journal(path, KINDS)


def test_reads_what_it_wrote_and_writes_it_once(tmp_path, capsys):
    path = tmp_path / "journal.jsonl"
    with Journal(path, KINDS) as journal:
        assert not path.exists()
        for record in RECORDS + RECORDS:
            assert journal.append(**record) == record
    assert path.read_bytes() == b"".join(LINES)
    assert read_journal(path, KINDS) == (RECORDS, len(path.read_bytes()))
    with Journal(path, KINDS) as journal:
        assert journal.get("candidate", (2, "3.mlp")) == RECORDS[1]
        assert journal.get("candidate", [2]) is None
        assert journal.get("note") == RECORDS[2]
        assert list(journal.of_kind("candidate")) == RECORDS[:2]
        assert len(journal) == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("tail", [b"{", LINES[2][:-1], b"\xff\x00"])
def test_cuts_off_an_unfinished_line(tmp_path, capsys, tail):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(LINES[:2]) + tail)
    with Journal(path, KINDS) as journal:
        journal.append(**RECORDS[2])
    assert path.read_bytes() == b"".join(LINES)
    assert "goes on from the last whole one" in capsys.readouterr().err


def test_a_replay_that_disagrees_is_refused_but_where_both_are_right(tmp_path):
    with Journal(tmp_path / "journal.jsonl", KINDS) as journal:
        for record in RECORDS:
            journal.append(**record)
        with pytest.raises(InputError, match="where the journal says otherwise"):
            journal.append(**RECORDS[0] | {"correct": 7})
        with pytest.raises(InputError, match="where the journal says otherwise"):
            journal.append("note", text="another")
        assert journal.append(**RECORDS[1] | {"correct": 4}) == RECORDS[1]
    assert (tmp_path / "journal.jsonl").read_bytes() == b"".join(LINES)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"kind": "unknown"}, KeyError),
        ({"kind": "candidate", "dropped": []}, ValueError),
        ({"kind": "candidate", "dropped": [], "correct": "5", "bound": False}, TypeError),
        ({"kind": "note", "share": float("nan")}, ValueError),
    ],
)
def test_writes_only_what_is_declared(tmp_path, fields, error):
    with Journal(tmp_path / "journal.jsonl", KINDS) as journal, pytest.raises(error):
        journal.append(**fields)
    assert list(tmp_path.iterdir()) == []


GARBAGE = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"") + b"\n"),
    st.sampled_from(
        [
            b"[" * 5000 + b"\n",
            b'{"kind": "header"}\n',
            b'{"kind": "candidate"}\n',
            b'{"kind": "candidate", "dropped": [], "correct": 1}\n',
            b'{"kind": "candidate", "dropped": [{}], "correct": 1, "bound": false}\n',
            b'{"kind": "candidate", "dropped": [1], "correct": "x", "bound": false}\n',
            b'{"kind": []}\n',
            b"[]\n",
            b'"kind"\n',
        ]
    ),
)


@settings(deadline=None)
@given(garbage=GARBAGE, line=st.integers(0, 3))
def test_garbage_is_named(tmp_path_factory, garbage, line):
    path = tmp_path_factory.mktemp("garbage") / "journal.jsonl"
    path.write_bytes(b"".join([*LINES[:line], garbage, *LINES[line:]]))
    packed = line == 0 and garbage.startswith(b"\x1f\x8b")  # read as a gzip file
    said = "journal\\.jsonl: " if packed else rf"journal\.jsonl:{line + 1}: not a line"
    for read in (Journal, read_journal):
        with pytest.raises(InputError, match=said):
            read(path, KINDS)
