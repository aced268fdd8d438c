"""``Response.widths``: characters of the text that each token adds, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from saidpo_core import Generation, PluginError, Request, Response
from saidpo_core.contracts import check_generations
from saidpo_core.registry import load_registry
from tests.builders import make_problem

OFFER = load_registry().default("generator")
RESPONSE = Response(text="ab\n", token_ids=(5, 6, 7), logprobs=(-1.0, -1.0, 0.0), finish_reason="stop")


def check(widths: Any) -> None:
    response = replace(RESPONSE, widths=widths)
    request = Request(problem=make_problem(), seeds=(1,))
    check_generations([Generation(prompt_ids=(1,), responses=(response,))], (request,), OFFER)


@pytest.mark.parametrize("widths", [(), (1, 2, 0), (3, 0, 0)])
def test_widths_that_share_the_text_are_accepted(widths: Any) -> None:
    check(widths)


@pytest.mark.parametrize("widths", [(1, 2), (1, 1, 0), (4, -1, 0), (3.0, 0, 0), [3, 0, 0], None, ("ab", "\n", "")])
def test_other_widths_are_the_generators_broken_promise(widths: Any) -> None:
    with pytest.raises(PluginError, match="widths must share the text among the tokens"):
        check(widths)
