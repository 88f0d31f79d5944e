"""Uploads to the hub: a local one, which remembers what it is given."""

import base64
import http.server
import json
import threading

import pytest

from attention.errors import InputError
from tale_jax import export


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's protocol that an upload of small files needs."""

    def do_GET(self):
        self._answer({}, 404 if self.server.refuses else 200)

    def do_POST(self):
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.refuses:
            self._answer({"error": "no"}, 403)
        elif self.path == "/api/repos/create":
            name = json.loads(asked)["name"]
            self._answer({"url": f"{self.server.address}/own/{name}"})
        elif self.path.endswith("/preupload/main"):
            files = json.loads(asked)["files"]
            self._answer({"files": [{"path": file["path"], "uploadMode": "regular",
                                     "shouldIgnore": False} for file in files]})  # fmt: skip
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, asked.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            self._answer({"commitUrl": f"{self.server.address}/own/x/commit/5", "commitOid": "5"})
        else:  # of the card
            self._answer({"errors": [], "warnings": []})

    def _answer(self, values, code=200):
        body = json.dumps(values).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import HfApi, constants

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.asked, server.files, server.refuses = [], {}, False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(server.address, token="hf_secret"))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_is_uploaded_with_a_true_card(searched, tmp_path, hub):
    (searched / "tiny" / "README.md").write_text("---\nlicense: mit\n---\nTiny.\n")
    try:
        found = export(searched / "a", "bsba", tmp_path / "m", push="own/short")
    finally:
        (searched / "tiny" / "README.md").unlink()
    assert found["url"] == f"{hub.address}/own/short"
    assert {"config.json", "model.safetensors", "README.md"} <= hub.files.keys()
    weights = (tmp_path / "m/model.safetensors").read_bytes()
    assert hub.files["model.safetensors"] == weights
    card = hub.files["README.md"].decode()
    assert card.startswith("---\nlicense: mit\ntags:") and "base_model" not in card
    assert "- Licence of that model: mit" in card
    assert "- Accuracy on held-out examples: " in card and "McNemar" in card
    assert 'from_pretrained("own/short")' in card and "vllm serve own/short" in card
    assert "hf_secret" not in card


def test_a_hub_that_refuses_is_one_line_without_the_token(searched, hub):
    hub.refuses = True
    with pytest.raises(InputError, match=r"--push own/short: the hub refuses .* \(403\)") as error:
        export(searched / "a", push="own/short")
    assert "hf_secret" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"push": "short"}, "--push is written USER/NAME, not 'short'"),
        ({"push": "own/short", "format": "list"}, "--push takes --format huggingface or tale"),
    ],
)
def test_what_cannot_be_uploaded_is_told_at_once(words, line, searched):
    with pytest.raises(InputError, match=line):
        export(searched / "a", **words)
