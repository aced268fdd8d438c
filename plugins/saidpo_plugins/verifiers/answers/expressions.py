"""Reads a term such as ``2\\sqrt{3}x^2 - \\sin^2 \\theta`` into nested tuples: LaTeX, and plain ``2*sqrt(3)*x^2``.

A node is ``("num", Fraction)``, ``("sym", name)``, ``("+", a, b, ...)``, ``("*", a, b, ...)``, ``("/", a, b)``,
``("^", a, b)``, ``("fn", name, argument)``, ``("root", degree, a)``, ``("log", base, a)`` or ``("choose", n, k)``.
Letters side by side are a product. What has another meaning, or is not understood, raises ``Unreadable``:
words, unknown commands, functions without a definition, sums, integrals.

Where notations differ: ``1/2x`` is half of x, ``a/bx`` is a divided by bx, ``\\log`` has base 10, ``i`` and ``e`` are
the usual constants, ``2\\frac{1}{2}`` is 2.5.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from saidpo_plugins.verifiers.answers import pairs
from saidpo_plugins.verifiers.answers.tokens import (
    FUNCTIONS,
    GREEK,
    GREEK_SIGNS,
    INVERSE,
    RENAMED,
    Unreadable,
    tokens_of,
)

__all__ = ["Node", "Unreadable", "read"]

Node = tuple[Any, ...]


_DEPTH_LIMIT = 50
_CLOSING = pairs("( ) [ ] { } \\{ \\} ⌊ ⌋ ⌈ ⌉ \\lfloor \\rfloor \\lceil \\rceil")
ONE: Node = ("num", Fraction(1))


def read(text: str) -> Node:
    """The term that a normalised ``text`` is."""
    reader = _Reader(tokens_of(text))
    node = reader.sum()
    if reader.token != "":
        raise Unreadable(reader.token)
    return node


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.in_bars = False

    @property
    def token(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.token
        if token == "" or (expected and token != expected):
            raise Unreadable(f"{token} instead of {expected}")
        self.place += 1
        return token

    def sum(self) -> Node:
        terms = [self.product()]
        while self.token in ("+", "-"):
            sign = self.take()
            term = self.product()
            terms.append(term if sign == "+" else _minus(term))
        return terms[0] if len(terms) == 1 else ("+", *terms)

    def product(self) -> Node:
        node = self.signed()
        while self.token in ("*", "/"):
            node = ("*", node, self.signed()) if self.take() == "*" else self.quotient(node)
        return node

    def quotient(self, above: Node) -> Node:
        """``1/2x`` is half of x, but ``a/bx`` is a/(bx)."""
        below = self.factor() if above[0] == "num" and self.token.isdigit() else self.signed()
        node: Node = ("/", above, below)
        while self.starts_factor():
            node = ("*", node, self.factor())
        return node

    def signed(self) -> Node:
        negative = self.signs()
        node = self.juxtaposed()
        return _minus(node) if negative else node

    def signs(self) -> bool:
        """Signs before a term: whether they make it negative."""
        negative = False
        while self.token in ("-", "+"):
            negative ^= self.take() == "-"
        return negative

    def juxtaposed(self) -> Node:
        """Factors side by side; a whole number and a fraction are a mixed number."""
        factors = [self.factor()]
        while self.starts_factor():
            start = self.token
            factor = self.factor()
            last = factors[-1]
            if start == "\\frac" and last[0] == "num" and last[1].denominator == 1 and _is_proper(factor):
                factors[-1] = ("+", last, factor)
            elif start[0].isdigit() and last[0] == "num":
                raise Unreadable("two numbers side by side")
            else:
                factors.append(factor)
        return factors[0] if len(factors) == 1 else ("*", *factors)

    def starts_factor(self) -> bool:
        token = self.token
        if token == "" or token in "+-*/^_!%°)]}'⌋⌉" or token in ("\\}", "\\rfloor", "\\rceil"):
            return False
        return token != "|" or not self.in_bars

    def factor(self) -> Node:
        node = self.atom()
        for _ in range(_DEPTH_LIMIT):
            if self.token not in ("^", "!", "%", "°", "_"):
                break
            sign = self.take()
            if sign == "^":
                node = ("^", node, self.argument())
            elif sign == "!":
                node = ("fn", "factorial", node)
            elif sign == "%":
                node = ("/", node, ("num", Fraction(100)))
            elif sign == "°":
                node = ("*", node, ("/", ("sym", "π"), ("num", Fraction(180))))
            else:
                raise Unreadable("index")
        return node

    def argument(self) -> Node:
        """What follows ``^`` or ``\\frac``: a group in braces, or one sign or number."""
        negative = self.signs()
        node = self.atom()
        return _minus(node) if negative else node

    def group(self, opening: str) -> Node:
        self.take(opening)
        bars, self.in_bars = self.in_bars, False
        node = self.sum()
        self.in_bars = bars
        self.take(_CLOSING[opening])
        return node

    def bars(self) -> Node:
        self.take("|")
        bars, self.in_bars = self.in_bars, True
        node = self.sum()
        self.in_bars = bars
        self.take("|")
        return ("fn", "abs", node)

    def atom(self) -> Node:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise Unreadable("too deep")
        node = self.one()
        self.depth -= 1
        return node

    def one(self) -> Node:
        token = self.token
        if token == "":
            raise Unreadable("end")
        if token[0].isdigit() or token[0] == ".":
            return self.number()
        if token in ("(", "[", "{", "\\{"):
            return self.group(token)
        if token == "|":
            return self.bars()
        if token in ("⌊", "\\lfloor", "⌈", "\\lceil"):
            return ("fn", "floor" if token in ("⌊", "\\lfloor") else "ceil", self.group(token))
        if token.startswith("\\"):
            return self.command()
        if token in "+-*/^_!%°)]}'":
            raise Unreadable(token)
        return self.symbol(GREEK_SIGNS.get(self.take(), token))

    def number(self) -> Node:
        digits = self.take()
        value = Fraction(digits)
        if self.token in ("\\overline", "\\bar", "\\dot") and "." in digits:
            self.take()
            self.take("{")
            repeated = self.take()
            self.take("}")
            if not repeated.isdigit():
                raise Unreadable(repeated)
            decimals = len(digits.partition(".")[2])
            value += Fraction(int(repeated), 10**decimals * (10 ** len(repeated) - 1))
        if self.token == "_":  # a number in another base is not compared by value
            raise Unreadable("base")
        return ("num", value)

    def symbol(self, name: str) -> Node:
        """A variable with its index and dashes. ``f(x)`` is not known to be a product."""
        if self.token == "_":
            self.take()
            name += "_" + self.index()
        while self.token == "'":
            name += self.take()
        if name[0] in "fgh" and self.token == "(":
            raise Unreadable("function")
        return ("sym", name)

    def index(self) -> str:
        if self.token != "{":
            return self.take()
        self.take("{")
        pieces = []
        while self.token not in ("}", ""):
            pieces.append(self.take())
        self.take("}")
        return "".join(pieces)

    def command(self) -> Node:
        name = self.take()[1:]
        if name == "frac":
            return ("/", self.argument(), self.argument())
        if name == "binom":
            return ("choose", self.argument(), self.argument())
        if name == "sqrt":
            return self.root()
        if name in GREEK:
            return self.symbol(name.removeprefix("var"))
        if name in ("text", "mathrm") and self.token == "{":
            node = self.group("{")
            if node[0] != "sym" or len(node[1]) > 1:
                raise Unreadable("text")
            return node
        name = RENAMED.get(name, name)
        if name in FUNCTIONS or name.startswith("ar"):
            return self.function(name)
        raise Unreadable(name)

    def root(self) -> Node:
        degree: Node = ("num", Fraction(2))
        if self.token == "[":
            degree = self.group("[")
        return ("root", degree, self.argument())

    def function(self, name: str) -> Node:
        base = power = None
        while self.token in ("_", "^"):
            if self.take() == "_":
                base = self.log_base()
            else:
                power = self.argument()
        if base is not None and name != "log":
            raise Unreadable("index")
        argument = self.function_argument()
        if power == _minus(ONE):
            if name not in INVERSE:
                raise Unreadable("power -1")
            name, power = INVERSE[name], None
        if name == "cbrt":
            node: Node = ("root", ("num", Fraction(3)), argument)
        elif name == "sqrt":
            node = ("root", ("num", Fraction(2)), argument)
        elif name in ("log", "lb"):
            node = ("log", base or ("num", Fraction(2 if name == "lb" else 10)), argument)
        else:
            node = ("fn", name, argument)
        return node if power is None else ("^", node, power)

    def log_base(self) -> Node:
        """In ``\\log_28`` it is 2, in ``log_10(x)`` it is 10."""
        token = self.token
        if token.isdigit() and len(token) > 1 and self.place + 1 == len(self.tokens):
            self.tokens[self.place : self.place + 1] = [token[0], token[1:]]
        return self.argument()

    def function_argument(self) -> Node:
        """``(x+1)``; or factors up to a sign or another function: ``\\sin 2x\\cos x`` is sin(2x) cos x."""
        if self.token in ("(", "{", "["):
            return self.group(self.token)
        negative = self.signs()
        factors = [self.factor()]
        while self.starts_factor() and self.token.lstrip("\\") not in FUNCTIONS and self.token != "(":
            factors.append(self.factor())
        node = factors[0] if len(factors) == 1 else ("*", *factors)
        return _minus(node) if negative else node


def _minus(node: Node) -> Node:
    return ("num", -node[1]) if node[0] == "num" else ("*", ("num", Fraction(-1)), node)


def _is_proper(node: Node) -> bool:
    return bool(node[0] == "/" and node[1][0] == node[2][0] == "num" and 0 <= node[1][1] < node[2][1])
