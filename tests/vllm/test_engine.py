"""``--generator=vllm`` with the real vLLM on the CPU. Runs in the environment that ``environment.py`` makes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="run by tests/plugins/test_generator_vllm.py, in an environment with vLLM")

import numpy as np
import torch
from scipy.stats import chisquare

from saidpo_core import Generation, Request, SaidpoError, UsageError
from saidpo_plugins.common.checkpoints import load_model
from saidpo_plugins.generators.transformers import TransformersGenerator, TransformersOptions
from saidpo_plugins.generators.vllm import VllmEngine, VllmGenerator, VllmOptions
from saidpo_plugins.generators.vllm_canary import score
from saidpo_plugins.policies.embedded import saidpo_policies
from tests.builders import make_problem
from tests.models.make_chat_model import cached_chat_model
from tests.plugins.test_generator_vllm import eventually, is_alive

pytestmark = pytest.mark.slow

TEMPERATURE, TOP_P = 1.4, 0.98  # not 1, so that raw log-probabilities differ from those that were sampled from
PROBLEMS = [
    make_problem(id=f"{a}{operator}{b}", question=f"What is {a} {operator} {b}?")
    for operator, a, b in (("+", 2, 3), ("*", 7, 8), ("-", 9, 4), ("*", 3, 6), ("+", 8, 9), ("-", 6, 1))
]


def generator(**options: Any) -> VllmGenerator:
    return VllmGenerator(VllmOptions(**{"max_new_tokens": 40, **options}))


def ask(*seeds: int) -> list[Request]:
    return [Request(problem=problem, seeds=seeds) for problem in PROBLEMS]


def ids(generations: list[Generation]) -> list[list[tuple[int, ...]]]:
    return [[response.token_ids for response in item.responses] for item in generations]


@pytest.fixture(scope="module")
def policy() -> Path:
    return cached_chat_model()


@pytest.fixture(scope="module")
def model(policy: Path) -> Any:
    return load_model(policy, dtype="float32", device="cpu", trust_remote_code=False).eval()


def vllm_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("VLLM", "HF_"))}


@pytest.fixture(scope="module")
def engine(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    """One engine for most tests; its process and its log are gone after it, and the environment is as it was."""
    before, logs = vllm_variables(), tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(logs))
        with generator(temperature=TEMPERATURE, top_p=TOP_P).load(policy) as loaded:
            assert list(logs.iterdir())
            yield loaded
    assert not is_alive(loaded.process.pid)
    assert not list(logs.iterdir())
    assert vllm_variables() == before


def test_the_same_requests_give_the_same_responses(engine: VllmEngine) -> None:
    first, second = engine.generate(ask(1, 2**62, 3)), engine.generate(ask(1, 2**62, 3))
    assert ids(first) == ids(second)
    assert [[r.logprobs for r in g.responses] for g in first] == [[r.logprobs for r in g.responses] for g in second]
    assert len({response for row in ids(first) for response in row}) > len(PROBLEMS)


def test_a_response_follows_from_its_seed_whatever_else_is_asked(engine: VllmEngine) -> None:
    together = ids(engine.generate(ask(*range(8))))
    for problem, responses in zip(PROBLEMS, together, strict=True):
        [[alone]] = ids(engine.generate([Request(problem=problem, seeds=(5,))]))
        assert alone == responses[5]
    assert ids(engine.generate(ask(*range(8))[::-1]))[::-1] == together


def test_log_probabilities_are_those_of_the_model_at_temperature_1(engine: VllmEngine, model: Any) -> None:
    worst = 0.0
    for generation in engine.generate(ask(5, 6)):
        for response in generation.responses:
            due = score(model, generation.prompt_ids, response.token_ids)
            assert len(response.logprobs) == len(response.token_ids)
            worst = max(worst, float(np.abs(np.subtract(response.logprobs, due)).max()))
    assert worst < 1e-4


def test_the_first_token_has_the_distribution_of_the_model(engine: VllmEngine, model: Any) -> None:
    """After temperature and top-p, on a question unlike those that it was taught, of which it is not sure."""
    problem = make_problem(id="odd", question="Add Compute from 3 What?")
    draws = 1500
    [generation] = engine.generate([Request(problem=problem, seeds=tuple(range(draws)))])
    counts = Counter(response.token_ids[0] for response in generation.responses)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([generation.prompt_ids])).logits[0, -1].double()
    probs, order = torch.softmax(logits / TEMPERATURE, -1).sort(descending=True)
    kept = int((probs.cumsum(-1) - probs < TOP_P).sum())
    due = {int(token): float(p) for token, p in zip(order[:kept], probs[:kept] / probs[:kept].sum(), strict=True)}
    assert set(counts) <= set(due)
    common = [token for token, p in due.items() if p * draws >= 5]
    assert len(common) >= 3
    observed, expected = [counts[token] for token in common], [due[token] * draws for token in common]
    if len(common) < len(due):
        observed[-1] += draws - sum(observed)
        expected[-1] += draws - sum(expected)
    assert chisquare(observed, np.array(expected) * sum(observed) / sum(expected)).pvalue > 1e-4


def test_it_says_whether_a_response_ended_or_was_cut_off(engine: VllmEngine, policy: Path) -> None:
    whole = engine.generate(ask(1, 2))
    ends = {response.token_ids[-1] for generation in whole for response in generation.responses}
    assert ends <= {engine.tokenizer.eos_token_id, engine.tokenizer.pad_token_id}
    for generation in whole:
        for response in generation.responses:
            assert not response.truncated
            assert response.text == engine.tokenizer.decode(response.token_ids[:-1])
            assert "<|" not in response.text
            assert sum(response.widths) == len(response.text)
    longest = max(len(generation.prompt_ids) for generation in whole)
    limits = {"max_model_len": longest + 6, "temperature": TEMPERATURE, "top_p": TOP_P}
    with generator(**limits).load(policy) as short:
        for cut, generation in zip(short.generate(ask(1, 2)), whole, strict=True):
            room = longest + 6 - len(cut.prompt_ids)
            for a, b in zip(cut.responses, generation.responses, strict=True):
                assert a.truncated == (len(b.token_ids) > room)
                assert a.token_ids == b.token_ids[:room]
        long = make_problem(id="long", question="What is 1 + 1? " * 20)
        with pytest.raises(UsageError, match=rf"problem long: .* takes at most {longest + 6}"):
            short.generate([*ask(1), Request(problem=long, seeds=(1,))])
        assert short.generate([]) == []


def test_greedy_is_that_of_transformers(engine: VllmEngine, policy: Path) -> None:
    found = engine.generate(ask(1, 2), greedy=True)
    with TransformersGenerator(TransformersOptions(max_new_tokens=40)).load(policy) as other:
        due = other.generate(ask(1, 2), greedy=True)
    assert ids(found) == ids(due)
    assert [generation.prompt_ids for generation in found] == [generation.prompt_ids for generation in due]
    for ours, theirs in zip(found, due, strict=True):
        assert np.allclose(ours.responses[0].logprobs, theirs.responses[0].logprobs, atol=1e-4)
        assert ours.responses[0].text == theirs.responses[0].text


def change_weights(folder: Path) -> None:
    """As another round of training might: every weight moves by half of its matrix's deviation."""
    from safetensors.torch import load_file, save_file

    rng = torch.Generator().manual_seed(0)
    weights = load_file(folder / "model.safetensors")
    moved = {k: w + 0.5 * w.std() * torch.randn(w.shape, generator=rng) for k, w in weights.items()}
    save_file(moved, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_canary_notices_an_engine_with_other_weights(policy: Path, tmp_path: Path, dtype: str) -> None:
    """The engine is started, then the policy in its folder becomes another one: it runs stale weights."""
    folder = shutil.copytree(policy, tmp_path / "policy")
    if dtype != "float32":  # that its own canary lives is seen above
        with generator(dtype=dtype).load(folder) as good:
            good.generate(ask(1, 2, 3, 4))
    with generator(dtype=dtype).load(folder) as stale:
        change_weights(folder)
        with pytest.raises(SaidpoError, match=rf"the canary died: .* rounding in {dtype} allows"):
            stale.generate(ask(1, 2, 3, 4))


def test_a_canary_that_is_switched_off_says_nothing(policy: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(policy, tmp_path / "policy")
    with generator(canary=False).load(folder) as stale:
        change_weights(folder)
        assert len(stale.generate(ask(1, 2, 3, 4))) == len(PROBLEMS)
        os.kill(stale.process.pid, signal.SIGKILL)
        with pytest.raises(SaidpoError, match="vLLM could not generate: its process was ended by SIGKILL"):
            stale.generate(ask(1))


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        ("chat", {"max_model_len": 4096}, r"could not load the policy: .*max_model_len \(4096\) is greater than .*512"),
        ("embedded", {}, r"could not load the policy: .*attention heads of size 24; on a CPU it has 32, 64, "),
    ],
)
def test_a_policy_that_it_cannot_run_is_refused_with_reasons(
    policy: Path, folder: str, options: dict[str, Any], message: str
) -> None:
    where = policy if folder == "chat" else saidpo_policies()[0].folder
    with pytest.raises(SaidpoError, match=message), generator(**options).load(where):
        raise AssertionError("it was loaded")


def test_an_engine_ends_with_its_parent(policy: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom saidpo_plugins.generators.vllm import *\n"
        "with VllmGenerator(VllmOptions()).load(Path(sys.argv[1])) as engine:\n"
        "    print('pid', engine.process.pid, flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(policy)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = next(int(line.split()[1]) for line in parent.stdout if line.startswith("pid "))
        assert is_alive(pid)
        parent.kill()
    assert eventually(lambda: not is_alive(pid))
