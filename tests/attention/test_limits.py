"""Code that is not trusted ends in time, and its panics are one line."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from attention.errors import InputError
from attention.limits import confined, in_time, native


def test_an_endless_loop_is_ended(monkeypatch):
    monkeypatch.setenv("TALE_JAX_LIMITS", "seconds=0.05")
    with pytest.raises(InputError, match=r"counting takes more than 0.05 s"), in_time("counting"):
        while True:
            pass
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_memory_is_limited(monkeypatch):
    monkeypatch.setenv("TALE_JAX_LIMITS", "memory=64")
    with pytest.raises(MemoryError), confined("filling"):
        bytearray(2**28)
    assert len(bytearray(2**28)) == 2**28


def test_a_panic_is_one_line(capfd):
    class Panic(BaseException):
        pass

    with pytest.raises(InputError, match="the tokenizer fails: a b"), native("the tokenizer"):
        os.write(2, b"pages\nof details\n")
        raise Panic("a\nb")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_code_that_cannot_be_interrupted_ends_with_a_line():
    program = """
import hashlib
from attention import limits
limits.GRACE = 0.1
with limits.native("the tokenizer"):
    hashlib.pbkdf2_hmac("sha256", b"compiled", b"code", 2**31 - 1)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"TALE_JAX_LIMITS": "seconds=0.05"},
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("the tokenizer takes more than 0.05 s")
    assert ended.stderr.count("\n") == 1


def test_other_threads_have_no_limit():
    found = []

    def work():
        with in_time("this"):
            found.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [1]
