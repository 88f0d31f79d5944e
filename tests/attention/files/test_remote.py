"""Servers that fail, and addresses that are refused: one line, and the key stays here."""

import contextlib
from typing import Annotated

import msgspec
import pytest

from attention.errors import InputError
from attention.files import JsonServer, RemoteOptions

KEY = "sk-a-secret-word"
SHORT = RemoteOptions(timeout=0.6, tries=2)


class Message(msgspec.Struct):
    content: str


class Choice(msgspec.Struct):
    message: Message


class Reply(msgspec.Struct):
    choices: Annotated[list[Choice], msgspec.Meta(min_length=1)]


def ask(url, options=SHORT, shape=Reply):
    with JsonServer(url, KEY, "THE_KEY", options, pause=0.001) as server:
        return server.post({"question": "one"}, shape)


def test_every_fault_is_one_line_without_the_key(faulty, fault):
    with faulty.FaultyServer(faulty.FAULTS[fault]) as server, pytest.raises(InputError) as error:
        ask(server.url)
    assert "\n" not in str(error.value) and KEY not in str(error.value)
    assert server.url in str(error.value) and len(str(error.value)) < 400


def test_asks_again_after_what_passes(faulty):
    lost, busy = b"", faulty.reply(b"", "503 Service Unavailable")
    with faulty.FaultyServer(busy, lost, faulty.reply()) as server:
        assert ask(server.url, RemoteOptions(tries=3)).choices[0].message.content == "5.0"
    assert len(server.seen) == 3
    assert all(f"Bearer {KEY}".encode() in request for request in server.seen)
    with (
        faulty.FaultyServer(faulty.reply(b"", "404 Not Found")) as server,
        pytest.raises(InputError),
    ):
        ask(server.url)
    assert len(server.seen) == 1  # would not be better the second time


def test_an_echo_of_the_key_is_not_kept(faulty):
    with faulty.FaultyServer(faulty.reply(f'{{"said": "{KEY}"}}'.encode())) as server:
        assert ask(server.url, shape=dict[str, str]) == {"said": "[key]"}
    told = faulty.reply(b"", f"400 {KEY} is wrong")
    with (
        faulty.FaultyServer(told) as server,
        pytest.raises(InputError, match=r"400 \[key\] is wrong"),
    ):
        ask(server.url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http:///v1",
        "ftp://localhost/v1",
        "file:///etc/hosts",
        "localhost:80",
        "http://example.org/v1",
        "http://127.0.0.1.example.org/v1",
        "http://name:pa55@localhost/v1",
        "https://key@example.org/v1",
        "http://[::1/v1",
        "http://localhost:99999/v1",
        "http://localhost:-1/v1",
        "http://local host/v1",
        "http://localhost/v1?key=1",
        "http://localhost/\x00",
        "http://\ud800/",
        "https://" + "a" * 300 + "/v1",
        "https://xn--/v1",
        "http://0x7f.1/v1",
    ],
)
def test_addresses_that_are_refused(url):
    """Nobody is reached by mistake; where an address is possible, it is another's machine."""
    with pytest.raises(InputError) as error, contextlib.ExitStack() as stack:
        server = stack.enter_context(JsonServer(url, KEY, "THE_KEY", SHORT, pause=0.001))
        server.post({}, Reply)
    assert KEY not in str(error.value) and "pa55" not in str(error.value)


def test_a_key_is_one_printable_word():
    for key in ("a\nb", "schlüssel", "a\x00b"):
        with pytest.raises(InputError, match="THE_KEY has letters") as error:
            JsonServer("http://localhost/v1", key, "THE_KEY")
        assert key not in str(error.value)
    assert JsonServer("http://example.org", KEY, options=RemoteOptions(allow_http=True))
