"""One spelling for what is written in several ways: unicode signs, LaTeX's spacing, ``\\dfrac``, degrees, money.

Operators become single characters (``*``, ``≤``, ``∪``, ``±``, ``∞``, ``°``), fractions and roots stay LaTeX commands
with braces, text stays ``\\text{...}``. A space stays only where it separates words or numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from saidpo_plugins.verifiers.answers import names, pairs

DOLLAR = "﹩"
"""A dollar that is money; the others only mark where a formula begins and ends."""

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿˣ", "0123456789+-nx", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RAISED = tuple(
    (re.compile(f"[{''.join(signs)}]+"), kind, signs) for kind, signs in (("^", _SUPERSCRIPTS), ("_", _SUBSCRIPTS))
)
_VULGAR = {
    sign: " \\frac{{{}}}{{{}}} ".format(*unicodedata.normalize("NFKC", sign).split("⁄"))
    for sign in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
}
_SIGNS = {
    **dict.fromkeys("−–‒﹣－", "-"),
    **dict.fromkeys("×·⋅∗∙•", "*"),
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2002\u2003\u3000\t\r\n\f\v", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    **dict.fromkeys("‘’ʼ′", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("⟨〈", "\\langle "),
    **dict.fromkeys("⟩〉", "\\rangle "),
    **pairs("º ° ˚ ° ⩽ ≤ ⩾ ≥ ∶ : ℯ e ∛ \\sqrt[3] ∜ \\sqrt[4] … ... ， , 。 . ： : ； ; （ ( ） ) ％ % ￥ ¥"),
}
_CHARACTERS = str.maketrans(_SIGNS | _VULGAR)

_COMMANDS = {
    **dict.fromkeys(names("cdot times ast bullet"), "*"),
    **dict.fromkeys(names("le leq leqslant leqq"), "≤"),
    **dict.fromkeys(names("ge geq geqslant geqq"), "≥"),
    **dict.fromkeys(names("ne neq"), "≠"),
    **dict.fromkeys(names("land wedge And"), " and "),
    **dict.fromkeys(names("lor vee"), " or "),
    **dict.fromkeys(names("emptyset varnothing"), "∅"),
    **dict.fromkeys(names("setminus backslash smallsetminus"), "∖"),
    **dict.fromkeys(names("ldots dots cdots dotsc dotsb"), "..."),
    **dict.fromkeys(names("lparen langle"), "("),
    **dict.fromkeys(names("rparen rangle"), ")"),
    **dict.fromkeys(names("mid vert lvert rvert"), "|"),
    **dict.fromkeys(names("degree textdegree"), "°"),
    **dict.fromkeys(names("approx approxeq thickapprox"), "≈"),
    **dict.fromkeys(names("dfrac tfrac cfrac nicefrac sfrac frac"), "\\frac"),
    **dict.fromkeys(names("dbinom tbinom binom"), "\\binom"),
    **dict.fromkeys(names("quad qquad enspace thinspace space"), " "),
    **dict.fromkeys(names("left right displaystyle textstyle limits big Big bigg Bigg bigl bigr Bigl Bigr"), ""),
    **dict.fromkeys(names("biggl biggr middle hfill hline mathop rm bf it"), ""),
    **dict.fromkeys(names("euro texteuro"), "€"),
    **pairs(r"lbrace \{ rbrace \} lbrack [ rbrack ] lt < gt > in ∈ cup ∪ cap ∩ infty ∞ pm ± mp ∓ pi π div / colon :"),
    **pairs(f"pounds £ textdollar {DOLLAR} textpercent % Re Re Im Im ell l imath i R ℝ N ℕ bmod \\mod"),
    "cent": " cents ",
}
_COMMAND = re.compile(r"\\([a-zA-Z]+)\s*(?=([a-zA-Z])?)")
_MATHBB = re.compile(r"\\(?:(?:mathbb|Bbb)\s?\{?([RNZQC])|mathbf\{([RNZQ]))\}?(?![a-zA-Z])")
_DOUBLE_STRUCK = dict(zip("RNZQC", "ℝℕℤℚℂ", strict=True))
_TEXT = re.compile(
    r"\\(?:text(?:rm|bf|it|sf|tt|sc|normal|up)?|math(?:rm|bf|it|sf|tt|cal|normal)|mbox|hbox|operatorname\*?|boldsymbol|bm)"
    r"\s?\{"
)
_TEXT_OF_SEVERAL = re.compile(r"\\text\{((?:[^{}]*[^{}a-zA-Z])?(?:and|or|to)(?:[^{}a-zA-Z][^{}]*)?)\}")
_PRICE = re.compile(r"\s*\d[\d,.]*\s+(?:[a-zA-Z]{2,}\s*){1,9}")
_BEFORE_NUMBER = re.compile(r"\$(?=\s?[\d.])")
_SCALES = {"hundred": 2, "thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "trillion": 12}
_FACTORS = {word: f"*10^{{{power}}}" for word, power in _SCALES.items()} | {"dozen": "*12"}
_PARTS = {"halves": 2, "thirds": 3, "quarters": 4, "fourths": 4, "fifths": 5, "sixths": 6, "sevenths": 7, "eighths": 8}
_PARTS |= {"ninths": 9, "tenths": 10, "twelfths": 12, "hundredths": 100, "thousandths": 1000, "millionths": 10**6}

_ESCAPED_TWICE = "d?frac|sqrt|text|mathrm|pi|infty|times|cdot|left|right|circ|leq?|geq?|cup|in|pm"

_Replacement = str | Callable[[re.Match[str]], str]


def _rewrites(*rows: tuple[str, str, _Replacement]) -> tuple[tuple[str, re.Pattern[str], _Replacement], ...]:
    """What has to occur in a text for the pattern to be tried (quicker than trying it), pattern, replacement."""
    return tuple((sign, re.compile(pattern, re.ASCII), replacement) for sign, pattern, replacement in rows)


_IN_TEXT = r"(?P<text>\\text\{{[ -]?)?(?P<word>{})(?![a-zA-Z])(?P<end> ?\}})?"


def _scaled(match: re.Match[str]) -> str:
    r"""``2.5*10^{6}`` of ``2.5 million``; what else stands in ``\text{ million dollars}`` stays there."""
    return _FACTORS[match["word"].removesuffix("s")] + _rest_of_text(match)


def _part(match: re.Match[str]) -> str:
    """``\\frac{2}{3}`` of ``2 thirds``."""
    return f"\\frac{{{match[1]}}}{{{_PARTS[match['word']]}}}" + _rest_of_text(match)


def _rest_of_text(match: re.Match[str]) -> str:
    if match["text"]:
        return "" if match["end"] else "\\text{"
    return match["end"] or ""


_REWRITES = _rewrites(
    (",", r"(?<=\d) ?(?:\{ ?, ?\}|, ?\\!) ?(?=\d{3}(?!\d))", ","),
    ("\\", r"\\!|(?<!\\)\\[()\[\]]", ""),
    ("", r"(?<=\d)(?:\\[,;: ]|~| )(?=\d{3}(?!\d)(?! ?/))", "\ue000"),  # perhaps thousands: looked at below
    ("{,}", r"\{,\}", ","),
    (", ", r"(?<=\d),(?=\d{3}(?!\d).*, )|(?<=\d),(?=\d{3}(?!\d)[^,]*$)(?<=, \d.)(?<!\d{4}.)", ""),  # 1,000, 2,000
    ("\\", r"(?<!\\)\\[,;: >]", " "),
    ("~", r"(?:^\s*|(?<==)\s*)~\s*(?=[-+\d.\\])(?!~?\\(?:text|math))", "≈"),  # about; elsewhere it is a space
    ("~", "~", " "),
    ("\\\\", rf"(?<!\\)\\\\(?=(?:{_ESCAPED_TWICE})(?![a-zA-Z]))", r"\\"),
    ("{", rf"\\text\{{ ?([{DOLLAR}€£¥₹%°]) ?\}}|\{{([:;.])\}}", r"\1\2"),
)
_LATER = _rewrites(
    ("\ue000", r"(?<![\d.\ue000])(\d{1,3}(?:\ue000\d{3})+)(?![\d\ue000])", lambda m: m[1].replace("\ue000", "")),
    ("\ue000", r"\ue000", " "),
    ("'", r"(?<=\d)'(?=\d{3}(?!\d))", ""),  # 1'000
    ("\\text{", r"(?<![\w.}^_])\\text\{ ?([-+]?\d[\d.,]*%?) ?\}", r"\1"),
    ("over", r"\{([^{}]{1,40})\\over ?([^{}]{1,40})\}", r"\\frac{\1}{\2}"),
    ("\\frac", r"\\frac ?(\d) ?(\d)", r"\\frac{\1}{\2}"),
    ("\\frac", r"\\frac ?(\d) ?\{", r"\\frac{\1}{"),
    ("\\binom", r"\\binom ?(\d) ?(\d)", r"\\binom{\1}{\2}"),
    ("\\frac", r"(\\frac\{[^{}]*\}) ?(\d|[a-zA-Zπ])", r"\1{\2}"),
    ("√", r"√ ?\(([^()]*)\)", r"\\sqrt{\1}"),
    ("√", r"√ ?(\d+(?:\.\d+)?|[a-zA-Zπ])", r"\\sqrt{\1}"),
    ("sqrt", r"(?<![a-zA-Z\\])sqrt ?\(([^()]*)\)", r"\\sqrt{\1}"),
    ("sqrt", r"(?<![a-zA-Z\\])sqrt ?(\d+|[a-zA-Zπ](?![a-zA-Z]))", r"\\sqrt{\1}"),
    ("sqrt", r"\\sqrt(\[[^\[\]]*\])? ?\(([^()]*)\)(?= *$)", r"\\sqrt\1{\2}"),
    ("sqrt", r"\\sqrt(\[[^\[\]]*\])? ?(\d|[a-zA-Zπ])", r"\\sqrt\1{\2}"),
    ("^", r"\^ ?(?:\\circ(?![a-zA-Z])|\{ ?\\circ ?\}|\{ ?° ?\}|°|\{ ?o ?\})", "°"),
    ("\\circ", r"\\circ(?![a-zA-Z])", "°"),
    ("\\%", r"\\%", "%"),
    ("", r"(?i: ?\bper ?cent(?:age)?(?: points?)?\b| ?\bpct\b)", "%"),
    *((word, rf"(?<=[\d.}}])[ -]?{_IN_TEXT.format(f'{word}s?')}", _scaled) for word in _FACTORS),
    *((word, rf"(?<![\w.,/}}^])(\d{{1,9}})[ -]?{_IN_TEXT.format(word)}", _part) for word in _PARTS),
    ("nf", r"(?<![a-zA-Z\\])(?:[Ii]nfinity|[Ii]nf)(?![a-zA-Z])", "∞"),
    ("pi", r"(?<![a-zA-Z\\])pi(?![a-zA-Z])", "π"),
    ("**", r"\*\*", "^"),
    ("=", r"<=|=<", "≤"),
    ("=", r">=|=>", "≥"),
    ("=", r"!=|=/=", "≠"),
    ("<>", "<>", "≠"),
    ("+", r"\+/-|\+-(?=\S)", "±"),
    ("==", "==", "="),
    ("\\not", r"\\not ?=", "≠"),
    ("x", r"(?<=\d) ?x ?(?=10 ?\^)", "*"),
    ("^", r"\^ ?\{?(?:\\text\{)?(th|st|nd|rd)\b\}{0,2}", r"\1"),
    ("C", r"(?<![\w}])(?:\{\}|\^|(?:\{\})?_)?\{?(\d{1,4})\}? ?C ?_?\{?(\d{1,4})\}?(?!\w)", r"\\binom{\1}{\2}"),
    ("C(", r"(?<![\w\\])C\((\d{1,4}), ?(\d{1,4})\)", r"\\binom{\1}{\2}"),
    (" out of ", r"(?<![\w.])(\d+) out of (\d+)", r"\\frac{\1}{\2}"),
    ("\\text{", r"(\\text\{[^{}]*)\^(?:\{(-?\d)\}|(-?\d))\}", r"\1}^{\2\3}"),
    ("\\frac{\\text", r"\\frac\{\\text\{([^{}]*)\}\}\{\\text\{([^{}]*)\}(\^\{?\d\}?)?\}", r"\\text{\1/\2}\3"),
    ("  ", r"\s+", " "),
    (" ", r" (?![\w\\.\"(\[{])|(?<![\w.\"})\]!%°π])(?<!\\) ", ""),
)
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?%?", re.ASCII)


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """The one spelling of ``text``."""
    if _PLAIN.fullmatch(text):
        return text
    text = _money(_digits_and_letters(text).translate(_CHARACTERS))
    text = _rewritten(text, _REWRITES)
    if "\\" in text:
        text = _MATHBB.sub(lambda match: _DOUBLE_STRUCK[match[1] or match[2]], text)
        text = _COMMAND.sub(_command, _plain_text(text))
    return _strip(_rewritten(text, _LATER))


def _rewritten(text: str, rewrites: tuple[tuple[str, re.Pattern[str], _Replacement], ...]) -> str:
    for sign, pattern, replacement in rewrites:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text


def _digits_and_letters(text: str) -> str:
    """Letters and digits of other alphabets of signs (𝑥, ３, x²) in ASCII."""
    if text.isascii():
        return text
    pieces: list[str] = []
    for pattern, kind, signs in _RAISED:
        text = pattern.sub(_raised(kind, signs), text)
    for sign in text:
        code = ord(sign)
        if 0x1D400 <= code <= 0x1D7FF or 0xFF10 <= code <= 0xFF5A:
            sign = unicodedata.normalize("NFKC", sign)
        elif code > 127 and unicodedata.category(sign) == "Nd":
            sign = str(unicodedata.digit(sign))
        pieces.append(sign)
    return "".join(pieces)


def _raised(kind: str, signs: dict[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{kind}{{{''.join(signs[sign] for sign in match[0])}}}"


def _money(text: str) -> str:
    """Tell dollars that are money from those that mark a formula, and take the latter away."""
    text = text.replace("\\$", DOLLAR)
    if "$" not in text:
        return text
    text = text.replace("$$", " ")
    parts = text.split("$")
    if len(parts) % 2 == 0 or any(_PRICE.fullmatch(part) for part in parts[1:-1:2]):  # an odd number of dollars
        return _BEFORE_NUMBER.sub(DOLLAR, text).replace("$", "")
    return "".join(parts)


def _plain_text(text: str) -> str:
    r"""``\mathrm``, ``\textbf`` ... as ``\text``; ``\text{ and }`` and ``\text{or}`` as the word."""
    text = _TEXT.sub(r"\\text{", text)
    return _TEXT_OF_SEVERAL.sub(r" \1 ", text) if "\\text{" in text else text


def _command(match: re.Match[str]) -> str:
    """A command's sign, or the command itself, which needs a space before a letter only."""
    known = _COMMANDS.get(match[1])
    if known is not None and not known.startswith("\\"):
        return known
    return (known or f"\\{match[1]}") + (" " if match[2] else "")


def _strip(text: str) -> str:
    """Without the marks around it: quotes, a full stop, commas; and ``\\text`` around all of it."""
    before = None
    while text != before:
        before = text
        text = text.strip(" ,;")
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1]
        text = text.removesuffix("\\")
        for opening, closing in (('"', '"'), ("\\text{", "}"), ("\\fbox{", "}"), ("\\boxed{", "}"), ("'", "'")):
            inner = text[len(opening) : -len(closing)]
            if text.startswith(opening) and text.endswith(closing) and inner and not set(inner) & set("{}\"'"):
                text = inner
    return text
