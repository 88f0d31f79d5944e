"""The one client of HTTP servers: JSON goes out, and a JSON value of a promised shape comes back.

What comes from a server is not trusted. No redirect is followed, an answer has a limit of size and
of time, and no text of the server reaches an error with the key in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import threading
import time
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

import msgspec

from attention.errors import InputError
from attention.marks import Between

if TYPE_CHECKING:
    import httpx

Shape = TypeVar("Shape")
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers after which a server is asked again
MOST_BYTES = 4 * 2**20  # of an answer
FIRST_PAUSE = 0.5  # seconds before the second try; each further one waits twice as long
LONGEST = 200  # letters of a reason in an error


@dataclasses.dataclass(frozen=True)
class RemoteOptions:
    """How a server is asked.

    Attributes:
        timeout: seconds that one answer may take, with all tries
        tries: how often a question is sent if the server is busy, fails or loses the connection
        allow_http: also send questions and key unencrypted to another machine
    """

    timeout: Annotated[float, Between(gt=0, le=86400)] = 60.0
    tries: Annotated[int, Between(ge=1, le=100)] = 4
    allow_http: bool = False


class JsonServer:
    """A server that answers JSON with JSON; a context manager.

    Args:
        url: where requests go.
        key: secret that goes into the header ``Authorization``; empty: none.
        key_name: what the key is read from, for error messages.
        options: time, tries, and whether another machine may be asked without encryption.
        pause: seconds before the second try; each further one waits twice as long.

    Raises:
        InputError: the address or the key is not possible, or the address is neither https nor of
            this machine.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        key_name: str = "the key",
        options: RemoteOptions = RemoteOptions(),
        pause: float = FIRST_PAUSE,
    ):
        self.url, self._options, self._pause = url, options, pause
        self._key, self._key_name = key.strip(), key_name
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(f"{key_name} has letters that no key has: set it again")
        self._local = _is_local(url, options.allow_http)
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        import httpx

        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # A proxy of the environment must not see what is meant for this machine.
        self._client = httpx.Client(
            headers=headers, follow_redirects=False, trust_env=not self._local
        )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._client is not None:
            self._client.close()

    def post(self, body: object, shape: type[Shape]) -> Shape:
        """Send a JSON value, and read the answer.

        Args:
            body: JSON value.
            shape: type of the answer, which ``msgspec`` checks.

        Raises:
            InputError: the server cannot be reached, refuses, sends too much or too slowly, or
                answers with something else.
        """
        import httpx

        end, pause = time.monotonic() + self._options.timeout, self._pause
        for left in reversed(range(self._options.tries)):
            try:
                status, told, data = self._in_time(body, end)
            except httpx.LocalProtocolError as error:
                raise InputError(f"{self.url} cannot be asked: {self._safe(error)}") from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
                reason = InputError(f"{self.url} cannot be reached: {self._safe(error)}")
            else:
                if 200 <= status < 300:
                    return self._read(data, shape)
                reason = self._refused(status, told)
                if status not in BUSY:
                    raise reason
            if left == 0 or time.monotonic() + pause >= end:
                raise reason from None
            time.sleep(pause)
            pause *= 2
        raise AssertionError("there is at least one try")

    def _refused(self, status: int, told: str) -> InputError:
        said = f"{self.url} answered {status} {self._safe(told)}".rstrip()
        if status in (401, 403):
            said += f"; the key is read from {self._key_name}"
        elif 300 <= status < 400:
            said += ", a redirect, which is not followed: give the address that it leads to"
        return InputError(said)

    def _read(self, data: bytes, shape: type[Shape]) -> Shape:
        if self._key:
            data = data.replace(self._key.encode(), b"[key]")
        try:
            return msgspec.json.decode(data, type=shape)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(
                f"{self.url} did not answer as promised: {self._safe(error)}"
            ) from None

    def _in_time(self, body: object, end: float) -> tuple[int, str, bytes]:
        """Ask once, in a thread that is left behind if the time is over.

        A limit of the socket alone would begin anew with each byte that drips in.
        """
        found: list[tuple[int, str, bytes] | BaseException] = []

        def work() -> None:
            try:
                found.append(self._ask(body, end))
            except BaseException as error:
                found.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(max(0.0, end - time.monotonic()))
        if not found:
            raise InputError(
                f"{self.url} has not answered in {self._options.timeout:g} s: "
                "ask for less, or raise --timeout"
            )
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _ask(self, body: object, end: float) -> tuple[int, str, bytes]:
        if self._client is None:
            raise RuntimeError("a JsonServer is a context manager")
        data = b""
        timeout = max(0.001, end - time.monotonic())
        with self._client.stream("POST", self.url, json=body, timeout=timeout) as reply:
            for chunk in reply.iter_raw():
                data += chunk
                if len(data) > MOST_BYTES:
                    most = f"{MOST_BYTES // 2**20} MiB"
                    raise InputError(f"{self.url} answered with more than {most}")
                if time.monotonic() > end:
                    break
            return reply.status_code, reply.reason_phrase, data

    def _safe(self, text: object) -> str:
        """A text of the server or of its client, in one short line without the key."""
        line = " ".join(str(text).split()) or type(text).__name__
        line = "".join(letter for letter in line if letter.isprintable())
        return (line.replace(self._key, "[key]") if self._key else line)[:LONGEST]


def _is_local(url: str, allow_http: bool) -> bool:
    """Whether an address is of this machine.

    Raises:
        InputError: it is no address, has a password, or others could read what is sent to it.
    """
    import httpx

    try:
        read = httpx.URL(url)
        host = read.host
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError(f"{url[:LONGEST]!r} is no address: {error}") from None
    if read.scheme not in ("http", "https") or not host:
        raise InputError(f"an endpoint is an http(s) address, not {url[:LONGEST]!r}")
    if read.userinfo:
        raise InputError("an endpoint's address has no name or password in it")
    if read.query or read.fragment:
        raise InputError(f"an endpoint's address ends before ? and #, not {url[:LONGEST]!r}")
    local = host == "localhost"
    with contextlib.suppress(ValueError):
        local = ipaddress.ip_address(host).is_loopback
    if read.scheme == "http" and not (local or allow_http):
        raise InputError(
            f"{url[:LONGEST]}: others can read what goes over http to another machine: "
            "use https, or --allow-http if that is no matter"
        )
    return local
