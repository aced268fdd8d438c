"""The form of an answer: single, list, set, tuple, matrix, ratio, relation, union. Works on normalised texts.

``parse`` only cuts at the outermost signs, in this order: ``and``/``or``/``,``/``;`` make a list, then relations, set
operations, colons. Text in brackets of any kind stays whole until its own turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OPENING, _CLOSING = "([{", ")]}"
_RELATION = re.compile(r"[=<>≤≥≠∈≈]")
_SET_SIGN = re.compile(r"[∪∩∖]|(?<=[)\]}ℝℤℕℚ])-(?=\\\{)")
_LIST_SIGN = re.compile(r",? ?(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z]) ?|[,;]|\\\\|&")
_OR = re.compile(r",? ?(?<![a-zA-Z\\])or(?![a-zA-Z]) ?")
_THOUSANDS = re.compile(r"(?<![\d.,])[-+]?\d{1,3}(?:,\d{3})+(?![\d,])")
_MATRIX = re.compile(
    r"\\begin\{([bpvBV]?)(?:small)?(?:matrix|array)\}(?:\{[clr| ]*\})?(.*)\\end\{\1(?:small)?(?:matrix|array)\}",
    re.DOTALL,
)
_CASES = re.compile(r"\\begin\{(?:cases|aligned?|gathered)\}(.*)\\end\{(?:cases|aligned?|gathered)\}", re.DOTALL)
_BUILDER = re.compile(r"\\\{ ?([a-zA-Z]) ?(?:∈ ?([ℝℤℕℚ]))? ?[|:] ?(.*)\\\}", re.DOTALL)
_RATIO_SPOKEN = re.compile(r"(\d+(?:\.\d+)?) to (\d+(?:\.\d+)?)")
ITEM_LIMIT = 200


@dataclass(frozen=True)
class Form:
    """``kind``: ``one``, ``list``, ``set``, ``built``, ``tuple``, ``matrix``, ``ratio``, ``relation``, ``union``."""

    kind: str
    text: str
    items: tuple[Form, ...] = ()
    signs: str = ""
    """Brackets of a tuple, relations or set operations between the items, kind of matrix; ``∧`` or ``∨`` of a list, if
    that is said; the domain of a set that is built by a condition, its only item."""
    columns: int = 0

    def __len__(self) -> int:
        return len(self.items)


def parse(text: str, depth: int = 0) -> Form:
    """The form of a normalised answer."""
    text = text.strip()
    if depth > 20 or len(text) < 2:
        return Form("one", text)
    for read in (_matrix, _bracketed, _listed, _related, _united, _ratio):
        form = read(text, depth)
        if form is not None:
            return form if len(form.items) <= ITEM_LIMIT else Form("one", text)
    return Form("one", text)


def _matrix(text: str, depth: int) -> Form | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        cases = _CASES.fullmatch(text)
        if cases is None:
            return None
        lines = [line.replace("&", "").strip(" ,") for line in cases[1].split("\\\\")]
        connective = "∧" if text.startswith("\\begin{cases}") else ""
        return Form("list", text, _all([line for line in lines if line], depth), connective)
    if "\\begin" in match[2]:
        return None
    rows = [row.strip() for row in re.split(r"\\\\", match[2])]
    cells = [[cell.strip() for cell in row.split("&")] for row in rows if row]
    if not cells or len({len(row) for row in cells}) > 1:
        return None
    kind = "|" if match[1] in ("v", "V") else ""
    return Form("matrix", text, _all([cell for row in cells for cell in row], depth), kind, len(cells[0]))


def _bracketed(text: str, depth: int) -> Form | None:
    """``(1,2)``, ``[1,2)``, ``\\{1,2\\}``; a pair of brackets around a single thing is no tuple."""
    for opening, closing in (
        ("\\{", "\\}"),
        ("{", "}"),
        ("(", ")"),
        ("[", "]"),
        ("(", "]"),
        ("[", ")"),
        ("]", "["),
        ("<", ">"),
    ):
        if not (text.startswith(opening) and text.endswith(closing)) or len(text) < len(opening) + len(closing):
            continue
        inner = text[len(opening) : -len(closing)]
        if opening in ("\\{", "{"):
            if _ends(text, len(opening) - 1) != len(text) or (opening == "{" and "," not in inner):
                continue
            built = _BUILDER.fullmatch(text)
            if built:
                condition = parse(_with_x(built[3].strip(), built[1]), depth + 1)
                return Form("built", text, (condition,), built[2] or "")
            items = _split(inner, _LIST_SIGN)
            return Form("set", text, _all(items, depth) if inner.strip() else ())
        if opening in "([" and closing in ")]" and _ends(text, 0) != len(text):
            continue
        items = _split(inner, _LIST_SIGN, thousands=False)
        if len(items) < 2 or (opening in "<]" and len(items) < (3 if opening == "<" else 2)):
            if opening == closing or opening + closing not in ("()", "[]"):
                continue
            whole = parse(inner, depth + 1) if inner.strip() else None
            return whole if whole is not None and whole.kind != "one" and opening == "(" else None
        brackets = {"][": "()", "<>": "()"}.get(opening + closing, opening + closing)
        forms = _all(items, depth)
        if brackets == "[]" and all(form.kind == "tuple" and form.signs == "[]" for form in forms):
            return _rows(text, forms)
        return Form("tuple", text, forms, brackets)
    return None


def _with_x(condition: str, variable: str) -> str:
    """The condition of a set with ``x``, whatever the name in it."""
    if "x" in condition:
        return condition
    return re.sub(rf"(?<![a-zA-Z\\]){variable}(?![a-zA-Z])", "x", condition)


def _rows(text: str, rows: tuple[Form, ...]) -> Form:
    """``[[1,2],[3,4]]`` is a matrix."""
    if len({len(row) for row in rows}) > 1:
        return Form("tuple", text, rows, "[]")
    return Form("matrix", text, tuple(item for row in rows for item in row.items), "", len(rows[0]))


def _listed(text: str, depth: int) -> Form | None:
    """``1, 2`` and ``x>1 and x<3``; in ``x=1, y=2 or x=3, y=4`` the ``or`` comes first."""
    if _THOUSANDS.fullmatch(text):
        return None
    pieces, signs = _cut(text, _LIST_SIGN, True)
    items, said = [piece.strip() for piece in pieces], {sign.strip(" ,") for sign in signs}
    if len(items) < 2 or re.fullmatch(r"[<>≤≥=≠].*", items[-1]):
        return None
    cases = _split(text, _OR) if "or" in said else []
    if cases and ("and" in said or len(_split(cases[-1], _LIST_SIGN)) > 1):
        return Form("list", text, _all(cases, depth), "∨")
    connective = "∨" if "or" in said else "∧" if "and" in said else ""
    if sum("∈" in item for item in items) > 1:
        return Form("list", text, tuple(_member(item, depth + 1) for item in items), connective)
    return Form("list", text, _all(_with_names(items), depth), connective)


def _member(text: str, depth: int) -> Form:
    """``x ∈ A`` beside ``y ∈ B``: there the names count."""
    sides = _split(text, re.compile("∈"))
    return Form("relation", text, _all(sides, depth), "∈") if len(sides) == 2 and all(sides) else parse(text, depth)


def _with_names(items: list[str]) -> list[str]:
    """``x = 2, 3`` is a list of two values of x."""
    match = re.fullmatch(r"([a-zA-Z](?:_\w|_\{\w+\})?)=([^=<>≤≥∈]+)", items[0])
    if match and not any(_RELATION.search(item) for item in items[1:]):
        return [match[2], *items[1:]]
    match = re.fullmatch(r"([a-zA-Z]) ?∈ ?([^=<>≤≥∈]+)", items[0])
    return [match[2], *items[1:]] if match and not any(_RELATION.search(i) for i in items[1:]) else items


def _related(text: str, depth: int) -> Form | None:
    items = _split(text, _RELATION)
    if len(items) < 2:
        return None
    signs = "".join(_outer_signs(text, _RELATION))
    if signs == "=" and not items[0]:
        return parse(items[1], depth + 1)
    if signs == "≈" and not items[0]:
        return None
    if not all(items):
        return None
    if signs == "∈" and not re.search(r"\d", items[0]):
        return parse(items[1], depth + 1)
    return Form("relation", text, _all(items, depth), signs)


def _united(text: str, depth: int) -> Form | None:
    items = _split(text, _SET_SIGN)
    if len(items) < 2 or not all(items):
        return None
    signs = "".join("∖" if sign == "-" else sign for sign in _outer_signs(text, _SET_SIGN))
    return Form("union", text, _all(items, depth), signs)


def _ratio(text: str, depth: int) -> Form | None:
    spoken = _RATIO_SPOKEN.fullmatch(text)
    items = list(spoken.groups()) if spoken else _split(text, re.compile(":"))
    return Form("ratio", text, _all(items, depth)) if len(items) > 1 and all(items) else None


def _all(items: Iterable[str], depth: int) -> tuple[Form, ...]:
    return tuple(parse(item, depth + 1) for item in items)


def _split(text: str, sign: re.Pattern[str], *, thousands: bool = True) -> list[str]:
    """``text`` cut at the signs outside brackets; ``1,234`` is not cut."""
    return [piece.strip() for piece in _cut(text, sign, thousands)[0]]


def _outer_signs(text: str, sign: re.Pattern[str]) -> list[str]:
    return _cut(text, sign, True)[1]


def _cut(text: str, sign: re.Pattern[str], thousands: bool) -> tuple[list[str], list[str]]:
    if sign.search(text) is None:
        return [text], []
    outer = _outside(text)
    kept = {i for m in _THOUSANDS.finditer(text) for i in range(*m.span())} if thousands and "," in text else set()
    pieces, signs, start = [], [], 0
    for match in sign.finditer(text):
        if outer[match.start()] and match.start() not in kept:
            pieces.append(text[start : match.start()])
            signs.append(match[0])
            start = match.end()
    return [*pieces, text[start:]], signs


def _outside(text: str) -> list[bool]:
    """For each character whether it stands outside all brackets. ``(1,2]`` is a pair, ``|`` is none."""
    depth, result = 0, []
    environment = 0
    for i, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "\\":
            environment += text.startswith("\\begin", i) - text.startswith("\\end", i)
        result.append(depth <= 0 and environment == 0)
    return result


def _ends(text: str, start: int) -> int:
    """Where the bracket at ``start`` is closed."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in _OPENING) - (text[i] in _CLOSING)
        if depth == 0:
            return i + 1
    return -1
