"""Cuts a normalised term into tokens: numbers, letters, commands with their backslash, signs."""

from __future__ import annotations

import re

from saidpo_plugins.verifiers.answers import names, pairs

FUNCTIONS = names(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh coth arsinh arcosh artanh ln exp abs floor "
    "ceil sqrt cbrt log sgn asin acos atan arcsinh arccosh arctanh asinh acosh atanh lg lb"
)
RENAMED = pairs(
    "asin arcsin acos arccos atan arctan lg log arcsinh arsinh arccosh arcosh arctanh artanh asinh arsinh acosh arcosh "
    "atanh artanh"
)
INVERSE = pairs("sin arcsin cos arccos tan arctan cot arccot sinh arsinh cosh arcosh tanh artanh")
GREEK = names(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega hbar"
)
GREEK_SIGNS = pairs(
    "α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi ρ rho "
    "σ sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega"
)

_TOKEN_LIMIT = 400
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
    r"|\\(?P<command>[a-zA-Z]+|[{}|])|(?P<word>[a-zA-Z]+)|(?P<greek>[Ͱ-Ͽ∞])"
    r"|(?P<sign>[-+*/^_!%°|()\[\]{}'⌊⌋⌈⌉])|(?P<other>\S))"
)
_FUNCTION = re.compile(rf"(?:{'|'.join(sorted(FUNCTIONS, key=len, reverse=True))})(?![a-z])")


class Unreadable(ValueError):
    """The text is no term that is understood here."""


def tokens_of(text: str) -> list[str]:
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match.group(match.lastgroup or 0)
        if kind == "other" or len(tokens) > _TOKEN_LIMIT:
            raise Unreadable(found)
        if kind == "command":
            tokens.append("\\" + found)
        elif kind == "word":
            tokens += _letters(found)
        else:
            tokens.append(found.replace(",", "") if kind == "number" else found)
    return tokens


def _letters(word: str) -> list[str]:
    """``sinx`` is sin x, ``xy`` is x y; a longer word is no product."""
    name = _FUNCTION.match(word)
    if name and len(word) <= name.end() + 2:
        return ["\\" + name[0], *word[name.end() :]]
    if len(word) > 3:
        raise Unreadable(word)
    return list(word)
