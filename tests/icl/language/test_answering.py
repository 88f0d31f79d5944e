"""Who answers: a local checkpoint, and a server."""

import json

import pytest

from attention.errors import InputError
from icl import language
from icl.cli import main

KEY = "OPENAI_API_KEY"


def test_an_endpoint(server, monkeypatch):
    monkeypatch.setenv(KEY, "word")
    with server() as (found, url):
        answer = language.endpoint(url, "some-model", temperature=0.6)
        assert list(answer(["one", "two"])) == [["5.0"], ["5.0"]]
    path, key, body = found.seen[0]
    assert len(found.seen) == 2 and path == "/v1/chat/completions" and key == "Bearer word"
    assert body["model"] == "some-model" and body["temperature"] == 0.6
    assert body["messages"][0]["content"] == "one"


def test_an_endpoint_without_a_key(server, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with server(content=None) as (found, url):
        assert list(language.endpoint(url, "m")(["hello"])) == [[""]]
    assert found.seen[0][1] is None


def test_a_local_checkpoint(write_model, tmp_path):
    folder = write_model(tmp_path / "model", max_position_embeddings=400, num_hidden_layers=1)
    answer = language.checkpoint(str(folder), max_tokens=3, batch_tokens=32)
    texts = ["ab: 1", "another, longer: 2", "c"]
    (found,) = answer(texts)
    assert len(found) == 3 and all(isinstance(text, str) and len(text) <= 9 for text in found)
    assert [found] == list(answer(texts))
    assert found[2] == next(iter(answer(["c", texts[1]])))[0]  # whatever its neighbours
    with pytest.raises(InputError, match="fewer points"):
        list(answer(["1" * 500]))
    drawn = language.checkpoint(str(folder), max_tokens=3, temperature=2.0, seed=3)
    assert list(drawn(texts)) != [found]  # and not the most probable


def test_what_was_answered_is_kept(faulty, tmp_path, capsys):
    """A server that fails in the middle: the same line goes on, and no question is sent twice."""
    words = ["ask", "--model", "m", "--out", str(tmp_path / "out"), "--count", "3", "--tries", "1"]
    failing = faulty.FAULTS["broken"]
    with faulty.FaultyServer(faulty.reply(), faulty.reply(), failing) as server:
        words += ["--endpoint", server.url]
        with pytest.raises(SystemExit) as stop:
            main(words)
        said = capsys.readouterr().err.splitlines()  # a long wait says what is waited for
        assert stop.value.code == 2 and [line[:5] for line in said].count("icl: ") == 1
        assert not (tmp_path / "out" / "errors.csv").exists()
        server.replies = [faulty.reply()]
        main(words)
        assert len(server.seen) == 4
        before = (tmp_path / "out" / "errors.csv").read_bytes()
        main(words)
        assert len(server.seen) == 4 and (tmp_path / "out" / "errors.csv").read_bytes() == before
    lines = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["5.0"] * 3
