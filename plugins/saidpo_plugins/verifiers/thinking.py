"""Cuts out what a model thinks before it answers: thinking blocks in the tags of the common model families.

``<think>``, ``<thinking>``, ``<thought>``, ``<reasoning>``, ``<reflection>``, ``<scratchpad>``, ``[THINK]``,
``◁think▷``, ``<|begin_of_thought|>`` and the analysis channel of ``<|channel|>``. A block may have begun in the prompt,
and one that never ends leaves no answer. Special tokens such as ``<|im_end|>`` are taken away too.
"""

from __future__ import annotations

import re

from saidpo_plugins.common.texts import writable

_NAMES = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|seed:think|analysis|internal)"
_TAG = re.compile(
    r"(?=<[/|｜a-z]|\[/?t|◁)"  # quick to say no
    rf"(?:(?P<open><{_NAMES}>|\[THINK\]|◁think▷|<\|begin_of_(?:thought|thinking)\|>|<\|channel\|>(?:analysis|commentary)\b)"
    rf"|(?P<close></{_NAMES}>|\[/THINK\]|◁/think▷|<\|end_of_(?:thought|thinking)\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>)"
    r"|(?P<token><\|[a-z_]{1,30}\|>|<｜[^｜\n]{1,30}｜>|</s>|<eos>|<end_of_turn>))",
    re.IGNORECASE,
)


def outside_thinking(text: str) -> str:
    """``text`` without thinking blocks, also one that began in the prompt, and one that does not end; ``writable``."""
    text = writable(text)
    if not any(sign in text for sign in "<[◁"):
        return text
    kept: list[str] = []
    thinking = False
    place = 0
    for tag in _TAG.finditer(text):
        if not thinking:
            kept.append(text[place : tag.start()])
        place = tag.end()
        if tag["open"]:
            thinking = True
        elif tag["close"]:
            if not thinking:
                kept.clear()
            thinking = False
        elif not thinking:
            kept.append("\n")
    if not thinking:
        kept.append(text[place:])
    return "".join(kept)
