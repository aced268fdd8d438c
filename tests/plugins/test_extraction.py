"""Where the final answer of a response is found, and that finding it takes linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidpo_plugins.verifiers.extraction import extract
from saidpo_plugins.verifiers.thinking import outside_thinking


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("First \\boxed{3}, no: \\boxed{42}.", "42"),
        ("\\boxed {42}", "42"),
        ("\\boxed\n{42}", "42"),
        ("\\fbox{7}", "7"),
        ("\\\\boxed{7}", "7"),  # escaped once too often
        ("a \\\\\\boxed{7}", "7"),  # after the end of a line
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{a \\\\ {b}}", "a \\\\ {b}"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{x = \\fbox{3}}", "x = \\fbox{3}"),
        ("{ \\boxed{5} and } an odd brace", "5"),
        ("an open { and \\boxed{5}", "5"),
        ("\\boxed{$5$}", "5"),
        ("\\boxed{\\text{The answer is } 5}", "5"),
        ("\\boxed{42}. The answer is 43\n#### 44", "42"),
        ("12 + 5 = 17\n#### 17", "17"),
        ("#### 1,234\n", "1,234"),
        ("#### 3\nthen\n#### 4", "4"),
        ("#### 4\nThe answer is 5", "4"),
        ("#### Final Answer: 42", "42"),
        ("#### Final Answer\n42", "42"),
        ("#### Step 1\nadd\n#### Step 2\nThe answer is 8", "8"),
        ("The answer is 5. I hope it is correct.", "5"),
        ("The answer is 5. No, the answer is 6.", "6"),
        ("The answer is 5. The previous answer was wrong.", "5"),
        ("The answer is 5. The wrong answer is 6.", "5"),
        ("I was not sure at first. The answer is 5.", "5"),
        ("Therefore the final answer is: $\\frac{3}{4}$.", "\\frac{3}{4}"),
        ("The answer is $x = 3$ because of symmetry.", "x = 3"),
        ("The answer is $1$, $2$", "$1$, $2$"),
        ("The answer is $5$ m", "$5$ m"),
        ("The answer to the whole question is 12.", "12"),
        ("**Answer:** 12", "12"),
        ("**Answer: 12**", "12"),
        ("Answer: C", "C"),
        ("Answer = 7", "7"),
        ("the answer is **3.14**", "3.14"),
        ("The answer is:\n\n17", "17"),
        ("The answer is\n\\[\n17\n\\]\nindeed", "17"),
        ("### Final Answer\n\n42", "42"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        ('{"steps": 3, "answer": "42"}', "42"),
        ("(Answer: 42)", "42"),
        ("The answer is 5!", "5"),
        ("The answer is $5!$", "5!"),
        ("The answer is 5 (since 2 + 3 = 5)", "5"),
        ("答案是 42。", "42"),
        ("<answer>9</answer>", "9"),
        ("The answer is 9</s>", "9"),
        ("42", "42"),
        ("  x = 5\n", "x = 5"),
        ("**42**", "42"),
        ("$\\frac{3}{4}$.", "\\frac{3}{4}"),
        ("Alice, Bob, Carol, and Dave", "Alice, Bob, Carol, and Dave"),
        ("(-\\infty, -2) \\cup (3, \\infty)", "(-\\infty, -2) \\cup (3, \\infty)"),
    ],
)
def test_final_answer_is_found(response: str, answer: str) -> None:
    assert extract(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   \n",
        "We have 3 apples.\nTogether that makes 7",  # the last number of an unfinished response
        "12 + 5 = 17",  # working, not an answer
        "Adding the apples to the oranges makes 12",
        "So it is \\boxed{42",
        "\\boxed{1}, but no: \\boxed{4",  # taken back, not finished
        "\\boxed{}",
        "The answer is not 5.",
        "The wrong answer is 5.",
        "Suppose the answer is 5. That is absurd, so I cannot tell.",
        "The answer is 5. But I am not sure that the answer is 5.",
        "Perhaps the answer is 5.",
        "The answer is",
        "####",
        "<answer>4",
        "We put it in \\boxed, of course",
    ],
)
def test_response_without_a_final_answer(response: str) -> None:
    assert extract(response) is None


@pytest.mark.parametrize(
    ("response", "rest"),
    [
        ("<think>\\boxed{1}</think>2", "2"),
        ("\\boxed{1}</think>2", "2"),  # it began in the prompt
        ("2<think>\\boxed{1}", "2"),  # it does not end
        ("<think>\\boxed{1}", ""),
        ("<think>a<think>b</think>c</think>2", "2"),
        ("<thinking>1</thinking>2", "2"),
        ("<Thought>1</Thought>2", "2"),
        ("<reasoning>1</reasoning>2", "2"),
        ("[THINK]1[/THINK]2", "2"),
        ("◁think▷1◁/think▷2", "2"),
        ("<|begin_of_thought|>1<|end_of_thought|>2", "2"),
        ("<|channel|>analysis<|message|>1<|end|><|start|>assistant<|channel|>final<|message|>2", "2"),
        ("2<|im_end|>", "2\n"),
        ("1 < 2 and [3, 4]", "1 < 2 and [3, 4]"),
    ],
)
def test_thinking_is_cut_out(response: str, rest: str) -> None:
    assert outside_thinking(response) == rest


PIECES = ["\\boxed{", "\\fbox {", "}", "{", "\\", "####", "answer is", "answer:", "<think>", "</think>", "$", "**", "."]
PIECES += ["\n", "7"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
def test_extraction_takes_any_text(text: str) -> None:
    answer = extract(text)
    assert answer is None or (answer == answer.strip() and answer)


FLOODS = [*PIECES, "\\boxed{1}", "<think></think>", "<answer>", "answer is ", "$$", "answer ", " ", ". ", "$.", "** "]
FLOODS += ["answer to ", "#### ", "####\n", "#### Step\n", "\\(", "\\[", "<", "[", "answer is not ", '"', "答案"]


@pytest.mark.parametrize("piece", FLOODS)
def test_extraction_is_linear(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    start = time.process_time()
    for response in (text, f"\\boxed{{{text}}}", f"#### {text}", f"The answer is {text}", f"{text}\\boxed{{5}}"):
        extract(response)
    assert time.process_time() - start < 3.0, "five times half a megabyte; it takes a second at most"
