"""Expressions: a recursive-descent parser from tokens to polynomials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from mull.equal import numeric
from mull.equal import polynomial as p
from mull.equal.lexer import Token
from mull.equal.polynomial import Poly, Unreadable, poly
from mull.equal.units import BARE_UNITS, is_unit

MAX_DEPTH = 30
FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "ln": "log", "log": "log", "exp": "exp", "abs": "abs", "floor": "floor", "ceil": "ceil",
    "factorial": "factorial", "binom": "binom",
}  # fmt: skip
GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "kappa", "lambda",
    "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta",
    "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega", "ell",
}  # fmt: skip
STARTS = {
    "frac", "dfrac", "tfrac", "cfrac", "sqrt", "binom", "dbinom", "tbinom", "pi", "infty", "lvert", "lfloor", "lceil",
}  # fmt: skip
_KNOWN = ("sqrt", "infinity", "infty", "inf", "pi", "oo", *FUNCTIONS)


class Expressions:
    """Tokens and a place among them; `turn` is the sign that a plus-minus is read with."""

    def __init__(self, tokens: Sequence[Token], turn: int = 1) -> None:
        self.tokens = list(tokens)
        self.turn = turn
        self.at = 0
        self.depth = 0
        self.n_bars = 0

    # Tokens

    def peek(self, ahead: int = 0) -> Token:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else Token("end", "")

    def is_next(self, *texts: str, kind: str = "sign") -> bool:
        token = self.peek()
        return token.kind == kind and token.text in texts

    def take(self, *texts: str, kind: str = "sign") -> bool:
        if self.is_next(*texts, kind=kind):
            self.at += 1
            return True
        return False

    def expect(self, text: str, kind: str = "sign") -> None:
        if not self.take(text, kind=kind):
            raise Unreadable(f"{text!r} is missing")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")

    # Expressions

    def sum(self) -> Poly:
        self.deeper()
        total = poly(0)
        is_first = True
        while True:
            sign = 1
            has_sign = False
            while self.peek().text in ("+", "-", "pm", "mp") and self.peek().kind in ("sign", "command"):
                sign *= {"+": 1, "-": -1, "pm": self.turn, "mp": -self.turn}[self.peek().text]
                self.at, has_sign = self.at + 1, True
            if not is_first and not has_sign:
                self.depth -= 1
                return total
            total = p.add(total, self.product(), sign)
            is_first = False

    def product(self) -> Poly:
        result = self.factor()
        while True:
            if self.take("*") or self.take("times", "cdot", "ast", kind="command"):
                result = p.multiply(result, self.signed_factor())
            elif self.take("/") or self.take("div", kind="command"):
                result = p.multiply(result, p.invert(self.signed_factor()))
            elif self.starts_factor():
                is_times = self.peek().text == "x" and self.peek(1).text == "10" and self.peek(2).text == "^"
                if is_times and result.number is not None:  # 3 x 10^8
                    self.at += 1
                result = p.multiply(result, self.factor())
            else:
                return result

    def signed_factor(self) -> Poly:
        sign = 1
        while self.peek().kind == "sign" and self.peek().text in "+-":
            sign *= -1 if self.peek().text == "-" else 1
            self.at += 1
        return p.multiply(poly(sign), self.factor()) if sign < 0 else self.factor()

    def starts_factor(self) -> bool:
        token = self.peek()
        if token.kind == "sign":
            return token.text in ("(", "{", "[") or (token.text == "|" and not self.n_bars)
        if token.kind == "word":
            if token.text.lower() in ("and", "or"):
                return False
            return bool(split_word(token.text)) or (self.at > 0 and not token.spaced and not is_unit(token.text))
        # No number: what stands behind another factor without a sign is no product (`2 3` is not 6).
        return token.kind == "command" and (token.text in FUNCTIONS or token.text in GREEK or token.text in STARTS)

    def factor(self) -> Poly:
        base = self.primary()
        while True:
            if self.take("!"):
                base = factorial(base)
            elif self.take("%") or self.take("%", kind="command"):
                base = p.multiply(base, p.letter("percent"))
            elif self.take("^", "**"):
                if self.take("circ", "degree", kind="command") or (
                    self.is_next("{") and self.peek(1).text == "circ" and self.peek(2).text == "}"
                ):
                    self.at += 3 if self.is_next("{") else 0
                    base = p.multiply(base, p.letter("degree"))
                else:
                    base = p.power(base, self.exponent())
            elif self.take("degree", kind="command"):
                base = p.multiply(base, p.letter("degree"))
            else:
                return base

    def exponent(self) -> Poly:
        if self.is_next("-", "+"):
            return self.signed_factor()
        base = self.argument(is_whole=True)
        return p.power(base, self.exponent()) if self.take("^", "**") else base

    def argument(self, is_whole: bool = False) -> Poly:
        """What a command is given: a group, or one sign; of a number only its first digit unless it `is_whole`."""
        if self.take("{"):
            inner = self.sum()
            self.expect("}")
            return inner
        token = self.peek()
        if token.kind == "number" and not is_whole and len(token.text) > 1:
            if not token.text.isdigit():
                raise Unreadable("a decimal where one digit belongs")
            self.tokens[self.at] = Token("number", token.text[1:])
            return poly(int(token.text[0]))
        return self.primary()

    def primary(self) -> Poly:
        token = self.peek()
        self.at += 1
        if token.kind == "number":
            return self.number(token)
        if token.kind == "word":
            return self.letters(token)
        if token.kind == "command":
            return self.command(token.text)
        if token.kind == "text":
            name = token.text.strip()
            if len(name) == 1 and name.isalpha():
                return p.letter(name)
            if name in FUNCTIONS:
                return self.function(name)
            raise Unreadable("text in an expression")
        if token.text in ("(", "[", "{"):
            inner = self.sum()
            self.expect({"(": ")", "[": "]", "{": "}"}[token.text])
            return inner
        if token.text == "|":
            return self.between("|", "sign")
        raise Unreadable(f"{token.text!r} is out of place")

    def between(self, closing: str, kind: str) -> Poly:
        """An absolute value up to its closing bar."""
        self.n_bars += 1
        inner = self.sum()
        self.n_bars -= 1
        self.expect(closing, kind)
        number = inner.number
        return p.call("abs", inner) if number is None else poly(p.magnitude(number))

    def number(self, token: Token) -> Poly:
        text = token.text
        if len(text) > 400:
            raise Unreadable("too many digits")
        mantissa, _, exponent = text.lower().partition("e")
        if abs(int(exponent or 0)) > 300:
            raise Unreadable("too large")
        value = Fraction(text) if "." in text or exponent else int(text)
        if self.take("_"):
            raise Unreadable("a numeral in a base stands alone")
        whole = int(value) if value == int(value) and "." not in mantissa else None
        if whole is not None and (proper := self.proper_fraction()) is not None:
            return poly(whole + proper)
        return poly(value)

    def proper_fraction(self) -> Fraction | None:
        """The fraction of a mixed number: `3 1/2` or `3\\frac{1}{2}`."""
        texts = [self.peek(i) for i in range(7)]
        if texts[0].kind == "command" and texts[0].text in ("frac", "dfrac", "tfrac"):
            signs = "".join(t.text if t.kind == "sign" else ("1" if t.kind == "number" else "?") for t in texts[1:])
            if signs.startswith("{1}{1}"):
                n, d, length = texts[2].text, texts[5].text, 7
            elif signs[:1] == "1" and len(texts[1].text) == 2:
                n, d, length = texts[1].text[0], texts[1].text[1], 2
            else:
                return None
        elif (
            texts[0].kind == texts[2].kind == "number" and texts[0].spaced and texts[1].text == "/"
            and not texts[2].spaced
        ):  # fmt: skip
            n, d, length = texts[0].text, texts[2].text, 3
        else:
            return None
        if not (n.isdigit() and d.isdigit() and len(d) < 20 and 0 < int(n) < int(d)):
            return None
        self.at += length
        return Fraction(int(n), int(d))

    def letters(self, token: Token) -> Poly:
        """A word as a function, a constant, or the product of its letters."""
        parts = split_word(token.text)
        if not parts and (self.at > 1 or self.peek().text in ("^", "+", "-", "*", "/", "_", "(")):
            parts = list(token.text) if not is_unit(token.text) else []
        if not parts:
            raise Unreadable(f"{token.text!r} is no expression")
        result = poly(1)
        for i, part in enumerate(parts):
            is_last = i + 1 == len(parts)
            factor = self.named(part) if is_last else (self.constant(part) or p.letter(part))
            if not is_last or not self.is_next("^", "**", "!"):
                result = p.multiply(result, factor)
                continue
            # A power belongs to the last letter alone.
            while self.take("^", "**"):
                factor = p.power(factor, self.exponent())
            result = p.multiply(result, factor)
        return result

    def constant(self, name: str) -> Poly | None:
        if name in ("pi", "e", "oo", "i"):
            return p.letter(name)
        return p.letter("oo") if name in ("inf", "infinity", "infty") else None

    def named(self, name: str) -> Poly:
        """A function with its argument, a constant or a letter with its index."""
        if name == "sqrt":
            return p.square_root(self.argument(is_whole=True))
        if name in FUNCTIONS:
            return self.function(name)
        constant = self.constant(name)
        if constant is not None:
            return constant
        if self.take("_"):
            if self.take("{"):
                index = ""
                while not self.take("}"):
                    index += self.peek().text
                    self.at += 1
                    if self.peek().kind == "end":
                        raise Unreadable("an index is not closed")
            else:
                index = self.peek().text
                self.at += 1
            if not index.isalnum():
                raise Unreadable("an index of signs")
            return p.letter(f"{name}_{{{index}}}")
        return p.letter(name)

    def command(self, name: str) -> Poly:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            above = self.argument()
            return p.multiply(above, p.invert(self.argument()))
        if name == "sqrt":
            degree = poly(2)
            if self.take("["):
                degree = self.sum()
                self.expect("]")
            return p.power(self.argument(), p.invert(degree))
        if name in ("binom", "dbinom", "tbinom"):
            return binomial(self.argument(), self.argument())
        if name in ("pi", "infty"):
            return p.letter("pi" if name == "pi" else "oo")
        if name in ("lvert", "lfloor", "lceil"):
            inner_of = {"lvert": "rvert", "lfloor": "rfloor", "lceil": "rceil"}[name]
            if name == "lvert":
                return self.between("rvert", "command")
            inner = self.sum()
            self.expect(inner_of, kind="command")
            return rounded(name[1:], inner)
        if name in FUNCTIONS:
            return self.function(name)
        if name in GREEK:
            return self.named("\\" + name)
        raise Unreadable(f"\\{name} is not read here")

    def function(self, name: str) -> Poly:
        """A function applied to a bracket, or to the product that follows it."""
        exponent: Poly | None = None
        base: Poly | None = None
        if self.take("_"):
            base = self.argument()
        if self.take("^"):
            exponent = self.exponent()
        kind = FUNCTIONS[name]
        if self.take("("):
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            self.expect(")")
        else:
            arguments = [self.function_product()]
        if kind == "log" and base is not None:
            arguments.append(base)
        if exponent is not None and exponent.number == -1 and "a" + kind in numeric.FUNCTIONS:
            kind, exponent = "a" + kind, None
        applied = apply(kind, [in_radians(a) for a in arguments])
        return applied if exponent is None else p.power(applied, exponent)

    def function_product(self) -> Poly:
        """`2x` of `\\sin 2x`: factors up to a sign or another function."""
        result = self.factor()
        while self.starts_factor() and self.peek().text not in FUNCTIONS and self.peek().text not in ("(", "["):
            result = p.multiply(result, self.factor())
        return result


def split_word(word: str) -> list[str]:
    """A word as the names it is made of: `xy`, `pi`, `sqrt`, `xsin`; empty where it is a word of a language."""
    if len(word) < 3 or word in _KNOWN:
        return [word] if len(word) == 1 or word in _KNOWN else ([] if word.lower() in BARE_UNITS else list(word))
    for known in _KNOWN:
        if word.endswith(known) and len(word) - len(known) < 3:
            return [*word[: -len(known)], known]
    return ["pi", word[2]] if word.startswith("pi") and len(word) == 3 else []


def factorial(n: Poly) -> Poly:
    whole = n.whole
    return poly(math.factorial(whole)) if whole is not None and 0 <= whole <= 170 else p.call("factorial", n)


def binomial(n: Poly, k: Poly) -> Poly:
    a, b = n.whole, k.whole
    if a is not None and b is not None and 0 <= b <= a <= 400:
        return poly(math.comb(a, b))
    return p.call("binom", n, k)


def rounded(name: str, inner: Poly) -> Poly:
    number = inner.number
    if number is None:
        return p.call(name, inner)
    return poly(math.floor(number) if name == "floor" else math.ceil(number))


def apply(kind: str, arguments: list[Poly]) -> Poly:
    """A function of polynomials, worked out where it is a matter of whole numbers."""
    one = arguments[0]
    if len(arguments) != {"binom": 2}.get(kind, 1) and not (kind == "log" and len(arguments) == 2):
        raise Unreadable(f"{kind} of {len(arguments)} things")
    if kind == "exp":
        return p.power(p.letter("e"), one)
    if kind == "factorial":
        return factorial(one)
    if kind == "binom":
        return binomial(*arguments)
    if kind in ("floor", "ceil"):
        return rounded(kind, one)
    if kind == "abs" and one.number is not None:
        return poly(p.magnitude(one.number))
    return p.call(kind, *arguments)


def in_radians(a: Poly) -> Poly:
    """The polynomial with degrees as what they are."""
    return p.replaced(a, "degree", p.multiply(p.letter("pi"), poly(Fraction(1, 180))))
