"""Expressions: a recursive-descent parser from tokens to polynomials."""

from __future__ import annotations

from fractions import Fraction

from mull.equal import numeric
from mull.equal import polynomial as p
from mull.equal.cursor import Cursor
from mull.equal.functions import (
    FUNCTIONS,
    apply,
    axis,
    binomial,
    factorial,
    in_radians,
    repeating,
    rounded,
    split_word,
)
from mull.equal.lexer import Token
from mull.equal.polynomial import Poly, Unreadable, poly
from mull.equal.units import is_unit

GREEK = set(
    (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi "
        "varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
    ).split()
)
STARTS = set("frac dfrac tfrac cfrac sqrt binom dbinom tbinom pi infty lvert lfloor lceil imath jmath".split())
FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac")
ARROWS = ("vec", "overrightarrow", "hat", "mathbf", "underline")
MARKS = {*ARROWS, "bar", "overline", "widehat", "tilde", "angle", "measuredangle", "triangle"}
"""Marks over or before letters; mark and letters together are one name."""
POSTFIXES = ("!", "%", "^", "**", "degree")
AFTER_PRODUCTS = frozenset(("+", "-", "=", ",", ";", ")", "]", "}", "<", ">", "<=", ">=", "!=", ":", "&"))
MAX_LETTERS = 4
"""A longer run of letters is a word, not a product."""


class Expressions(Cursor):
    """A parser of expressions."""

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
            token = self.peek()
            if token.kind == "end" or (token.kind == "sign" and token.text in AFTER_PRODUCTS):
                return result
            if self.is_vector(1):
                return result
            if self.take("*") or self.take("times", "cdot", "ast", kind="command"):
                result = p.multiply(result, self.signed_factor())
            elif self.is_next("/") and self.is_unit_next(1):
                return result
            elif self.take("/") or self.take("div", kind="command"):
                result = p.multiply(result, p.invert(self.signed_factor()))
            elif self.starts_factor():
                is_times = self.peek().text == "x" and self.peek(1).text == "10" and self.peek(2).text == "^"
                if is_times and result.number is not None:  # 3 x 10^8
                    self.at += 1
                result = p.multiply(result, self.factor())
            else:
                return result

    def is_vector(self, ahead: int) -> bool:
        """Whether a vector begins that many tokens ahead."""
        return False

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
        if token.kind in ("word", "text"):
            if token.text.lower() in ("and", "or") or (token.text in ("a", "an") and self.is_unit_next(1)):
                return False
            if token.kind == "text":
                return token.text in ("e", "i")
            if token.text == "sec" and (self.peek(1).kind in ("end", "number") or self.peek(1).text in (",", "/", ")")):
                return False  # seconds: a secant would need an argument
            is_glued = self.at > 0 and not token.spaced and len(token.text) <= MAX_LETTERS
            return bool(split_word(token.text)) or (is_glued and not is_unit(token.text))
        if token.kind == "bold":
            return True
        # A number is not listed here: after another factor, with no sign between, it is no product (`2 3` is not 6).
        if token.kind != "command" or (token.text in FRACTIONS and self.is_unit_next(2)):
            return False
        return token.text in FUNCTIONS or token.text in GREEK or token.text in STARTS or token.text in MARKS

    def factor(self) -> Poly:
        base = self.primary()
        while True:
            if self.peek().text not in POSTFIXES:
                return base
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
        """The argument of a command: a group or a single token; of a number only its first digit unless `is_whole`."""
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
        if token.kind == "repeating":
            return repeating(token.text)
        if token.kind == "word":
            if token.text == "m" and self.is_next("angle", "measuredangle", kind="command"):  # the measure
                return self.primary()
            return self.letters(token)
        if token.kind == "bold":
            return p.letter(axis(token.text))
        if token.kind == "command":
            return self.command(token.text)
        if token.kind == "text":
            name = token.text.strip()
            if len(name) == 1 and name.isalpha():
                return p.letter(name)
            if name in FUNCTIONS:
                return self.function(name)
            if name in ("constant", "const"):  # constant of integration
                return p.letter("C")
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
            raise Unreadable("a numeral in a base inside an expression")
        whole = int(value) if value == int(value) and "." not in mantissa else None
        if whole is not None and (proper := self.proper_fraction()) is not None:
            return poly(whole + proper)
        return poly(value)

    def proper_fraction(self) -> Fraction | None:
        """The fraction of a mixed number: `3 1/2` or `3\\frac{1}{2}`."""
        if self.peek().kind not in ("command", "number"):
            return None
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
            texts[0].kind == texts[2].kind == "number"
            and texts[0].spaced
            and texts[1].text == "/"
            and not texts[2].spaced
        ):
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
            parts = list(token.text) if not is_unit(token.text) and len(token.text) <= MAX_LETTERS else []
        if not parts:
            raise Unreadable(f"{token.text!r} is not an expression")
        result = poly(1)
        for i, part in enumerate(parts):
            is_last = i + 1 == len(parts)
            factor = self.named(part) if is_last else (self.constant(part) or p.letter(part))
            if not is_last or not self.is_next("^", "**", "!"):
                result = p.multiply(result, factor)
                continue
            # An exponent applies to the last letter only.
            while self.take("^", "**"):
                factor = p.power(factor, self.exponent())
            result = p.multiply(result, factor)
        return result

    def constant(self, name: str) -> Poly | None:
        if name in ("pi", "e", "oo", "i"):
            return p.letter(name)
        return p.letter("oo") if name in ("inf", "infinity", "infty") else None

    def named(self, name: str) -> Poly:
        """A function with its argument, a constant, or a letter with its index."""
        if name == "sqrt":
            return p.square_root(self.argument(is_whole=True))
        if name in FUNCTIONS:
            return self.function(name)
        if name in ("f", "g", "h") and self.is_next("(") and self.is_application(name):
            self.at += 1
            inner = self.sum()
            self.expect(")")
            return p.letter(f"{name}({p.render(inner)})")
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

    def is_application(self, name: str) -> bool:
        """Whether the brackets after a letter hold the argument of a function; `h(a + b)` is a product."""
        inside = self.peek(1)
        is_short = self.peek(2).text == ")" and (
            inside.kind == "number" or (inside.kind == "word" and len(inside.text) == 1)
        )
        is_short = is_short or (inside.text == "-" and self.peek(2).kind == "number" and self.peek(3).text == ")")
        return is_short or name == "f"

    def marked(self, name: str) -> Poly:
        """A name with a mark: an angle, a segment, a vector or a unit vector."""
        if name in ("angle", "measuredangle", "triangle"):
            is_group = self.take("{")
            token = self.peek()
            if token.kind not in ("word", "text", "number", "command") or (
                token.kind == "command" and token.text not in GREEK
            ):
                raise Unreadable("a mark of nothing")
            self.at += 1
            if is_group:
                self.expect("}")
            word = min(token.text, token.text[::-1]) if name != "triangle" else token.text
            return p.letter(rf"\{name.replace('measured', '')} " + ("\\" if token.kind == "command" else "") + word)
        is_group = self.take("{")
        token = self.peek()
        self.at += 1
        if token.kind not in ("word", "text", "bold", "number") and token.text not in ("imath", "jmath", *GREEK):
            raise Unreadable("a mark of nothing")
        if is_group:
            self.expect("}")
        if name in ARROWS:
            letter = token.text[0] if token.text in ("imath", "jmath") else token.text
            return p.letter(axis(letter) if len(letter) == 1 else rf"\vec{{{letter}}}")
        return p.letter(rf"\{name}{{{token.text}}}")

    def command(self, name: str) -> Poly:
        if name in MARKS:
            return self.marked(name)
        if name in FRACTIONS:
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
        """A function applied to what is in brackets, or to the product that follows."""
        self.deeper()
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
        self.depth -= 1
        applied = apply(kind, [in_radians(a) for a in arguments])
        return applied if exponent is None else p.power(applied, exponent)

    def function_product(self) -> Poly:
        """The `2x` of `\\sin 2x`: factors up to a sign or another function."""
        result = self.factor()
        while self.starts_factor() and self.peek().text not in FUNCTIONS and self.peek().text not in ("(", "["):
            result = p.multiply(result, self.factor())
        return result
