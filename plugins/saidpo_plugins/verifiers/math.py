"""Verifier ``math``: is the final answer of a response the gold answer, mathematically?

Three stages: find the final answer (``extraction``), compare exactly what can be compared cheaply (``exact``), and
hand what is left to math-verify in a worker process (``workers``), the extracted answer only. A response without a
final answer is wrong. What cannot be judged is unverifiable: out of time or memory, a crashed worker, a gold answer
that math-verify cannot read.

The paper names no verifier: all of this is **ours**. There is no tolerance (``0.333`` is not 1/3, ``1.414`` is not the
root of 2): where math-verify says yes, both values are computed to 50 digits and have to agree, since by itself it
takes 1e-7 for 2e-7. Its own timeouts are off: they need the main thread's alarm, and end nothing that hangs in C.

``self_test`` judges known cases of the first two stages. The cases for math-verify are put to every worker when it
starts, before its first real case: most runs on plain numbers never start one, and do not pay for importing SymPy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from saidpo_core import Component, Problem, SaidpoError, Verdict, Verifier, hookimpl, option
from saidpo_plugins.verifiers.exact import LENGTH_LIMIT, compare, normalise, split_unit
from saidpo_plugins.verifiers.extraction import extract, marked
from saidpo_plugins.verifiers.workers import Reply, WorkerPool

_SELF_TEST: tuple[tuple[str, str, str], ...] = (
    ("42", "6 * 7 = 42, so the answer is \\boxed{42}.", "right"),
    ("\\frac{1}{2}", "Half of it.\n#### 0.5", "right"),
    ("2:3:5", "\\boxed{2:5:3}", "wrong"),
    ("1e-7", "\\boxed{2e-7}", "wrong"),
    ("5", "Both of them have \\boxed{5", "wrong"),
    ("7", "3 + 4 is\n7", "wrong"),
)
_WORKER_CHECKS = (
    (["\\frac{\\sqrt{3}}{2}", "\\frac{3}{2\\sqrt{3}}"], "equal"),
    (["x+1", "x+2"], "unequal"),
    (["10^{-7}x", "2\\cdot 10^{-7}x"], "unequal"),
    (["\\frac{1", "1"], "gold unreadable"),
)


@dataclass(frozen=True, kw_only=True)
class MathOptions:
    timeout: float = option(5.0, "seconds for one comparison by math-verify; then it is unverifiable", low=0.1)
    workers: int | Literal["auto"] = option("auto", "worker processes for math-verify; auto: 2, 1 on one core", low=1)
    memory_mb: int = option(2048, "memory limit of a worker process, in MiB", low=256)


class MathVerifier:
    def __init__(self, options: MathOptions) -> None:
        size = min(2, os.cpu_count() or 1) if options.workers == "auto" else options.workers
        self._pool = WorkerPool(
            __name__,
            "judge",
            size=size,
            timeout=options.timeout,
            memory_mb=options.memory_mb,
            checks=_WORKER_CHECKS,
        )
        self._memo: dict[tuple[str, str], Reply] = {}

    def self_test(self) -> None:
        for gold, response, due in _SELF_TEST:
            [verdict] = self.verify([(Problem(id="self-test", question="?", answer=gold), response)])
            if verdict.outcome != due:
                raise SaidpoError(
                    f"--verifier=math fails its self-test: gold answer {gold!r}, response {response!r}: "
                    f"expected {due}, got {verdict.outcome} {verdict.reason}"
                )

    def verify(self, cases: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        golds = [_gold(problem.answer) for problem, _ in cases]
        answers = [extract(response) for _, response in cases]
        verdicts = [_exact_verdict(gold, answer) for gold, answer in zip(golds, answers, strict=True)]
        hard = {
            row: (_body(golds[row]), _body(answers[row] or ""))
            for row, verdict in enumerate(verdicts)
            if verdict is None
        }
        replies = self._compare(hard.values())
        return [verdict or _symbolic_verdict(answers[row], replies[hard[row]]) for row, verdict in enumerate(verdicts)]

    def close(self) -> None:
        self._pool.close()

    def _compare(self, pairs: Any) -> dict[tuple[str, str], Reply]:
        """Replies of the workers; what was asked before is not asked again, unless a worker crashed over it."""
        wanted = list(dict.fromkeys(pairs))
        new = [pair for pair in wanted if pair not in self._memo]
        replies = dict(zip(new, self._pool.run(new), strict=True)) if new else {}
        self._memo |= {pair: reply for pair, reply in replies.items() if reply.problem != "worker crashed"}
        return {pair: replies[pair] if pair in replies else self._memo[pair] for pair in wanted}


def _gold(answer: str) -> str:
    """The gold answer itself, if it comes as a worked solution (GSM8K: ``... #### 72``)."""
    found, final = marked(answer)
    return final if found and final else answer.strip()


def _body(answer: str) -> str:
    return split_unit(normalise(answer))[0]


def _exact_verdict(gold: str, answer: str | None) -> Verdict | None:
    if answer is None:
        return Verdict(outcome="wrong", reason="no final answer")
    equal = compare(gold, answer)
    if equal is not None:
        return Verdict(outcome="right" if equal else "wrong", extracted=answer)
    if max(len(gold), len(answer)) > LENGTH_LIMIT:
        reason = f"answer longer than {LENGTH_LIMIT} characters"
        return Verdict(outcome="unverifiable", extracted=answer, reason=reason)
    return None


def _symbolic_verdict(answer: str | None, reply: Reply) -> Verdict:
    if reply.problem:
        return Verdict(outcome="unverifiable", extracted=answer, reason=reply.problem)
    if reply.value == "gold unreadable":
        return Verdict(outcome="unverifiable", extracted=answer, reason="gold answer cannot be read")
    return Verdict(outcome="right" if reply.value == "equal" else "wrong", extracted=answer)


# ---- In the worker process -------------------------------------------------------------------------------------------


def judge(request: list[str]) -> str:
    """``equal``, ``unequal`` or ``gold unreadable`` for a gold answer and an answer, both without units."""
    gold, answer = request
    golds, answers = gold.split(":"), answer.split(":")
    if len(golds) > 1 and len(answers) > 1:  # math-verify would divide
        if len(golds) != len(answers):
            return "unequal"
        outcomes = {_judge_one(*pair) for pair in zip(golds, answers, strict=True)}
        return outcomes.pop() if len(outcomes) == 1 else "unequal"
    return _judge_one(gold, answer)


def _judge_one(gold: str, answer: str) -> str:
    import math_verify

    gold_value, answer_value = _read(gold), _read(answer)
    if not gold_value:
        return "gold unreadable"
    equal = bool(answer_value) and math_verify.verify(gold_value, answer_value, timeout_seconds=None)
    return "equal" if equal and not _differ(gold_value[0], answer_value[0]) else "unequal"


def _read(text: str) -> list[Any]:
    """``text`` as LaTeX, all of it: math-verify must not pick a number out of what it cannot read."""
    from math_verify import LatexExtractionConfig, parse

    default = LatexExtractionConfig()
    config = LatexExtractionConfig(
        boxed_match_priority=0, normalization_config=replace(default.normalization_config, units=False)
    )
    found: list[Any] = parse(f"\\boxed{{{text}}}", [config], fallback_mode="no_fallback", parsing_timeout=None)
    return found


def _differ(left: Any, right: Any) -> bool:
    """Whether two values that math-verify takes for equal are not, variables set to arbitrary numbers."""
    import sympy  # type: ignore[import-untyped]

    if isinstance(left, sympy.FiniteSet) and isinstance(right, sympy.FiniteSet):
        return any(all(_differ(a, b) for b in right.args) for a in left.args)
    if isinstance(left, sympy.Tuple) and isinstance(right, sympy.Tuple):
        return any(_differ(a, b) for a, b in zip(left, right, strict=False))
    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
        return False
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    values = {symbol: sympy.Rational(17 + 6 * k, 11 + k) for k, symbol in enumerate(symbols)}
    a, b = (_number(value, values) for value in (left, right))
    if a is None or b is None:
        return False
    tolerance = sympy.Float("1e-12" if left.has(sympy.Float) or right.has(sympy.Float) else "1e-40", 50)
    return bool(abs(a - b) > tolerance * max(abs(a), abs(b)))


def _number(value: Any, values: dict[Any, Any]) -> Any:
    """``value`` to 50 digits, None if that is no finite number."""
    number = value.subs(values).evalf(50)
    return number if number.is_number and number.is_finite and not number.free_symbols else None


@hookimpl
def saidpo_verifiers() -> list[Component[Verifier]]:
    return [
        Component(
            name="math",
            summary="final answer against the gold answer: exactly, then by math-verify in killable processes",
            options=MathOptions,
            build=MathVerifier,
            default=True,
            domains=("math",),
        )
    ]
