"""``--prompt``: what a run says around a question, resolved once and recorded with the run.

Rendering it to token ids needs a tokenizer, so it is the generators' (``saidpo_plugins.common.prompts``).
"""

from __future__ import annotations

import re
from pathlib import Path

from saidpo_core.errors import UsageError
from saidpo_core.options import nearest
from saidpo_core.records import Prompt

HOLE = "{question}"

_BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
# What Meta gave with the evaluations of its Llama 3.1 instruct models on MATH, as one message of the user.
_LLAMA_MATH = """\
Solve the following math problem efficiently and clearly:

- For simple problems (2 steps or fewer):
Provide a concise solution with minimal explanation.

- For complex problems (3 steps or more):
Use this step-by-step format:

## Step 1: [Concise description]
[Brief explanation and calculations]

## Step 2: [Concise description]
[Brief explanation and calculations]

...

Regardless of the approach, always conclude with:

Therefore, the final answer is: $\\boxed{answer}$. I hope it is correct.

Where [answer] is just the final number or expression that solves the problem.

Problem: {question}"""

PROMPTS: dict[str, Prompt] = {
    "auto": Prompt(),
    "plain": Prompt(text="{question}\n", chat="no"),
    "chat": Prompt(chat="yes"),
    # Qwen2.5-Math: what its own evaluation calls qwen25-math-cot, and its chat template says by itself.
    "qwen-math": Prompt(system=_BOXED, chat="yes"),
    "llama-math": Prompt(text=_LLAMA_MATH, chat="yes"),
    # DeepSeek-R1's distilled models: no system message, the instruction after the question.
    "boxed": Prompt(text="{question}\n\n" + _BOXED, chat="yes"),
}
"""Name -> prompt; any other value of ``--prompt`` is a file."""


def find_prompt(value: str | Path, where: str) -> Prompt:
    """The prompt of that name, or of that file; ``where`` (a flag, or file and key) is named in errors."""
    if isinstance(value, str) and value in PROMPTS:
        return PROMPTS[value]
    path = Path(value).expanduser()
    try:
        with path.open(encoding="utf-8", newline="") as file:  # its ends of lines are left as they are
            text = file.read()
    except FileNotFoundError as error:
        raise UsageError(
            f"{where}: no such file, and no such prompt: {value}.{nearest(str(value), PROMPTS)}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: {path} cannot be read as text ({error})") from error
    _check_holes(path, text)
    return Prompt(text=text, chat="no")


def _check_holes(path: Path, text: str) -> None:
    """A prompt file has the placeholder once: without it no question is asked, and twice is a slip."""
    lines = [number for number, line in enumerate(text.split("\n"), 1) for _ in range(line.count(HOLE))]
    if len(lines) > 1:
        raise UsageError(
            f"{path}:{lines[1]}: a second {HOLE}, after the one in line {lines[0]}; it may stand there once"
        )
    if not lines:
        slip = re.search(r"\{\s*(question|problem|input|prompt|instruction|query)\s*\}", text, re.IGNORECASE)
        if slip:
            number = text.count("\n", 0, slip.start()) + 1
            raise UsageError(f"{path}:{number}: {slip.group()} is no placeholder; expected {HOLE}")
        number = text.rstrip("\n").count("\n") + 1
        raise UsageError(f"{path}:{number}: the file ends without {HOLE}, where the question would stand")
