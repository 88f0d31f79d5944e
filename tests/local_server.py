"""An OpenAI-compatible server on this machine, for tests."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.server.status)
        self.end_headers()
        reply = self.server.reply
        self.wfile.write(reply(body) if callable(reply) else reply)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def server(status=200, content="5.0", reply=None):
    """The server, what it saw, and its address; ``reply`` may be a function of the request."""
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
