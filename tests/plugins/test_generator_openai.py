"""Generator ``openai`` against real servers: they fail, stall, talk nonsense, serve other weights, and are killed."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from saidpo_core import Generation, Problem, Request, SaidpoError, UsageError
from saidpo_plugins.generators.openai import OpenAIGenerator, OpenAIOptions
from saidpo_plugins.generators.openai_client import Client, Sampled
from saidpo_plugins.generators.openai_trial import Handler, PolicyServer, serving
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.tiny import TINY_RUN

POLICY = saidpo_policies()[0].folder
AT_ONCE = {"retry-after-ms": "1"}
SERVE = f"{shlex.quote(sys.executable)} -m saidpo_plugins.generators.openai_trial {{policy}} {{port}}"

Behaviour = Callable[["FaultyHandler", dict[str, Any], int], bool]
"""``behaviour(handler, request, n)`` may answer the n-th completion request itself, and then returns True."""


class FaultyHandler(Handler):
    server: FaultyServer

    def do_POST(self) -> None:
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = len(server.requests)
            server.requests.append(request)
            server.keys.add(self.headers["Authorization"])
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            if not server.behaviour(self, request, number):
                self.reply(200, server.complete(request))
        except OSError:
            self.close_connection = True  # the client gave up on us
        finally:
            with server.lock:
                server.at_once -= 1

    def refuse(self, status: int, why: str) -> bool:
        body = json.dumps({"error": {"message": why}}).encode()
        self.send_response(status)
        for name, value in {**AT_ONCE, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def hang_up(self) -> bool:
        self.close_connection = True
        return True


class FaultyServer(PolicyServer):
    def __init__(self, behaviour: Behaviour | None = None, policy: Path = POLICY, **options: Any) -> None:
        super().__init__(policy, **options)
        self.RequestHandlerClass = FaultyHandler
        self.behaviour = behaviour or (lambda handler, request, number: False)
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def choice(**fields: Any) -> dict[str, Any]:
    """A good answer to any prompt, but for ``fields``."""
    good = {
        "index": 0,
        "text": "ab",
        "finish_reason": "stop",
        "token_ids": [5, 6, 0],
        "logprobs": {"token_logprobs": [-1.0, -0.5, -0.1], "tokens": ["a", "b", ""]},
    }
    return {"id": "1", "object": "text_completion", "created": 0, "model": "m", "choices": [{**good, **fields}]}


def says(**fields: Any) -> Behaviour:
    def behave(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
        handler.reply(200, choice(**fields))
        return True

    return behave


def bodies(count: int) -> list[dict[str, Any]]:
    return [{"model": "m", "prompt": [1, 2, n], "max_tokens": 8, "seed": n} for n in range(count)]


@contextmanager
def client_of(behaviour: Behaviour, **options: Any) -> Iterator[tuple[FaultyServer, Client]]:
    with serving(FaultyServer(behaviour)) as server:
        assert isinstance(server, FaultyServer)
        yield server, Client(server.url, "none", **{"timeout": 5.0, "retries": 2, "concurrency": 4, **options})


class TestTheClient:
    def test_responses_come_in_the_order_of_the_requests_and_so_many_are_under_way(self) -> None:
        def by_prompt(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
            time.sleep(0.05 * (3 - request["prompt"][2] % 4))
            handler.reply(200, choice(token_ids=[request["prompt"][2], 6, 0]))
            return True

        with client_of(by_prompt) as (server, client):
            found = client.sample(bodies(16))
            assert [item.token_ids[0] for item in found] == list(range(16))
            assert server.most_at_once == 4

    @pytest.mark.parametrize("fault", [429, 500, 503, 0])
    def test_a_request_that_failed_is_sent_again(self, fault: int) -> None:
        def first_fails(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
            if sum(item == request for item in handler.server.requests) == 1:
                return handler.refuse(fault, "busy") if fault else handler.hang_up()
            return says()(handler, request, number)

        with client_of(first_fails) as (server, client):
            assert client.sample(bodies(3)) == [Sampled((5, 6, 0), (-1.0, -0.5, -0.1), "stop")] * 3
            assert len(server.requests) == 6

    @pytest.mark.parametrize(("status", "tries"), [(500, 3), (400, 1), (401, 1)])
    def test_an_error_that_stays_names_the_server_and_what_it_said(self, status: int, tries: int) -> None:
        with client_of(lambda handler, *_: handler.refuse(status, "the moon is full"), concurrency=1) as (
            server,
            client,
        ):
            with pytest.raises(SaidpoError, match="the moon is full") as caught:
                client.sample(bodies(2))
            assert server.url in str(caught.value)
            assert len(server.requests) == tries

    def test_a_server_that_does_not_answer_is_given_up(self) -> None:
        def silent(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
            time.sleep(1)
            return handler.hang_up()

        started = time.monotonic()
        with client_of(silent, timeout=0.1, retries=1) as (_, client), pytest.raises(SaidpoError, match=r"(?i)time"):
            client.sample(bodies(1))
        assert time.monotonic() - started < 8

    def test_a_server_that_is_not_there_is_named(self) -> None:
        with client_of(says()) as (server, client):
            url = server.url
        with pytest.raises(SaidpoError, match=url):
            client.models()

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"token_ids": None}, "no token ids"),
            ({"token_ids": ["a", "b", "c"]}, "no token ids"),
            ({"token_ids": [5, 6, -1]}, "no token ids"),
            ({"token_ids": [5, 6]}, "2 token ids came with 3 log-probabilities"),
            ({"logprobs": None}, "3 token ids came with 0 log-probabilities"),
            ({"logprobs": {"token_logprobs": [-1.0, None, -0.1]}}, "log-probabilities that are numbers"),
            ({"finish_reason": "abort"}, "ended with 'abort'"),
            ({"prompt_token_ids": [7, 7]}, "it changed the prompt"),
        ],
    )
    def test_an_answer_that_cannot_be_trained_on_is_refused(self, fields: dict[str, Any], told: str) -> None:
        with client_of(says(**fields)) as (server, client), pytest.raises(SaidpoError, match=told) as caught:
            client.sample(bodies(1))
        assert server.url in str(caught.value)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'{"choices": []}', b'{"choices": 7}'])
    def test_garbage_is_an_error_and_no_traceback(self, body: bytes) -> None:
        def garbage(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return True

        with client_of(garbage, retries=0) as (server, client), pytest.raises(SaidpoError, match=server.url):
            client.sample(bodies(1))

    def test_ids_that_are_spelt_as_tokens_will_do(self) -> None:
        spelt = {"token_logprobs": [-1.0, -0.5], "tokens": ["token_id:17", "token_id:0"]}
        with client_of(says(token_ids=None, logprobs=spelt)) as (_, client):
            assert client.sample(bodies(1))[0].token_ids == (17, 0)


def requests(count: int = 3, samples: int = 2) -> list[Request]:
    return [
        Request(
            problem=Problem(id=f"p{n}", question=f"What is {n + 2} + {n}?", answer="1"),
            seeds=tuple(range(10 * n, 10 * n + samples)),
        )
        for n in range(count)
    ]


def generate(policy: Path = POLICY, **options: Any) -> list[Generation]:
    generator = OpenAIGenerator(OpenAIOptions(**{"max_new_tokens": 64, "retries": 1, **options}))
    generator.check(policy)
    with generator.load(policy) as engine:
        return engine.generate(requests())


def other_weights(folder: Path) -> Path:
    """The policy with its last layer weakened: answers as before, with other log-probabilities."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(POLICY, folder)
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        if name.endswith("layers.2.mlp.down_proj.weight"):
            value *= 0.7
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


class TestTheGenerator:
    def test_it_gives_what_the_policy_itself_gives(self) -> None:
        from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions

        with serving(FaultyServer()) as server:
            found = generate(base_url=server.url)
        with TransformersGenerator(TransformersOptions(max_new_tokens=64)).load(POLICY) as engine:
            due = engine.generate(requests())
        for mine, theirs in zip(found, due, strict=True):
            assert mine.prompt_ids == theirs.prompt_ids
            for a, b in zip(mine.responses, theirs.responses, strict=True):
                assert (a.text, a.token_ids, a.finish_reason, a.widths) == (
                    b.text,
                    b.token_ids,
                    b.finish_reason,
                    b.widths,
                )
                assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)

    def test_the_key_comes_from_the_environment_and_stays_out_of_the_settings(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
        with serving(FaultyServer()) as server:
            assert isinstance(server, FaultyServer)
            generate(base_url=server.url)
            assert server.keys == {"Bearer sk-mine"}
        assert not any("key" in field.name for field in dataclasses.fields(OpenAIOptions))

    def test_other_weights_are_noticed(self, tmp_path: Path) -> None:
        changed = other_weights(tmp_path / "changed")
        with serving(FaultyServer(policy=changed)) as server:
            with pytest.raises(SaidpoError, match=r"its logits are .* nats off those of .*, and 0.3 is borne"):
                generate(base_url=server.url)
            assert len(generate(base_url=server.url, canary=0.0)) == 3

    def test_a_server_of_another_folder_is_refused_unless_it_is_told(self, tmp_path: Path) -> None:
        shutil.copytree(POLICY, tmp_path / "next")
        told = tmp_path / "told"
        command = f"{shlex.quote(sys.executable)} -c \"open('{told}', 'w').write('{{policy}}')\""
        with serving(FaultyServer(root=str(POLICY))) as server:
            assert len(generate(base_url=server.url)) == 3
            with pytest.raises(
                UsageError, match=r"serves .*, and the policy to be asked is .*next.*--generator.update"
            ):
                generate(tmp_path / "next", base_url=server.url)
            assert len(generate(tmp_path / "next", base_url=server.url, update=command)) == 3
        assert told.read_text() == str(tmp_path / "next")

    def test_an_update_that_fails_says_what_it_said(self) -> None:
        command = f"{shlex.quote(sys.executable)} -c \"raise SystemExit('no such host {{policy}}')\""
        with serving(FaultyServer()) as server, pytest.raises(SaidpoError, match=r"status 1(.|\n)*no such host"):
            generate(base_url=server.url, update=command)

    def test_a_response_without_its_end_token_is_refused(self) -> None:
        def cut(handler: FaultyHandler, request: dict[str, Any], number: int) -> bool:
            answer = handler.server.complete(request)
            answer["choices"][0]["token_ids"] = answer["choices"][0]["token_ids"][:-1]
            answer["choices"][0]["logprobs"]["token_logprobs"] = answer["choices"][0]["logprobs"]["token_logprobs"][:-1]
            handler.reply(200, answer)
            return True

        with serving(FaultyServer(cut)) as server, pytest.raises(SaidpoError, match="no end token of the policy"):
            generate(base_url=server.url)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({}, "needs a server"),
            ({"base_url": "http://127.0.0.1:1/v1", "serve": "x {policy} {port}"}, "not both"),
            ({"base_url": "localhost:8000"}, "expected a URL"),
            ({"serve": "vllm serve model"}, "expected a command with {policy} and {port}"),
            ({"serve": "no-such-program {policy} {port}"}, "no program 'no-such-program'"),
            ({"serve": "sh '{policy} {port}"}, "cannot be read as a command"),
            ({"serve": "sh {policy} {port}", "update": "sh {policy}"}, "for a server that runs"),
            ({"base_url": "http://127.0.0.1:1/v1", "update": "sh"}, "expected a command with {policy}"),
        ],
    )
    def test_settings_that_cannot_work_are_refused_before_anything_starts(
        self, options: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(UsageError, match=told):
            OpenAIGenerator(OpenAIOptions(**options)).check(POLICY)

    def test_a_model_that_the_server_has_not_is_named_with_those_that_it_has(self) -> None:
        with serving(FaultyServer()) as server, pytest.raises(UsageError, match="no model 'mine', it has: trial"):
            generate(base_url=server.url, model="mine")


def processes_with(word: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def gone(word: str, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while processes_with(word) and time.monotonic() < until:
        time.sleep(0.1)
    return not processes_with(word)


class TestAServerOfItsOwn:
    def test_a_command_that_ends_at_once_is_quoted(self) -> None:
        command = f"{shlex.quote(sys.executable)} -c \"raise SystemExit('cannot serve {{policy}} at {{port}}')\""
        with pytest.raises(
            SaidpoError, match=r"could not serve(.|\n)*ended with status 1(.|\n)*cannot serve .*policy at"
        ):
            generate(serve=command)

    def test_a_command_that_never_answers_is_given_up_and_ended(self, tmp_path: Path) -> None:
        mark = tmp_path / "sleeper.sh"
        mark.write_text("sleep 300 & sleep 300\n")
        with pytest.raises(SaidpoError, match="did not answer"):
            generate(serve=f"sh {mark} {{policy}} {{port}}", startup=1.0)
        assert gone(str(mark))

    def test_it_goes_when_the_run_is_killed(self, tmp_path: Path) -> None:
        mark = tmp_path / "orphan.sh"
        mark.write_text("sleep 301 &\nwait\n")
        code = (
            "from pathlib import Path\n"
            "from saidpo_plugins.generators.openai_server import started\n"
            f"with started('sh {mark} {{policy}} {{port}}', Path('.'), 60): pass\n"
        )
        run = subprocess.Popen([sys.executable, "-c", code])
        try:
            until = time.monotonic() + 20
            while not processes_with(str(mark)) and time.monotonic() < until:
                time.sleep(0.05)
            assert processes_with(str(mark))
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()
        assert gone(str(mark))

    @pytest.mark.slow
    def test_a_whole_run_serves_every_rounds_policy_and_leaves_nothing(self, tmp_path: Path) -> None:
        import tomllib

        small = ("--rounds=1", "--probe-min=16", "--draw=8", "--pool.held_out=1", "--generator.early_stop=pair")
        saidpo = [sys.executable, "-m", "saidpo_core.cli", "run", *TINY_RUN, *small, "--quiet"]
        command = [*saidpo, "--generator=openai", f"--generator.serve={SERVE}", "--run-dir", str(tmp_path / "run")]
        environment = {**os.environ, "OPENAI_API_KEY": "sk-secret"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        assert gone("openai_trial")
        settings = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
        assert settings["generator"]["serve"] == SERVE
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or b"sk-secret" not in path.read_bytes(), path

    @pytest.mark.slow
    def test_killed_in_the_middle_it_is_told_and_the_same_command_goes_on(self, tmp_path: Path) -> None:
        generator = OpenAIGenerator(OpenAIOptions(serve=SERVE, max_new_tokens=64, retries=1))
        with generator.load(POLICY) as engine:
            due = [[r.token_ids for r in g.responses] for g in engine.generate(requests())]
            (server,) = [pid for pid in processes_with("openai_trial") if pid not in processes_with("openai_server")]
            os.kill(server, signal.SIGKILL)
            with pytest.raises(SaidpoError, match=r"that --generator.serve started has ended with status 137"):
                engine.generate(requests())
        assert gone("openai_trial")
        with generator.load(POLICY) as engine:
            assert [[r.token_ids for r in g.responses] for g in engine.generate(requests())] == due
