"""Checks of trainers, on a few pairs and the small policy that ships with saidpo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saidpo_core.components import TrainingJob
from saidpo_core.conformance import plans, samples
from saidpo_core.conformance.kit import Failed, Subject, check, must
from saidpo_core.contracts import blame, check_training
from saidpo_core.planning.checks import check_training_estimate
from saidpo_core.planning.records import TrainingWork
from saidpo_core.records import Attempts, Pair, Problem, Response, Verdict
from saidpo_core.run_dir import sha256
from saidpo_core.run_record import fingerprint
from saidpo_core.seeds import keyed_seed

_UNSAFE = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".msgpack", ".h5"}
_WORDS = {True: "{a}+{b}={sum}\n#### {sum}", False: "{a}+{b}={off}\n#### {off}"}


def inputs(subject: Subject) -> dict[str, Any]:
    """Attempts at a few sums, K = 4, two of them right; each gives a pair."""
    problems = samples.problems(6)
    return {
        "ordinary": _attempts(subject.policy, problems),
        "one": _attempts(subject.policy, problems[:1]),
        "duplicates": _attempts(subject.policy, problems[:1]) * 3,
    }


def _attempts(policy: Path, problems: Sequence[Problem]) -> tuple[tuple[Problem, Attempts], ...]:
    """The texts are written here, their token ids are those of the policy's tokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy, local_files_only=True)

    def response(problem: Problem, right: bool, off: int) -> Response:
        a, b = (int(word.strip("?")) for word in problem.question.split()[2::2])
        text = _WORDS[right].format(a=a, b=b, sum=a + b, off=a + b + off)
        ids = (*tokenizer(text)["input_ids"], tokenizer.eos_token_id)
        return Response(text=text, token_ids=ids, logprobs=(-0.5,) * len(ids), finish_reason="stop")

    def attempt(problem: Problem) -> Attempts:
        kinds = ((True, 0), (False, 1), (True, 0), (False, 2))
        return Attempts(
            problem_id=problem.id,
            prompt_ids=tuple(tokenizer(problem.question + "\n")["input_ids"]),
            responses=tuple(response(problem, right, off) for right, off in kinds),
            verdicts=tuple(Verdict(outcome="right" if right else "wrong") for right, _ in kinds),
        )

    return tuple((problem, attempt(problem)) for problem in problems)


class SumsVerifier:
    """Judges the sums of the samples by the text after the last ``####``."""

    def self_test(self) -> None:
        """It has no parts that could be missing."""

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        return [
            Verdict(outcome="right" if text.rpartition("####")[2].strip() == problem.answer else "wrong")
            for problem, text in cases
        ]

    def close(self) -> None:
        """It holds nothing."""


def work(subject: Subject, component: Any, given: Sequence[tuple[Problem, Attempts]], seed: int) -> Any:
    """Hashes of the new weights, and the number of steps."""
    out, report, _ = train(subject, component, given, seed)
    return {"weights": {file.name: sha256(file) for file in sorted(out.glob("*.safetensors"))}, "steps": report.steps}


def train(
    subject: Subject, component: Any, given: Sequence[tuple[Problem, Attempts]], seed: int = 0
) -> tuple[Path, Any, list[tuple[int, int]]]:
    """(folder of the new policy, report, calls of progress)"""
    attempts = tuple(item for _, item in given)
    calls: list[tuple[int, int]] = []
    out = subject.new_folder()
    job = TrainingJob(
        policy=subject.policy,
        initial_policy=subject.policy,
        out=out,
        pairs=tuple(_pair(item) for item in attempts),
        attempts=attempts,
        problems={problem.id: problem for problem, _ in given},
        samples=4,
        verifier=SumsVerifier(),
        round=1,
        seed=keyed_seed(seed, "train"),
        progress=lambda done, total: calls.append((done, total)),
    )
    with blame(subject.offer, "train"):
        report = component.train(job)
    check_training(report, out, subject.offer)
    return out, report, calls


def _pair(item: Attempts) -> Pair:
    return Pair(problem_id=item.problem_id, prompt_ids=item.prompt_ids, chosen=item.right[0], rejected=item.wrong[0])


@check("trainer")
def leaves_the_policy_alone(subject: Subject) -> None:
    """The folder of the policy that it starts from is not changed."""
    before = fingerprint(subject.policy)
    subject.work(subject.fresh(), "one")
    must(fingerprint(subject.policy) == before, f"it changed a file in {subject.policy}")


@check("trainer")
def the_new_policy_loads(subject: Subject) -> None:
    """What it wrote opens with ``from_pretrained``, model and tokenizer, and nothing in it runs code when opened."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, _, _ = train(subject, subject.fresh(), subject.input("one"))
    unsafe = [file.name for file in out.rglob("*") if file.suffix in _UNSAFE]
    must(not unsafe, f"it wrote {', '.join(unsafe)}: such files can run code when they are opened")
    try:
        AutoModelForCausalLM.from_pretrained(out, local_files_only=True, use_safetensors=True)
        AutoTokenizer.from_pretrained(out, local_files_only=True)
    except Exception as error:
        raise Failed(f"the new policy does not load: {type(error).__name__}: {error}") from error


@check("trainer")
def training_changes_the_weights(subject: Subject) -> None:
    """After a round with something to learn from, the new weights are not the old ones."""
    old = {sha256(file) for file in subject.policy.glob("*.safetensors")}
    result = subject.result()
    must(result["steps"] > 0, "it reports no optimiser step")
    must(not old & set(result["weights"].values()), "the new weights are the old ones")


@check("trainer")
def progress_comes_to_its_end(subject: Subject) -> None:
    """``progress`` is called, never with more done than there is, and last with all of it."""
    _, _, calls = train(subject, subject.fresh(), subject.input("ordinary"))
    must(bool(calls), "progress was never called")
    must(all(0 <= done <= total for done, total in calls), f"it called progress with {max(calls)}")
    must(calls[-1][0] == calls[-1][1], f"its last call of progress was {calls[-1]}")


@check("trainer")
def its_plan_is_an_estimate(subject: Subject) -> None:
    """If it says what it will need, it does so for any model and machine, and a larger model does not need less."""
    plan: Any = subject.offer.component.plan
    if plan is None:
        return
    work = TrainingWork(
        pairs=500,
        explored=2000,
        samples=8,
        prompt_tokens=100.0,
        longest_prompt=400,
        response_tokens=800.0,
        longest_response=1024,
    )
    for machine in plans.machines():
        found = []
        for model in (plans.SMALL, plans.LARGE):
            with blame(subject.offer, "plan"):
                found.append(plan(subject.options, model, machine, work))
            check_training_estimate(found[-1], machine, subject.offer)
        must(found[0].bytes <= found[1].bytes, "a larger model needs less memory")
