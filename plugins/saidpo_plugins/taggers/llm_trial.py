"""The trial of the tagger ``llm``: a small server on this machine that speaks the chat-completions dialect."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from saidpo_core import Trial


class _Handler(BaseHTTPRequestHandler):
    """Names a question's longest word and its number of words as its knowledge points."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = str(request["messages"][-1]["content"]).split()
        points = [max(words, key=len).lower()[:40], f"{len(words)} words"]
        message = {"role": "assistant", "content": json.dumps({"knowledge_points": points})}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = json.dumps({"id": "1", "object": "chat.completion", "model": "trial", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def trial(folder: Path) -> Iterator[Trial]:
    """The server answers as long as the trial lasts; the cache is in ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        yield Trial(options={"base_url": url, "model": "trial", "cache": str(folder / "cache")})
    finally:
        server.shutdown()
        server.server_close()
