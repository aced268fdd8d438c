"""A pool of 1,000,000 problems: from a Parquet file to tags, vectors, clusters, probe selection and draws.

    python tests/bench/bench_million.py                                      1,000,000 problems, minibatch-kmeans
    python tests/bench/bench_million.py --problems 100000 --embedder tfidf
    python tests/bench/bench_million.py --unique-tags                        every problem has a tag list of its own

The file is made up in the shape of NuminaMath-1.5: questions of 200 to 400 characters, 4,000 different tag lists,
rows without an answer, copies, and an evaluation set that overlaps with a few. The stages are those of a run, in a
process of its own; its peak of resident memory is what the kernel says of it. ``draws``: selection of the probe, and
weights + draw, of a round with a probe of 1% (the time that a draw takes: the median of twenty, both together).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.memory import own_peak

TEXT = """
triangle circle number integer sequence function angle positive real sum product ratio divided equals find value
distance speed train apples bought cost total remaining probability dice card drawn without replacement polynomial
roots prime factor remainder modulo when point line plane intersect area perimeter radius chord tangent sphere
"""
WORDS = TEXT.split()
SHARED = " ".join(WORDS[:20])
"""Part of the question of the evaluation set, and of one row in 10,000."""


def make_file(path: Path, problems: int, tag_lists: int) -> None:
    """Rows with the columns of NuminaMath-1.5 and a list of knowledge points, written batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    words = np.array(WORDS)
    topics = [f"{a} {b}" for a in WORDS[:40] for b in WORDS[20:45]]
    lists = [[topics[i] for i in rng.choice(len(topics), 3, replace=False)] for _ in range(min(tag_lists, 4000))]
    writer: Any = None
    for start in range(0, problems, 20_000):
        count = min(20_000, problems - start)
        lengths = np.repeat(rng.integers(32, 64, -(-count // 10)), 10)  # words: about 200 to 400 characters
        text = words[rng.integers(len(words), size=(count, 64))]
        rows = []
        for i in range(count):
            number = start + i
            number -= number % 1000 == 9  # one row in 1,000 is a copy of the one before it
            shared = SHARED if number % 10_000 == 3 else ""
            question = f"Problem {number}: {shared} " + " ".join(text[i - (number < start + i), : lengths[i]])
            tags = lists[number % len(lists)] if tag_lists <= 4000 else [*lists[number % 4000], f"point {number}"]
            kind = "proof" if number % 100 == 7 else "math-word-problem"
            answer = "proof" if kind == "proof" else str(number % 1000)
            row = {"problem": question, "solution": "...", "answer": answer, "problem_type": topics[number % 8]}
            row |= {"question_type": kind, "source": f"source {number % 10}", "problem_is_valid": "Yes"}
            rows.append({**row, "solution_is_valid": "Yes", "synthetic": False, "tags": tags})
        table = pa.Table.from_pylist(rows)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def measure(folder: Path, embedder: str, clusterer: str) -> dict[str, Any]:
    """The stages of a run and twenty draws, in this process."""
    from saidpo_core.events import Observers
    from saidpo_core.parts import Parts
    from saidpo_core.prepare import find_knowledge, load_pool
    from saidpo_core.problem_file import outline_of
    from saidpo_core.records import Attempts, Response, Verdict
    from saidpo_core.registry import load_registry
    from saidpo_core.run_dir import RunDir
    from saidpo_core.selection import evidence_of, probe_rows, weigh_and_draw
    from saidpo_core.settings import resolve

    registry = load_registry()
    values = {
        "model": "m",
        "pool": "hub",
        "pool.dataset": [f"numina-math-1.5={folder / 'pool.parquet'}"],
        "pool.tags": ["problem_type", "tags"],
        "pool.decontaminate": [str(folder / "eval.jsonl")],
        "embedder": embedder,
        "clusterer": clusterer,
    }
    settings = resolve(registry, values, {key: key for key in values})
    parts = Parts(settings, registry)
    run = RunDir(folder / "run", Observers(registry.manager))
    found: dict[str, Any] = {"peak MiB": {"start": own_peak() / 2**20}}
    sets = load_pool(run, parts, 0)
    found["peak MiB"]["pool"] = own_peak() / 2**20
    started = time.perf_counter()
    outline = outline_of(sets.problems)
    outline_seconds = time.perf_counter() - started
    knowledge = find_knowledge(run, parts, sets, outline, 0)
    found["peak MiB"]["clusters"] = own_peak() / 2**20
    found["seconds"] = {row["stage"]: round(row["seconds"], 2) for row in run.timings}
    found["seconds"]["outline"] = round(outline_seconds, 2)

    response = Response(text="1", token_ids=(1,), logprobs=(-0.1,), finish_reason="stop")
    verdicts = [Verdict(outcome="right"), Verdict(outcome="wrong")]
    rng = np.random.default_rng(0)
    select, draws, worked, rounds = [], [], [], []
    for t in range(1, 21):
        started = time.perf_counter()
        rows = probe_rows(len(sets.problems), settings.run, t)
        select.append(1000 * (time.perf_counter() - started))
        attempts = [
            Attempts(
                problem_id=outline.ids[row],
                prompt_ids=(1,),
                responses=(response,) * 2,
                verdicts=(verdicts[int(rng.integers(2))], verdicts[1]),
            )
            for row in rows
        ]
        rounds.append(evidence_of(t, knowledge, attempts, {item.problem_id for item in attempts}))
        started, processor = time.perf_counter(), time.process_time()
        draw = weigh_and_draw(parts, settings.run, t, knowledge, rounds[-3:], rows)
        draws.append(1000 * (time.perf_counter() - started))
        worked.append(1000 * (time.process_time() - processor))
    started = time.perf_counter()
    drawn = [sets.problems[row] for row in draw.rows]
    found["problems read"] = f"{len(drawn):,} in {time.perf_counter() - started:.2f} s"
    found["ms"] = {"probe selection": select, "weights + draw": draws}
    found["processor ms"] = statistics.median(worked)
    found["peak MiB"]["draws"] = own_peak() / 2**20
    found |= {"problems": len(sets.problems), "probed": len(rows), "drawn": len(drawn), "notes": sets.notes}
    found |= {"tag lists": len(set(knowledge.tags)), "dimensions": knowledge.embeddings.shape[1]}
    return found | {"clusters": knowledge.n_clusters, "processor": time.process_time()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1_000_000)
    parser.add_argument("--embedder", default="sentence-transformers")
    parser.add_argument("--clusterer", default="minibatch-kmeans")
    parser.add_argument("--unique-tags", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the file and the run are kept (default: a temporary folder)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.embedder, args.clusterer)))
        return
    with tempfile.TemporaryDirectory(prefix="saidpo-million-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "pool.parquet").exists():
            make_file(folder / "pool.parquet", args.problems, args.problems if args.unique_tags else 4000)
        (folder / "eval.jsonl").write_text(json.dumps({"problem": f"Take {SHARED}."}) + "\n")
        command = [sys.executable, __file__, "--measure", folder, "--embedder", args.embedder]
        environment = {**os.environ, "SAIDPO_CACHE": str(folder / "cache")}
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--clusterer", args.clusterer], env=environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(done.returncode)
        report(json.loads(done.stdout.splitlines()[-1]), args, time.perf_counter() - started)


def report(found: dict[str, Any], args: argparse.Namespace, seconds: float) -> None:
    print(f"{found['problems']:,} problems, {found['tag lists']:,} tag lists, {args.embedder}, {args.clusterer}")
    for note in found["notes"]:
        print("  note:", note)
    for stage, took in found["seconds"].items():
        print(f"  {stage:<10} {took:8.1f} s")
    print(f"  process    {seconds:8.1f} s, of them {found['processor']:.1f} s of one processor's time")
    print(f"  {found['clusters']} clusters in {found['dimensions']} dimensions")
    both = [a + b for a, b in zip(*found["ms"].values(), strict=True)]
    for name, times in {**found["ms"], "both": both}.items():
        print(f"  {name:<16} median {statistics.median(times):6.1f} ms, min {min(times):.1f}, max {max(times):.1f}")
    print(f"  a draw takes {found['processor ms']:.1f} ms of one processor's time (median)")
    print(
        f"  of {found['probed']:,} probed and {found['drawn']:,} drawn; drawn problems read: {found['problems read']}"
    )
    print("  peak memory: " + ", ".join(f"{after} {mib / 1024:.2f} GiB" for after, mib in found["peak MiB"].items()))


if __name__ == "__main__":
    main()
