"""Throws random and mutilated answers at the ``math`` verifier and at ``saidpo verify``: nothing may crash or hang.

    python tests/bench/fuzz_verifying.py --minutes 10

Four kinds of case: soups of LaTeX fragments, mutations of the labelled cases, random characters (surrogates, NULs),
and pieces repeated up to a megabyte. A fault is an exception, a verdict that took more than 3 s, a comparison that
failed inside, an answer that is not equal to itself; for ``saidpo verify``, fed with random bytes, a missing line or
an exit code other than 0. Prints what it ran; ends with 1 if there was a fault, which is shown.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from saidpo_core import Problem
from saidpo_plugins.verifiers.math import MathVerifier

LATEST = 3.0
CASES = Path(__file__).parents[1] / "verifying" / "maths.jsonl"
FRAGMENTS = re.split(
    " ",
    r"\frac{ }{ \sqrt{ \sqrt[3]{ \boxed{ \fbox{ \text{ \left( \right) \{ \} \begin{pmatrix} \end{pmatrix} \\ & "
    r"\cup \cap \infty \pi \pm \mp \in \le \ge \ne < > = \approx \cdot \times \div + - * / ^ _ ^{ _{ ! % ° | ( ) [ "
    r"] { } , ; : . .. ... ' $ $$ \( \) \[ \] 0 1 2 3 7 10 12 100 0.5 .5 1,000 1e5 9^{9^{9}} x y z n e i a b f(x) "
    r"f( \sin \cos \log \log_2 \ln \tan \lim_{x\to0} \sum_{k=1}^{9} \int_0^1 dx \prod \binom{ \overline{ "
    r"\mathbb{R} \emptyset \circ ^\circ cm m^2 km/h dollars \$ € pm am and or to about maybe yes no none A B (C) "
    r"#### answer is Answer: <think> </think> <answer> </answer> ½ √ ² ₁ − × ∞ ∅ π ≤ ∪ 三 ﹩ \mathbf{ \quad \, {,} "
    r"\! 0x1F _2 __import__('os') eval(",
)


def soup(rng: random.Random, length: int) -> str:
    glue = rng.choice(("", " ", ""))
    return glue.join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, length)))


def mutated(rng: random.Random, text: str, other: str) -> str:
    for _ in range(rng.randint(1, 4)):
        a, b = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        piece = rng.choice((text[a:b][:20], other[: rng.randint(0, 12)], rng.choice(FRAGMENTS), ""))
        how = rng.randint(0, 3)
        if how == 0:
            text = text[:a] + text[min(b, a + 8) :]
        elif how == 1:
            text = text[:a] + piece + text[a:]
        elif how == 2:
            text = text[:a] + piece * rng.randint(1, 5) + text[b:]
        else:
            text = text[:a] + other
    return text


def noise(rng: random.Random, length: int) -> str:
    ranges = ((0, 0x7F), (0, 0x24F), (0x2000, 0x2BFF), (0xD800, 0xDFFF), (0x1D400, 0x1D7FF), (0, 0x10FFFF))
    low, high = rng.choice(ranges)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(0, length)))


def make_case(rng: random.Random, known: list[dict[str, str]]) -> tuple[str, str, str]:
    """Kind, gold answer and response."""
    row, other = rng.choice(known), rng.choice(known)
    kind = rng.choices(("soup", "mutation", "noise", "long", "itself"), (30, 40, 15, 1, 14))[0]
    if kind == "soup":
        gold = rng.choice((soup(rng, 6), row["gold"]))
        return kind, gold, rng.choice(("\\boxed{%s}", "The answer is %s", "%s", "#### %s")).replace("%s", soup(rng, 9))
    if kind == "mutation":
        gold = rng.choice((row["gold"], mutated(rng, row["gold"], other["gold"])))
        return kind, gold, mutated(rng, row["response"], other["response"])
    if kind == "noise":
        return kind, noise(rng, 20), rng.choice(("\\boxed{%s}", "%s")).replace("%s", noise(rng, 60))
    if kind == "long":
        piece = rng.choice((soup(rng, 3), rng.choice(FRAGMENTS), noise(rng, 3))) or "x"
        text = piece * (rng.choice((2_000, 100_000, 1_000_000)) // len(piece))
        return kind, row["gold"], rng.choice((text, f"\\boxed{{{text}}}", f"The answer is {text}"))
    gold = rng.choice((soup(rng, 5), mutated(rng, row["gold"], other["gold"])))
    return kind, gold, f"\\boxed{{{gold}}}"


def judge_some(
    rng: random.Random, verifier: MathVerifier, known: list[dict[str, str]], counts: Counter[str]
) -> list[str]:
    """Faults of one batch."""
    cases = [make_case(rng, known) for _ in range(200)]
    problems = [Problem(id=str(i), question="?", answer=gold) for i, (_, gold, _) in enumerate(cases)]
    try:
        verdicts = verifier.verify([(problem, case[2]) for problem, case in zip(problems, cases, strict=True)])
    except Exception as error:
        return [f"{type(error).__name__}: {error} over {[case[:2] for case in cases]!r:.2000}"]
    faults = []
    for (kind, gold, response), verdict in zip(cases, verdicts, strict=True):
        counts[f"{kind}: {verdict.outcome}"] += 1
        counts["slowest, ms"] = max(counts["slowest, ms"], round(1000 * verdict.seconds))
        late = verdict.seconds > LATEST
        if late:  # a busy machine, or the case? Alone once more.
            verifier._memo.clear()
            late = verifier.judge(gold, response).seconds > LATEST
        # An own box inside, and unbalanced braces, make another answer of it.
        plain = not set("\\{}#<$") & set(gold) and "answer" not in gold.lower() and gold.strip(" .`*_$")
        unequal = kind == "itself" and verdict.outcome == "wrong" and plain
        if late or unequal or verdict.reason.startswith(("the comparison failed", "worker crashed")):
            faults.append(f"{kind} {verdict} gold {gold!r:.300} response {response!r:.300}")
    return faults


def feed_command(rng: random.Random) -> list[str]:
    """Random bytes as lines for the real command."""
    lines = []
    for _ in range(60):
        line = bytes(rng.randint(0, 255) for _ in range(rng.randint(0, 80))).replace(b"\n", b" ")
        row = json.dumps({"gold": noise(rng, 10), "response": noise(rng, 40)}).encode()
        place = rng.randint(0, len(row))
        lines.append(rng.choice((line, row, row[:place], row[:place] + line + row[place:])))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "cases.jsonl"), Path(folder, "verdicts.jsonl")
        source.write_bytes(b"".join(line + b"\n" for line in lines))
        command = [sys.executable, "-m", "saidpo_core.cli", "verify", f"--in={source}", f"--out={target}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        verdicts = target.read_bytes().count(b"\n") if target.exists() else 0
    if done.returncode or verdicts != len(lines):
        return [f"exit code {done.returncode}, {verdicts} verdicts for {len(lines)} lines: {done.stderr:.500}"]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    args = parser.parse_args()
    seed = random.SystemRandom().randint(0, 2**32) if args.seed is None else args.seed
    rng, known = random.Random(seed), [json.loads(line) for line in CASES.open(encoding="utf-8")]
    counts: Counter[str] = Counter()
    faults: list[str] = []
    commands, batches, end = 0, 0, time.monotonic() + 60 * args.minutes
    with MathVerifier() as verifier:
        verifier.self_test()
        while time.monotonic() < end:
            found = judge_some(rng, verifier, known, counts)
            batches += 1
            if batches % 20 == 1:
                found += feed_command(rng)
                commands += 1
            for fault in found:
                print("FAULT", fault, flush=True)
            faults += found
    slowest = counts.pop("slowest, ms")
    total = sum(counts.values())
    print(f"seed {seed}: {total:,} cases in {args.minutes:g} min, {commands} commands with 60 lines of bytes each")
    print(f"slowest verdict {slowest} ms; {len(faults)} faults")
    for name, count in sorted(counts.items()):
        print(f"  {name:24} {count:8,}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
