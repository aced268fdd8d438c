"""Generator ``vllm``: its process and its canary here, without vLLM; the real engine in an environment of its own.

The tests of ``tests/vllm`` run vLLM on the CPU. ``test_in_an_environment_with_vllm`` starts them there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from saidpo_core import Request, SaidpoError, UsageError
from saidpo_plugins.generators import vllm as plugin
from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions
from saidpo_plugins.generators.vllm_canary import TOKENS, TOKENS_EACH, Canary, limit_of
from saidpo_plugins.generators.vllm_process import EngineProcess
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.builders import make_problem
from tests.vllm.environment import ROOT, Unavailable, install_saidpo, python_with_vllm

POLICY = saidpo_policies()[0].folder


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the logs of engines go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def start(what: str = "works") -> EngineProcess:
    return EngineProcess({"policy": what}, "tests.plugins.fake_engine")


def is_alive(pid: int) -> bool:
    try:
        return not re.search(r"\) Z ", Path(f"/proc/{pid}/stat").read_text())
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_it_answers_calls_and_ends_without_a_trace(logs: Path) -> None:
    before = dict(os.environ)
    process = start()
    assert process.ready()["max_model_len"] == 64
    for _ in range(2):
        assert [answer["ids"] for answer in process.ask({"rows": [("x", 2**62, 2), ("x", 7, 1)]})] == [[2**62] * 2, [7]]
    process.close()
    process.close()
    assert not is_alive(process.pid)
    assert not list(logs.iterdir())
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raises", r"vLLM could not load the policy: ValueError: 1 validation error the model is too long$"),
        ("exits", r"load the policy: its process ended with exit code 3; .*said: ImportError: libcuda\.so\.1$"),
    ],
)
def test_an_engine_that_does_not_start_says_why(logs: Path, what: str, message: str) -> None:
    process = start(what)
    with pytest.raises(SaidpoError, match=message):
        process.ready()
    assert not is_alive(process.pid)
    assert not list(logs.iterdir())


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raises", "vLLM could not generate: RuntimeError: CPU Generator does not use offset$"),
        ("dies", r"generate: its process was ended by SIGKILL \(out of memory.*said: half a word, then$"),
    ],
)
def test_an_engine_that_dies_says_why(what: str, message: str) -> None:
    process = start()
    process.ready()
    with pytest.raises(SaidpoError, match=message):
        list(process.ask({"rows": [("x", 1, 1), (what, 1, 1)]}))
    assert not is_alive(process.pid)


def test_with_debugging_the_log_stays(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIDPO_DEBUG", "1")
    with pytest.raises(SaidpoError, match="all that it said: ") as caught:
        start("raises").ready()
    [log] = logs.iterdir()
    assert str(log) in str(caught.value)
    assert "Traceback" in log.read_text()


def test_a_call_that_is_given_up_ends_at_once_with_all_that_the_engine_started() -> None:
    process = start()
    process.ready()
    child = next(process.ask({"rows": [("hangs", 1, 1)]}))["child"]
    started = time.monotonic()
    process.close()
    assert time.monotonic() - started < 10
    assert not is_alive(process.pid)
    assert eventually(lambda: not is_alive(child))


def test_an_engine_ends_with_its_parent(logs: Path) -> None:
    """Killed in the middle of a call: neither the engine nor what it started stays behind."""
    program = (
        "from tests.plugins.test_generator_vllm import start\n"
        "process = start(); process.ready()\n"
        "answer = next(process.ask({'rows': [('hangs', 1, 1)]}))\n"
        "print(process.pid, answer['child'], flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(logs)},
    ) as parent:
        assert parent.stdout is not None
        pids = [int(text) for text in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill()
    assert eventually(lambda: not any(map(is_alive, pids)))
    assert not list(logs.iterdir())


@pytest.fixture(scope="module")
def sampled() -> list[tuple[Any, Any]]:
    """Prompts and responses of the embedded policy, and what it thought of them."""
    problems = [make_problem(id=f"p{i}", question=f"Who has {i} of {i} books?") for i in range(8)]
    with TransformersGenerator(TransformersOptions(max_new_tokens=48, device="cpu")).load(POLICY) as engine:
        found = engine.generate([Request(problem=problem, seeds=(1, 2)) for problem in problems])
    return [(item.prompt_ids, response) for item in found for response in item.responses]


def judged(folder: Path, sampled: list[tuple[Any, Any]], dtype: str = "float32") -> None:
    canary = Canary(folder, dtype, "cpu")
    for prompt_ids, response in sampled:
        canary.watch(prompt_ids, response.token_ids, response.logprobs)
    canary.judge()


def altered(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Path:
    import shutil

    shutil.copytree(POLICY, folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {k: change(k, w).contiguous() for k, w in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    return folder


def test_the_canary_lives_where_the_weights_are_the_right_ones(sampled: list[tuple[Any, Any]]) -> None:
    judged(POLICY, sampled)
    judged(POLICY, sampled[:1])  # few tokens are enough, if there are no more


@pytest.mark.parametrize(
    ("dtype", "change"),
    [
        ("float32", lambda k, w: w + 0.02 * w.std() * torch.ones_like(w).cumsum(-1).cos()),
        ("bfloat16", lambda k, w: w.roll(len(w) // 2, 0) if "layers.1.self_attn.k_proj" in k else w),
        ("bfloat16", lambda k, w: w * 0 if "layers.2.mlp.down_proj" in k else w),
        ("float16", lambda k, w: w * 1.3),
        ("float32", lambda k, w: w * float("nan")),
    ],
)
def test_the_canary_dies_of_other_weights(
    tmp_path: Path, sampled: list[tuple[Any, Any]], dtype: str, change: Callable[[str, torch.Tensor], torch.Tensor]
) -> None:
    folder = altered(tmp_path / "policy", change)
    with pytest.raises(
        SaidpoError, match=rf"the canary died: .* where rounding in {dtype} allows {limit_of(dtype, 'cpu'):g}"
    ):
        judged(folder, sampled, dtype)


def test_the_canary_looks_at_the_beginnings_of_several_responses(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    canary = Canary(tmp_path / "empty", "float32", "cpu")
    for length in (1, 1000, 1000, 20, 1000):
        canary.watch([1, 2], range(length), [0.0] * length)
    assert [len(sample.token_ids) for sample in canary._samples] == [1, TOKENS_EACH, TOKENS_EACH, 20, TOKENS_EACH]
    canary.watch([1, 2], range(1000), [0.0] * 1000)
    assert sum(len(sample.token_ids) for sample in canary._samples) == TOKENS
    with pytest.raises(UsageError, match="empty: the model cannot be loaded"):
        canary.judge()


def test_a_torchvision_that_does_not_fit_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(UsageError, match=r"nms does not exist.*: pip uninstall -y torchvision torchaudio torchcodec"):
        plugin.VllmGenerator(plugin.VllmOptions()).check(POLICY)


@pytest.fixture(scope="module")
def with_vllm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the Python that has vLLM, and saidpo as it is now."""
    try:
        python = python_with_vllm()
    except Unavailable as error:
        pytest.skip(str(error))
    saidpo = install_saidpo(tmp_path_factory.mktemp("saidpo"))
    environment = os.environ | {"PYTHONPATH": str(saidpo), "OMP_NUM_THREADS": "1"}
    environment["SAIDPO_CACHE"] = str(tmp_path_factory.mktemp("cache"))

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            [str(python), *arguments],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                out, _ = process.communicate()
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, process.returncode, out)

    return call


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", ["test_engine.py", "test_end_to_end.py"])
def test_in_an_environment_with_vllm(with_vllm: Callable[..., subprocess.CompletedProcess[str]], file: str) -> None:
    options = ("-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "-q", "-rs", "--timeout=600")
    done = with_vllm("-m", "pytest", *options, f"tests/vllm/{file}")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_keeps_the_promises_of_its_kind(with_vllm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Those that need the real engine most; ``saidpo check generator/vllm`` tries all, with thirty engines."""
    program = """if True:
        from saidpo_core.conformance import run_checks
        from saidpo_core.conformance.kit import checks_of
        from saidpo_core.registry import load_registry

        names = ["works_on_extremes", "same_seed_same_result", "prints_nothing"]
        names += [check.name for check in checks_of("generator") if check.kind]
        registry = load_registry()
        results = list(run_checks(registry.find("generator", "vllm", "test"), registry, names))
        print(*(f"{item.check.name}: {item.status} {item.message}" for item in results), sep="\\n")
        assert len(results) >= 7
        assert all(item.status == "passed" for item in results)
    """
    done = with_vllm("-c", program)
    assert done.returncode == 0, done.stdout
