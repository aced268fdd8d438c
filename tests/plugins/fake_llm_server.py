"""A real HTTP server on 127.0.0.1 that speaks the chat-completions dialect and misbehaves as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RETRY_AT_ONCE = {"retry-after-ms": "1"}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: float = 0.0
    """Seconds of silence before the first byte."""
    drip: float = 0.0
    """Seconds between the bytes of the body."""


def says(content: str | None) -> Reply:
    """The model's answer, whatever it is."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return Reply(body=json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}))


def points(*names: str) -> Reply:
    return says(json.dumps({"knowledge_points": names}))


def refuses(status: int, why: str = "no") -> Reply:
    return Reply(status, json.dumps({"error": {"message": why}}), RETRY_AT_ONCE)


Behaviour = Callable[[str, int], Reply]
"""``behaviour(question, n)``: the reply to the n-th request (from 0) about this question."""


class FakeLlmServer:
    """Use as a context; ``requests`` holds the body of every request in the order in which they came."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[dict[str, Any]] = []
        self.api_keys: set[str | None] = set()
        self.at_once = self.most_at_once = 0
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def questions(self) -> list[str]:
        return [request["messages"][-1]["content"] for request in self.requests]

    def __enter__(self) -> FakeLlmServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _reply_to(self, request: dict[str, Any], api_key: str | None) -> Reply:
        question = request["messages"][-1]["content"]
        with self._lock:
            count = self.questions.count(question)
            self.requests.append(request)
            self.api_keys.add(api_key)
        return self.behaviour(question, count)

    def _change(self, step: int) -> None:
        with self._lock:
            self.at_once += step
            self.most_at_once = max(self.most_at_once, self.at_once)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                server._change(1)
                try:
                    body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                    self._send(server._reply_to(body, self.headers["authorization"]))
                except OSError:
                    self.close_connection = True  # the client gave up on us
                finally:
                    server._change(-1)

            def _send(self, reply: Reply) -> None:
                server.closed.wait(reply.stall)
                body = reply.body.encode()
                self.send_response(reply.status)
                for name, value in {"content-type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if not reply.drip:
                    self.wfile.write(body)
                    return
                for byte in body:
                    if server.closed.wait(reply.drip):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
