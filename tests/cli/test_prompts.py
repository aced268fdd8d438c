"""``--prompt`` in whole runs: what the policy reads, what is warned of and kept, what is refused before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from saidpo_core.rollouts import read_attempts
from tests.chat_policy import CHATML, make_chat_policy
from tests.command import Saidpo

FLAGS = (
    "--model=policy", "--pool=jsonl", "--pool.path=problems.jsonl", "--pool.held_out=2", "--generator=scripted",
    "--generator.path=said.jsonl", "--embedder=tfidf", "--rounds=1", "--samples=4", "--probe-min=12", "--draw=8",
    "--trainer.steps=1", "--trainer.batch_size=4", "--trainer.micro_batch_size=4", "--run-dir=run",
)  # fmt: skip


def prepare(folder: Path, *, answer: str = "Well. \\boxed{{{}}}", **policy: Any) -> None:
    """Problems with answers right and wrong that were written down, and a policy to read them with."""
    make_chat_policy(folder / "policy", **policy)
    rows, said = [], []
    for n in range(24):
        rows.append({"id": f"p{n}", "question": f"What is {n} + 1?", "answer": n + 1, "tags": ["sums"]})
        said.append({"id": f"p{n}", "responses": [answer.format(n + 1), answer.format(n), "I do not know."]})
    for name, lines in (("problems", rows), ("said", said)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.slow
def test_the_policy_is_asked_so_everywhere_and_warnings_are_shown_and_kept(saidpo: Saidpo, tmp_path: Path) -> None:
    prepare(tmp_path, template=CHATML, eos="<|endoftext|>")
    (tmp_path / "mine.txt").write_text(
        "<|im_start|>user\n{question} Box it.<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )
    done = saidpo(*FLAGS, "--prompt=mine.txt", "--generator.max_new_tokens=16", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "policy")
    for stage in ("01-probe", "03-explore"):
        for item in read_attempts(tmp_path / f"run/round-1/{stage}"):
            number = int(item.problem_id[1:])
            due = f"<|im_start|>user\nWhat is {number} + 1? Box it.<|im_end|>\n<|im_start|>assistant\n<think>\n"
            assert tokenizer.decode(item.prompt_ids) == due
    measured = (tmp_path / "run/start/05-evaluate/answers-00000.jsonl").read_text().splitlines()
    assert "Box it." in tokenizer.decode(json.loads(measured[1])["prompt_ids"])
    kept = json.loads((tmp_path / "run/summary.json").read_text())["warnings"]
    assert ["thinking block" in kept[0], "of the first probe" in kept[1]] == [True, True]
    for warning in kept:
        assert done.stdout.count(f"warning: {warning}") == 2  # when it was found, and at the end

    (tmp_path / "mine.txt").write_text("{question}")
    other = saidpo(*FLAGS, "--prompt=mine.txt", "--generator.max_new_tokens=16", cwd=tmp_path)
    assert other.returncode == 2
    assert "mine.txt was changed since the run in run was started" in other.stderr
    (tmp_path / "mine.txt").unlink()
    # The last policy is measured as the run asked, though the file is gone.
    (tmp_path / "files").mkdir()
    (tmp_path / "files/own.jsonl").write_text('{"question": "What is 1 + 1?", "answer": 2}\n')
    flags = ("--generator=transformers", "--generator.max_new_tokens=4")
    again = saidpo("eval", "--model=run", "--files=files", "--run-dir=kept", *flags, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    asked = (tmp_path / "kept/start/05-evaluate/answers-00000.jsonl").read_text().splitlines()[1]
    assert "What is 1 + 1? Box it." in tokenizer.decode(json.loads(asked)["prompt_ids"])


@pytest.mark.slow
def test_a_sound_policy_is_not_warned_of(saidpo: Saidpo, tmp_path: Path) -> None:
    prepare(tmp_path)
    done = saidpo(*FLAGS, "--prompt=qwen-math", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "run/summary.json").read_text())["warnings"] == []
    assert "warning" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "flags", "message"),
    [
        ({"template": None, "eos": None}, (), "the model has no end token"),
        ({"positions": 16}, (), "the model takes at most 16"),
        ({"template": None}, ("--prompt=chat",), "has no chat template"),
    ],
)
def test_what_would_fail_is_refused_before_anything_is_generated(
    saidpo: Saidpo, tmp_path: Path, policy: dict[str, Any], flags: tuple[str, ...], message: str
) -> None:
    prepare(tmp_path, **policy)
    done = saidpo(*FLAGS, *flags, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert not (tmp_path / "run/run.toml").exists()  # so a corrected command may use the folder
    assert not list(tmp_path.glob("run/*/*evaluate*"))
