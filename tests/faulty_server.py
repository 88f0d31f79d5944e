"""A local server that fails in every way that a server can; for tests."""

import contextlib
import json
import socket
import threading
import time

GOOD = json.dumps({"choices": [{"message": {"role": "assistant", "content": "5.0"}}]}).encode()


def reply(body=GOOD, status="200 OK", head=""):
    """A whole answer of HTTP."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


def endless(stream):
    stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(400):
            stream.sendall(b" " * 2**16)


def drip(head):
    """Sends one byte of the body, or of the head, now and then."""

    def send(stream):
        stream.sendall(b"HTTP/1.1 200 OK\r\n" + (b"X: " if head else b"\r\n"))
        with contextlib.suppress(OSError):
            for _ in range(100):
                stream.sendall(b"a")
                time.sleep(0.1)

    return send


def silent(stream):
    with contextlib.suppress(OSError):
        stream.settimeout(10)
        stream.recv(1)


def _message(content):
    return reply(json.dumps({"choices": [{"message": {"content": content}}]}).encode())


FAULTS = {
    "redirect": reply(b"", "302 Found", "Location: http://127.0.0.1:9/stolen\r\n"),
    "moved": reply(b"", "308 Permanent Redirect", "Location: /v1/elsewhere\r\n"),
    "unauthorised": reply(b"", "401 Unauthorized"),
    "forbidden": reply(b"", "403 Forbidden"),
    "missing": reply(b"", "404 Not Found"),
    "busy": reply(b"", "429 Too Many Requests", "Retry-After: 0\r\n"),
    "broken": reply(b"", "500 Internal Server Error"),
    "gateway": reply(b"", "502 Bad Gateway"),
    "html": reply(b"<html>hello</html>"),
    "empty": reply(b""),
    "not UTF-8": reply(b'{"choices": "\xff\xfe"}'),
    "half": reply(GOOD[:20]),
    "number": reply(b"5"),
    "null": reply(b"null"),
    "list": reply(b"[]"),
    "no choices": reply(b'{"choices": []}'),
    "choices null": reply(b'{"choices": null}'),
    "choices text": reply(b'{"choices": "abc"}'),
    "choice null": reply(b'{"choices": [null]}'),
    "no message": reply(b'{"choices": [{}]}'),
    "message text": reply(b'{"choices": [{"message": "hello"}]}'),
    "content number": _message(5),
    "content list": _message(["5"]),
    "content object": _message({"text": "5"}),
    "deep": reply(b"[" * 100_000),
    "error": reply(b'{"error": {"message": "no such model"}}'),
    "cut": reply(GOOD)[:-5],
    "no head": GOOD,
    "bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "bad version": b"HTTP/9.9 200 OK\r\n\r\n",
    "status only": b"HTTP/1.1 200",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n" + GOOD,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\n" + GOOD,
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "zip": reply(b"\x1f\x8b\x08\x00" + b"\0" * 40, head="Content-Encoding: gzip\r\n"),
    "long head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2**20 + b"\r\n\r\n",
    "closed": b"",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "informative": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    "endless": endless,
    "drip of a head": drip(True),
    "drip": drip(False),
    "silent": silent,
}
"""By name: what the server sends, or a function that sends it."""


class FaultyServer:
    """Answers each request with the next of ``replies``; the last one for good.

    Attributes:
        seen: the whole of each request, as bytes.
        url: up to /v1.
    """

    def __init__(self, *replies):
        self.replies, self.seen = list(replies), []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self):
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(stream,), daemon=True).start()

    def _answer(self, stream):
        with stream, contextlib.suppress(OSError):
            stream.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data:
                more = stream.recv(2**16)
                if not more:
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            while len(body) < length:
                body += stream.recv(2**16)
            self.seen.append(head + b"\r\n\r\n" + body)
            now = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            now(stream) if callable(now) else stream.sendall(now)
            stream.shutdown(socket.SHUT_RDWR)
