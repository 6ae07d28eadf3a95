"""The grammar of answers: lists, relations, sets, intervals, matrices and quantities, made of expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from mull.equal import polynomial as p
from mull.equal.expressions import Expressions, split_word
from mull.equal.forms import Form, number_form
from mull.equal.lexer import Token
from mull.equal.meaning import RELATIONS, as_set, ratio, related, with_unit
from mull.equal.polynomial import Unreadable, poly
from mull.equal.units import BARE_UNITS, unit_name

SHORT_WORDS = {
    "no", "on", "so", "up", "us", "we", "he", "me", "if", "do", "go", "to", "of", "at", "as", "my", "by", "be", "it",
    "is", "an", "am",
}  # fmt: skip
"""Words that are no products of letters."""


class Reader(Expressions):
    """A parser of whole answers; `read` reads the text inside a `\\text{}`, which is an answer of its own."""

    def __init__(self, tokens: Sequence[Token], turn: int, read: Callable[[str], Form | None]) -> None:
        super().__init__(tokens, turn)
        self.read = read

    def answer(self) -> Form:
        """The whole answer. Raises `Unreadable` where anything is left."""
        items = self.items()
        if self.at < len(self.tokens):
            raise Unreadable(f"{self.tokens[self.at].text!r} is out of place")
        return items[0] if len(items) == 1 else as_set(items)

    # Answers

    def items(self) -> list[Form]:
        """Items with commas, semicolons, `and` or `or` between them."""
        found = [self.item()]
        while True:
            took = self.take(",", ";")
            token = self.peek()
            if token.kind in ("word", "text") and token.text.strip().lower() in ("and", "or"):
                self.at, took = self.at + 1, True
            if not took:
                return found
            found.append(self.item())

    def item(self) -> Form:
        """A relation, or what one may stand for: a name and its value, an interval, an equation."""
        if function := self.function_name():
            return Form("named", function, (self.union(),))
        sides, signs = [self.union()], []
        while self.peek().kind in ("sign", "command") and self.peek().text in RELATIONS:
            signs.append(RELATIONS[self.peek().text])
            self.at += 1
            sides.append(self.union())
        if self.is_next(":") and not signs:
            while self.take(":"):
                sides.append(self.union())
            return ratio(sides)
        return related(sides, signs) if signs else sides[0]

    def function_name(self) -> str:
        """The `f(x)` of a definition `f(x) = ...`, which is left behind; empty where there is none."""
        letters = [self.peek(i) for i in (0, 2)]
        signs = [self.peek(i).text for i in (1, 3, 4)]
        if signs != ["(", ")", "="] or any(x.kind != "word" or len(x.text) != 1 for x in letters):
            return ""
        self.at += 5
        return f"{letters[0].text}({letters[1].text})"

    def union(self) -> Form:
        parts = [self.quantity()]
        while self.take("cup", kind="command"):
            parts.append(self.quantity())
        if len(parts) == 1:
            return parts[0]
        flat = [q for part in parts for q in (part.parts if part.kind == "union" else (part,))]
        unique = sorted({q.key: q for q in flat}.values(), key=lambda q: q.key)
        return Form("union", parts=tuple(unique)) if len(unique) > 1 else unique[0]

    def quantity(self) -> Form:
        """An expression with its unit, or a text that stands alone."""
        token = self.peek()
        if token.kind == "text" and self.is_alone():
            return self.words()
        if token.kind == "word" and self.is_alone() and is_prose(token.text) and is_prose(token.text.casefold()):
            self.at += 1
            return Form("text", token.text.casefold())
        if self.take("$", kind="command") or self.take("$"):
            return Form("quantity", "dollar", (number_form(self.sum()),))
        if self.is_next("-") and self.peek(1).text == "$":
            self.at += 2
            return Form("quantity", "dollar", (number_form(p.multiply(poly(-1), self.sum())),))
        if token.kind == "number" and self.peek(1).text == "_":
            return self.numeral("")
        if token.text == "-" and self.peek(1).kind == "number" and self.peek(2).text == "_":
            self.at += 1
            return self.numeral("-")
        form = self.structure() or number_form(self.sum())
        if form.kind != "value":
            return form
        return with_unit(form.value, self.unit())

    def is_alone(self) -> bool:
        """Whether the next token is a whole item."""
        after = self.peek(1)
        return after.kind == "end" or after.text in (",", ";", "}", ")", "=", "&", "\\", ":") or (
            after.kind in ("word", "text") and after.text.strip().lower() in ("and", "or")
        )  # fmt: skip

    def words(self) -> Form:
        """What a `\\text{}` holds, read as an answer of its own."""
        content = self.peek().text.strip()
        self.at += 1
        form = self.read(content)
        if form is None or form.kind == "hard":
            raise Unreadable("no text in it")
        return form

    def unit(self) -> str:
        """The unit behind an expression: words and texts, perhaps with a power; empty if there is none."""
        words: list[str] = []
        while self.peek().kind in ("word", "text"):
            token = self.peek()
            if token.text.strip().lower() in ("and", "or"):
                break
            if token.kind == "word" and len(token.text) < 3 and token.text.lower() not in BARE_UNITS and not words:
                break
            self.at += 1
            words += token.text.split()
        if words and self.take("^"):
            words.append("^" + p.render(self.argument()))
        if words and self.peek().kind == "sign" and self.peek().text == "/" and self.peek(1).kind in ("word", "text"):
            self.at += 1
            words += ["/", *self.peek().text.split()]
            self.at += 1
        return unit_name(words)

    def numeral(self, sign: str) -> Form:
        """Digits in a base, `52_8`: the same as nothing but the same digits in the same base."""
        digits = self.peek().text.lstrip("0") or "0"
        self.at += 2
        base = self.argument(is_whole=True).whole
        if base is None or not 2 <= base <= 36:
            raise Unreadable("a base that is none")
        digits = "0" + digits if digits.startswith(".") else digits
        return number_form(poly(Fraction(sign + digits))) if base == 10 else Form("numeral", f"{sign}{digits}_{base}")

    # Things with brackets

    def structure(self) -> Form | None:
        """A tuple, an interval, a set or a matrix; `None`, with nothing read, where an expression stands."""
        token = self.peek()
        if token.kind == "command" and token.text in ("{", "lbrace"):
            self.at += 1
            items = [] if self.is_next("}", kind="command") else self.nested_items()
            if not (self.take("}", kind="command") or self.take("rbrace", kind="command")):
                raise Unreadable("a set is not closed")
            return as_set(items)
        if token.kind == "command" and token.text in ("emptyset", "varnothing"):
            self.at += 1
            return Form("set")
        if token.kind == "command" and token.text == "mathbb":
            self.at += 1
            if self.argument() != p.letter("R"):
                raise Unreadable("a set of numbers other than the reals")
            return Form("seq", "()", (number_form(p.multiply(poly(-1), p.letter("oo"))), number_form(p.letter("oo"))))
        if token.kind == "command" and token.text == "begin":
            return self.matrix()
        if token.text in ("(", "[") and self.peek(1).kind == "command" and self.peek(1).text == "begin":
            self.at += 1
            matrix = self.matrix()
            self.expect({"(": ")", "[": "]"}[token.text])
            return matrix
        if token.kind == "sign" and token.text in ("(", "[", "{") and self.holds_items():
            self.at += 1
            items = [] if self.is_next("}") else self.nested_items()
            closing = self.peek().text
            if token.text == "{" and self.take("}"):
                return as_set(items)
            if token.text == "{" or len(items) < 2 or not self.take(")", "]"):
                raise Unreadable("brackets do not match")
            return Form("seq", token.text + closing, tuple(items))
        return None

    def holds_items(self) -> bool:
        """Whether the bracket that comes next holds items, or nothing, and no single expression."""
        depth = 0
        for place in range(self.at, len(self.tokens)):
            token = self.tokens[place]
            if token.text in ("(", "[", "{"):
                depth += 1
            elif token.text in (")", "]", "}"):
                depth -= 1
                if depth == 0:
                    return place == self.at + 1
            elif depth == 1 and token.text in (",", ";"):
                return True
        return False

    def nested_items(self) -> list[Form]:
        self.deeper()
        items = self.items()
        self.depth -= 1
        return items

    def matrix(self) -> Form:
        self.expect("begin", kind="command")
        name = self.environment()
        if name not in ("pmatrix", "bmatrix", "matrix", "array"):
            raise Unreadable(f"unknown environment {name}")
        if name == "array" and self.take("{"):
            while not self.take("}"):
                self.at += 1
                if self.peek().kind == "end":
                    raise Unreadable("an array is not closed")
        rows: list[list[Form]] = [[]]
        while not self.take("end", kind="command"):
            rows[-1].append(self.item())
            if self.take("\\", kind="command"):
                if not self.is_next("end", kind="command"):
                    rows.append([])
            elif not self.is_next("end", kind="command"):
                self.expect("&")
        if self.environment() != name or len({len(row) for row in rows}) != 1:
            raise Unreadable("a matrix of uneven rows")
        return Form("matrix", parts=tuple(Form("seq", "()", tuple(row)) for row in rows))

    def environment(self) -> str:
        self.expect("{")
        name = self.peek().text
        self.at += 1
        self.expect("}")
        return name


def is_prose(word: str) -> bool:
    return word.lower() in SHORT_WORDS or (len(word) > 2 and not split_word(word))
