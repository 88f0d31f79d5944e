"""Tiny experiments, each trained once, and a server for language models."""

import contextlib
import csv
import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from icl.training import Experiment, Trained, Updates, init, load, train


@pytest.fixture(scope="session")
def tiny():
    """A tiny experiment on functions."""
    return Experiment("linear-2l1ah", points=5, batch=7, learning_rate=1e-3, hidden_size=6, seed=11)


@pytest.fixture(scope="session")
def updates():
    """Twelve updates in dispatches of three; ``updates(6)`` are six."""
    return lambda steps=12: Updates(steps, dispatch=3, save_every=6, log_every=3)


@pytest.fixture(scope="session")
def run(tiny, updates, tmp_path_factory):
    """Directory of a run of 12 steps."""
    directory = tmp_path_factory.mktemp("icl") / "run"
    train(tiny, directory, updates(), quiet=True)
    return directory


@pytest.fixture(scope="session")
def trained(run):
    return load(run)


@pytest.fixture(scope="session")
def pair(tiny, updates, tmp_path_factory):
    """Directory of the same run with two seeds."""
    directory = tmp_path_factory.mktemp("icl") / "pair"
    train(dataclasses.replace(tiny, seeds=2), directory, updates(), quiet=True)
    return directory


@pytest.fixture(scope="session")
def inverse(tiny, updates, tmp_path_factory):
    """Directory of a run on the inverse."""
    directory = tmp_path_factory.mktemp("icl") / "inverse"
    small = dataclasses.replace(tiny, preset="linear-1l1ah", inverse=True)
    train(small, directory, updates(3), quiet=True)
    return directory


@pytest.fixture(scope="session")
def quantified(tiny, updates, tmp_path_factory):
    """Directory of a run on quantifiers."""
    directory = tmp_path_factory.mktemp("icl") / "quantified"
    train(
        dataclasses.replace(tiny, preset="every-1l1ah", points=7), directory, updates(3), quiet=True
    )
    return directory


@pytest.fixture(scope="session")
def untrained(tiny):
    """A model of a tiny experiment with some fields changed."""

    def make(**changes):
        experiment = dataclasses.replace(tiny, **changes)
        config = experiment.config()
        return Trained(experiment, experiment.task(), config, init(config, 3))

    return make


@pytest.fixture(scope="session")
def table():
    """Reads a CSV file."""

    def read(file):
        with file.open(newline="") as lines:
            return list(csv.DictReader(lines))

    return read


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/v1/elsewhere")
        self.end_headers()
        reply = self.server.reply
        self.wfile.write(reply(body) if callable(reply) else reply)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """Starts an OpenAI-compatible server: it, with what it saw, and its address.

    ``reply`` may be a function of the request.
    """

    @contextlib.contextmanager
    def start(status=200, content="5.0", reply=None):
        found = HTTPServer(("127.0.0.1", 0), Handler)
        answer = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        found.status, found.seen = status, []
        found.reply = json.dumps(answer).encode() if reply is None else reply
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield found, f"http://127.0.0.1:{found.server_port}/v1/"
        finally:
            found.shutdown()
            thread.join()
            found.server_close()

    return start
