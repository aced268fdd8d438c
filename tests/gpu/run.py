"""All GPU checks by one command, and a table of what they measured.

    python tests/gpu/run.py                  # writes gpu-checks.txt and gpu-checks.json here
    python tests/gpu/run.py --out DIR -k vllm

Ends with 0 if every check passed, 1 if one failed, 3 if nothing ran (no CUDA device).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("saidpo", "torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "vllm", "ray")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the table")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only some checks, as pytest chooses them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, report = Path(folder) / "figures.jsonl", Path(folder) / "report.xml"
        chosen = ["-k", options.k] if options.k else []
        subprocess.run(
            [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu", "-n", "0", "--timeout=1800", "-rs",
             f"--junitxml={report}", *chosen],
            cwd=ROOT,
            env={**os.environ, "SAIDPO_GPU_FIGURES": str(figures)},
            check=False,
        )  # fmt: skip
        lines = figures.read_text().splitlines() if figures.exists() else []
        tree = {"machine": machine(), "checks": outcomes(report), "figures": [json.loads(line) for line in lines]}
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(table(tree)) + "\n"
    (options.out / "gpu-checks.txt").write_text(text, encoding="utf-8")
    (options.out / "gpu-checks.json").write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    print(text)
    return exit_code(tree["checks"])


def exit_code(checks: Sequence[dict[str, str]]) -> int:
    states = {row["state"] for row in checks}
    if states & {"failed", "error"}:
        return 1
    return 0 if "passed" in states else 3


def machine() -> dict[str, Any]:
    """The device and the versions that a figure depends on."""
    import torch

    devices = [
        f"{torch.cuda.get_device_name(i)}, {torch.cuda.get_device_properties(i).total_memory / 1e9:.0f} GB"
        for i in range(torch.cuda.device_count())
    ]
    versions = {"python": platform.python_version(), "cuda": torch.version.cuda}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"devices": devices, "system": platform.system(), "versions": versions}


def outcomes(report: Path) -> list[dict[str, str]]:
    """Name, state and reason of every check, from pytest's report."""
    if not report.exists():
        return [{"check": "pytest", "state": "error", "reason": "it wrote no report"}]
    rows = []
    for case in ElementTree.parse(report).iter("testcase"):
        state, reason = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                state = {"failure": "failed"}.get(child.tag, child.tag)
                reason = child.get("message", "")
        rows.append({"check": case.get("name", "?"), "state": state, "reason": reason})
    return rows


def table(tree: dict[str, Any]) -> Iterator[str]:
    """Plain text: the machine, a line a figure, a line a check that has none."""
    devices = tree["machine"]["devices"]
    yield f"devices:  {'; '.join(devices) or 'none'}"
    yield "versions: " + ", ".join(f"{name} {number}" for name, number in tree["machine"]["versions"].items())
    rows = [("check", "state", "figure", "value", "limit")]
    for check in tree["checks"]:
        own = [item for item in tree["figures"] if item["check"] == check["check"]]
        for item in own:
            sign = ">=" if item["at_least"] else "<="
            limit = "" if item["limit"] is None else f"{sign} {item['limit']:g}"
            state = check["state"] if item["good"] else "beyond"
            rows.append((check["check"], state, item["name"], f"{item['value']:.6g} {item['unit']}", limit))
        if not own:
            rows.append(
                (
                    check["check"],
                    check["state"],
                    check["reason"].splitlines()[0][:80] if check["reason"] else "",
                    "",
                    "",
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
