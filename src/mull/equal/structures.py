"""Structures: tuples, intervals, sets, matrices, and sums of vectors."""

from __future__ import annotations

from mull.equal import polynomial as p
from mull.equal.forms import Form, number_form
from mull.equal.lists import listed
from mull.equal.meaning import as_set, settled
from mull.equal.polynomial import Unreadable, poly
from mull.equal.quantities import Quantities
from mull.equal.spans import INFINITY, MINUS_INFINITY
from mull.equal.vectors import added, mapped, times

SUCH_THAT = ("|", ":", "mid", "vert", "colon")
MATRICES = ("pmatrix", "bmatrix", "matrix", "array", "vmatrix", "Bmatrix", "smallmatrix")
TIMES = ("*", "cdot", "times")
NUMBER_SETS = ("N", "Z", "Q", "C")


class Structures(Quantities):
    """A parser of structures."""

    def items(self) -> tuple[list[Form], list[str]]:
        raise NotImplementedError

    def item(self) -> Form:
        raise NotImplementedError

    def structure(self) -> Form | None:
        """A tuple, interval, set, matrix or a sum of them; `None`, with nothing consumed, if none comes next."""
        if self.has_vectors():
            return self.vectors()
        return self.single()

    def single(self) -> Form | None:
        token = self.peek()
        if token.kind == "command" and token.text in ("{", "lbrace"):
            self.at += 1
            return self.inside_set()
        if token.kind == "command" and token.text in ("emptyset", "varnothing"):
            self.at += 1
            return Form("set")
        if token.kind == "command" and token.text == "mathbb":
            self.at += 1
            return self.number_set()
        if token.kind == "command" and token.text == "begin":
            return self.matrix()
        if token.kind == "command" and token.text == "langle":
            self.at += 1
            items = self.nested_items()
            self.expect("rangle", kind="command")
            return Form("seq", "()", tuple(items))
        if token.text in ("(", "[") and self.peek(1).kind == "command" and self.peek(1).text == "begin":
            self.at += 1
            matrix = self.matrix()
            self.expect({"(": ")", "[": "]"}[token.text])
            return matrix
        if token.text == "[" and self.peek(1).text == "[" and (rows := self.rows()):
            return rows
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

    def inside_set(self) -> Form:
        """The items of a set, or the set that a builder such as `\\{x \\mid x > 2\\}` denotes."""
        name = self.peek().text
        ahead = 5 if self.peek(2).text == "mathbb" and self.peek(3).text == "{" else 3
        ahead = ahead + 1 if ahead == 5 else ahead
        places = (1, ahead + 1, ahead) if self.peek(1).text == "in" else (1,)
        place = next((n for n in places if self.peek(n).text in SUCH_THAT), 0)
        if place and len(name) == 1 and self.peek().kind == "word":
            self.at += place + 1
            self.deeper()
            found = listed(*self.items())
            self.depth -= 1
            if found.kind not in ("range", "named") or found.head != name:
                raise Unreadable("a set builder without a condition that can be read")
            self.close_set()
            return found.parts[0]
        items = [] if self.is_next("}", kind="command") else self.nested_items()
        self.close_set()
        return as_set(items)

    def close_set(self) -> None:
        if not (self.take("}", kind="command") or self.take("rbrace", kind="command")):
            raise Unreadable("a set is not closed")

    def number_set(self) -> Form:
        name = p.render(self.argument())
        if name in NUMBER_SETS:
            return Form("text", rf"\mathbb{{{name}}}")
        if name != "R":
            raise Unreadable("an unknown set of numbers")
        return Form("seq", "()", (number_form(MINUS_INFINITY), number_form(INFINITY)))

    def holds_items(self) -> bool:
        """Whether the next bracket holds a list of items, or nothing, rather than one expression."""
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
        items, _ = self.items()
        self.depth -= 1
        return [settled(item) for item in items]

    def matrix(self) -> Form:
        self.expect("begin", kind="command")
        name = self.environment()
        if name not in (*MATRICES, "cases"):
            raise Unreadable(f"unknown environment {name}")
        if name == "array" and self.take("{"):
            while not self.take("}"):
                self.at += 1
                if self.peek().kind == "end":
                    raise Unreadable("an array is not closed")
        rows: list[list[Form]] = [[]]
        while not self.take("end", kind="command"):
            rows[-1].append(self.item())
            self.take(",")
            if self.take("\\", kind="command"):
                if not self.is_next("end", kind="command"):
                    rows.append([])
            elif not self.is_next("end", kind="command"):
                self.expect("&")
        if self.environment() != name or len({len(row) for row in rows}) != 1:
            raise Unreadable("a matrix with rows of different lengths")
        if name == "cases":
            if len(rows[0]) != 1:
                raise Unreadable("a piecewise function")
            return listed([row[0] for row in rows], [","] * (len(rows) - 1))
        return Form("matrix", parts=tuple(Form("seq", "()", tuple(map(settled, row))) for row in rows))

    def rows(self) -> Form | None:
        """A matrix as a list of its rows, `[[1, 2], [3, 4]]`; `None`, with nothing consumed, if it is none."""
        start, depth = self.at, self.depth
        try:
            self.at += 1
            rows: list[list[Form]] = []
            while not rows or self.take(","):
                self.expect("[")
                rows.append(self.nested_items())
                self.expect("]")
            self.expect("]")
        except Unreadable:
            rows = []
        if not rows or len({len(row) for row in rows}) != 1:
            self.at, self.depth = start, depth
            return None
        return Form("matrix", parts=tuple(Form("seq", "()", tuple(row)) for row in rows))

    def environment(self) -> str:
        self.expect("{")
        name = self.peek().text
        self.at += 1
        self.expect("}")
        return name

    # Vectors

    def starts_factor(self) -> bool:
        return not self.is_vector(0) and super().starts_factor()

    def is_vector(self, ahead: int) -> bool:
        if not self.may_have_vectors or (ahead and self.peek().text not in ("*", "cdot", "times")):
            return False
        token = self.peek(ahead)
        if token.kind == "command":
            return token.text in ("begin", "langle")
        return token.text in ("(", "[") and (self.peek(ahead + 1).text == "begin" or self.opens_items(self.at + ahead))

    def has_vectors(self) -> bool:
        """Whether a vector comes next that is multiplied by something or added to another."""
        if not self.may_have_vectors:
            return False
        depth, start = 0, self.at
        is_beside = False
        for place in range(start, len(self.tokens)):
            token = self.tokens[place]
            is_command = token.kind == "command"
            if depth == 0 and (
                (is_command and token.text in ("begin", "langle"))
                or (token.text in ("(", "[") and self.opens_items(place))
            ):
                is_beside = is_beside or place > start + (token.text == "begin" and self.tokens[start].text in "([")
                if is_beside:
                    return True
                depth += 1
            elif token.text in ("(", "[", "{") or (is_command and token.text in ("begin", "langle", "lbrace")):
                depth += 1
            elif token.text in (")", "]", "}") or (is_command and token.text in ("end", "rangle", "rbrace")):
                depth -= 1
                if depth < 0:
                    return False
            elif (
                depth == 0
                and token.text in ("*", "cdot", "times")
                and self.tokens[place - 1].text in (")", "}", "rangle")
            ):
                return place > start + 2 and self.tokens[start].text in ("(", "begin", "langle")
            elif depth == 0 and (token.text in ENDING or (token.kind in ("word", "text") and len(token.text) > 1)):
                return False
        return False

    def opens_items(self, place: int) -> bool:
        at, self.at = self.at, place
        found = self.holds_items() and self.peek(1).text not in (")", "]")
        self.at = at
        return found

    def vectors(self) -> Form:
        """A sum of vectors, each with its scalar factor."""
        total: Form | None = None
        while True:
            sign = 1
            while self.is_next("+", "-"):
                sign = -sign if self.peek().text == "-" else sign
                self.at += 1
            scalar = poly(sign)
            form = self.single()
            if form is None:
                is_point = self.peek().kind == "word" and len(self.peek().text) == 1 and self.peek(1).text == "("
                name = self.peek().text
                scalar = p.multiply(scalar, self.product())
                self.take("*")
                self.take("cdot", "times", kind="command")
                form = self.single()
                if form is not None and is_point and (name.isupper() or name in "fgh"):
                    if total is not None or scalar != p.letter(name) or name in "fgh":
                        raise Unreadable("a function of several arguments")
                    return Form("named", name, (form,))
            if form is None:
                raise Unreadable("a sum of a vector and a number")
            while form.kind == "matrix" and (self.is_next("begin", kind="command") or self.is_vector(1)):
                self.at += not self.is_next("begin", kind="command")
                form = times(form, self.single())
            while self.take("*") or self.take("cdot", "times", kind="command"):
                scalar = p.multiply(scalar, self.factor())
            scaled = mapped(form, scalar)
            total = scaled if total is None else added(total, scaled)
            if not self.is_next("+", "-"):
                return total


ENDING = set(", ; & cup cap setminus : | = < > <= >= != le leq ge geq ne neq in approx lt gt sim".split())
"""Tokens that end a sum of vectors."""
