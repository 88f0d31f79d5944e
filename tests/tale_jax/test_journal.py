"""The journal keeps whole lines, forgets a cut-off one and names every other fault."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.runs.directory import load_run
from tale_jax.runs.journal import Journal, read_journal, to_line

SETTINGS = {"model": "m", "epsilon": 0.08}
RECORDS = [
    {"kind": "header", "format": 2, "settings": SETTINGS},
    {
        "kind": "candidate",
        "iteration": 0,
        "layer": None,
        "dropped": [],
        "correct": 5,
        "bound": False,
    },
    {"kind": "accepted", "iteration": 1, "layer": 2, "dropped": [2], "correct": 6, "bound": False},
    {"kind": "evaluated", "split": "test", "dropped": [2], "answers": [["é", True], [None, False]]},
]
LINES = [to_line(record).encode() for record in RECORDS]


def test_reads_what_it_wrote_and_writes_it_once(tmp_path):
    journal = Journal(tmp_path / "run", SETTINGS)
    for record in RECORDS + RECORDS:
        journal.append(record)
    journal.close()
    data = journal.path.read_bytes()
    assert data == b"".join(LINES)
    assert read_journal(journal.path) == (RECORDS, len(data))


@pytest.mark.parametrize("tail", [b"{", LINES[3][:-1], b"\xff\x00"])
def test_cuts_off_an_unfinished_line(tmp_path, tail):
    (tmp_path / "journal.jsonl").write_bytes(b"".join(LINES[:3]) + tail)
    journal = Journal(tmp_path, SETTINGS, resume=True)
    journal.append(RECORDS[3])
    journal.close()
    assert journal.path.read_bytes() == b"".join(LINES)


def test_refuses_another_format(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"kind": "header", "format": 1, "settings": {}}\n')
    with pytest.raises(InputError, match="journal format 1"):
        Journal(tmp_path, SETTINGS, resume=True)


CANDIDATE = b'{"kind": "candidate", "iteration": 1, "layer": '
GARBAGE = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"") + b"\n"),
    st.sampled_from(
        [
            b"[" * 5000 + b"\n",
            b'{"kind": "header", "format": 2, "settings": {}}\n',
            b'{"kind": "candidate"}\n',
            CANDIDATE + b'[], "dropped": [], "correct": 1, "bound": false}\n',
            CANDIDATE + b'1, "dropped": ["a"], "correct": 1, "bound": false}\n',
            CANDIDATE + b'1, "dropped": [1], "correct": "x", "bound": false}\n',
            b'{"kind": "evaluated", "split": "test", "dropped": [1], "answers": [[1]]}\n',
            b'{"kind": [], "split": "test"}\n',
        ]
    ),
)


@settings(deadline=None)
@given(garbage=GARBAGE, line=st.integers(1, 4))
def test_garbage_is_named(tmp_path_factory, garbage, line):
    directory = tmp_path_factory.mktemp("garbage")
    (directory / "journal.jsonl").write_bytes(b"".join([*LINES[:line], garbage, *LINES[line:]]))
    message = rf"journal.jsonl:{line + 1}: not a line"
    with pytest.raises(InputError, match=message):
        Journal(directory, SETTINGS, resume=True)
    with pytest.raises(InputError, match=message):
        load_run(directory)
