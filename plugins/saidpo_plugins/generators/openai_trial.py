"""A small server that speaks the completions dialect with token ids, by transformers: for trials of ``openai``.

    python -m saidpo_plugins.generators.openai_trial POLICY PORT

It answers as vLLM does (``return_token_ids``, ``logprobs``, ``seed``), one request at a time, and is no match for it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from saidpo_core import Trial
from saidpo_plugins.generators.transformers import TransformersEngine, TransformersGenerator, TransformersOptions


class PolicyServer(ThreadingHTTPServer):
    """Serves the policy in a folder; it is loaded when it is first asked."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, policy: Path, *, port: int = 0, root: str = "") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.policy = policy
        self.root = root
        """The folder that it says it serves; vLLM and SGLang say it, other servers may not."""
        self._stack = ExitStack()
        self._engine: TransformersEngine | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            self._stack.close()

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """One choice for a request whose prompt is token ids."""
        with self._lock:
            if self._engine is None:
                loading = TransformersGenerator(TransformersOptions(device="cpu")).load(self.policy)
                self._engine = self._stack.enter_context(loading)
            engine, greedy = self._engine, not request["temperature"]
            options = dataclasses.replace(
                engine.options,
                max_new_tokens=request["max_tokens"],
                temperature=1.0 if greedy else request["temperature"],
                top_p=request.get("top_p", 1.0),
            )
            asked = TransformersEngine(engine.model, engine.tokenizer, options)
            (response,) = asked._generate_batch([tuple(request["prompt"])], None if greedy else [request["seed"]])
        choice: dict[str, Any] = {"index": 0, "text": response.text, "finish_reason": response.finish_reason}
        choice["logprobs"] = {"token_logprobs": response.logprobs, "tokens": [""] * len(response.token_ids)}
        if request.get("return_token_ids"):
            choice |= {"token_ids": response.token_ids, "prompt_token_ids": request["prompt"]}
        return {"id": "1", "object": "text_completion", "created": 0, "model": "trial", "choices": [choice]}

    def models(self) -> dict[str, Any]:
        card = {"id": "trial", "object": "model", "created": 0, "owned_by": "saidpo", "root": self.root or "trial"}
        return {"object": "list", "data": [card]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PolicyServer

    def do_GET(self) -> None:
        self.reply(200, self.server.models())

    def do_POST(self) -> None:
        self.reply(200, self.server.complete(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def reply(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(server: PolicyServer) -> Iterator[PolicyServer]:
    """``server`` answers in a thread as long as the context lasts."""
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def trial(folder: Path) -> Iterator[Trial]:
    """The policy that ships with saidpo, which is the one that components are tried with."""
    policy = Path(__file__).parents[1] / "embedded" / "policy"
    with serving(PolicyServer(policy)) as server:
        yield Trial(options={"base_url": server.url, "max_new_tokens": 64})


if __name__ == "__main__":
    with serving(PolicyServer(Path(sys.argv[1]), port=int(sys.argv[2]), root=sys.argv[1])):
        threading.Event().wait()
