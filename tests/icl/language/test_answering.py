"""Who answers: a local checkpoint, and a server."""

import pytest
from tiny_models import write_model

from attention.errors import InputError
from icl import language

KEY = "OPENAI_API_KEY"


def test_an_endpoint(server, monkeypatch):
    monkeypatch.setenv(KEY, "word")
    with server() as (found, url):
        answer = language.endpoint(url, "some-model", temperature=0.6)
        assert answer(["one", "two"]) == ["5.0", "5.0"]
    path, key, body = found.seen[0]
    assert len(found.seen) == 2 and path == "/v1/chat/completions" and key == "Bearer word"
    assert body["model"] == "some-model" and body["temperature"] == 0.6
    assert body["messages"][0]["content"] == "one"


def test_an_endpoint_without_a_key(server, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with server(content=None) as (found, url):
        assert language.endpoint(url, "m")(["hello"]) == [""]
    assert found.seen[0][1] is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"status": 401}, "answered 401 .*OPENAI_API_KEY"),
        ({"status": 500}, "answered 500"),
        ({"status": 302}, "answered 302"),  # a redirection is not followed
        ({"reply": b"<html>"}, "OpenAI-compatible"),
        ({"reply": b'{"choices": []}'}, "OpenAI-compatible"),
    ],
)
def test_servers_that_fail(server, how, said):
    with server(**how) as (found, url), pytest.raises(InputError, match=said) as error:
        language.endpoint(url, "m")(["hello"])
    assert "\n" not in str(error.value) and len(found.seen) == 1


def test_no_server(server):
    with server() as (_, url):
        pass
    with pytest.raises(InputError, match="cannot be reached"):
        language.endpoint(url, "m")(["hello"])
    with pytest.raises(InputError, match="http"):
        language.endpoint("file:///etc/hosts", "m")


def test_a_local_checkpoint(tmp_path):
    folder = write_model(tmp_path / "model", max_position_embeddings=400)
    answer = language.checkpoint(str(folder), max_tokens=3, batch_tokens=32)
    texts = ["ab: 1", "another, longer: 2", "c"]
    found = answer(texts)
    assert len(found) == 3 and all(isinstance(text, str) and len(text) <= 9 for text in found)
    assert found == answer(texts)
    assert found[2] == answer(["c", texts[1]])[0]  # whatever its neighbours
    with pytest.raises(InputError, match="fewer points"):
        answer(["1" * 500])
    drawn = language.checkpoint(str(folder), max_tokens=3, temperature=2.0, seed=3)
    assert drawn(texts) != found  # and not the most probable
