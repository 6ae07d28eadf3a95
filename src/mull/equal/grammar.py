"""The grammar of a whole answer: lists, relations and unions of sets, built from structures and quantities."""

from __future__ import annotations

from collections.abc import Sequence

from mull.equal import spans
from mull.equal.expressions import FRACTIONS
from mull.equal.forms import Form
from mull.equal.functions import FUNCTIONS
from mull.equal.lexer import Token
from mull.equal.lists import listed
from mull.equal.meaning import RELATIONS, ratio, ray, related, settled
from mull.equal.patterns import regex
from mull.equal.polynomial import Unreadable
from mull.equal.structures import Structures

MINUS_SETS = ("setminus", "smallsetminus", "backslash")
CONNECTIVES = {"land": "and", "wedge": "and", "lor": "or", "vee": "or"}
_SEGMENT = regex(r"[A-Z]{2,3}|d[a-z]")
_HOURS = regex(r"[01]?[0-9]|2[0-4]")
_MINUTES = regex(r"[0-5][0-9]")
NO_LABEL = {"+", "-", "*", "/", ",", ";", "<", ">", "&", "cup", "cap", "setminus", "cdot", "times", "pm", "equiv", "$"}
"""Tokens that cannot occur in a label, the left side of `label = value`."""
GIVEN_OF = frozenset("PEfghFGHV")
"""Letters that name functions, not factors, before a bracket: `P(A \\cap B)`."""


class Reader(Structures):
    """A parser of whole answers; with `turn` -1 it reads a plus-minus as a minus."""

    def __init__(self, tokens: Sequence[Token], turn: int = 1) -> None:
        super().__init__(tokens, turn)
        self.may_have_vectors = any(token.text in (",", ";", "begin") for token in self.tokens)

    def answer(self) -> Form:
        """The whole answer. Raises `Unreadable` if any tokens are left over."""
        items, joints = self.items()
        if self.at < len(self.tokens):
            raise Unreadable(f"{self.tokens[self.at].text!r} is out of place")
        return settled(listed(items, joints))

    def items(self) -> tuple[list[Form], list[str]]:
        """Items, and the commas, semicolons, `and` and `or` between them."""
        found, joints = [self.item()], []
        while joint := self.joint():
            found.append(self.item())
            if joint[0] == "\\" and any(item.kind not in ("range", "named", "seq", "union") for item in found[-2:]):
                raise Unreadable("a connective between statements that are not relations")
            joints.append(CONNECTIVES.get(joint[1:], joint))
        return found, joints

    def joint(self) -> str:
        token, joint = self.peek(), ""
        if self.take(",", ";"):
            joint, token = token.text, self.peek()
        if token.kind in ("word", "text") and token.text.lower() in ("and", "or"):
            self.at, joint = self.at + 1, token.text.lower()
        elif token.kind == "command" and token.text in CONNECTIVES:
            self.at, joint = self.at + 1, f"\\{token.text}"
        return joint

    def item(self) -> Form:
        """A relation, or anything that can be a side of one: a named value, an interval, an equation."""
        if self.is_choice():
            head = self.peek(1).text
            self.at += 3
            return Form("named", f"({head})", (self.union(),))
        while self.peek().kind == "command" and RELATIONS.get(self.peek().text) == "~":  # approximately
            self.at += 1
        sign = RELATIONS.get(self.peek().text, "") if self.peek().kind in ("sign", "command") else ""
        if sign and sign[0] in "<>!":
            return self.bare_range(sign)
        if label := self.label():
            return Form("named", label, (self.side(),))
        start, depth = self.at, self.depth
        try:
            found = self.relation()
            if self.is_next("'"):
                raise Unreadable("a prime")
            return found
        except Unreadable:
            self.at, self.depth, self.n_bars = start, depth, 0
            if label := self.any_label():
                return Form("named", label, (self.side(),))
            raise

    def relation(self) -> Form:
        sides, signs = [self.side()], []
        while self.peek().kind in ("sign", "command") and self.peek().text in RELATIONS:
            signs.append(RELATIONS[self.peek().text])
            self.at += 1
            sides.append(self.side())
        return related(sides, signs) if signs else sides[0]

    def bare_range(self, sign: str) -> Form:
        """A relation without a left side, such as `\\ge 5` (from `at least 5`): an unnamed variable's range."""
        self.at += 1
        side = self.side()
        if side.kind != "value" or not spans.is_end(side.value):
            raise Unreadable("a relation without a left side to something other than a number")
        return Form("range", "", (ray(sign, side.value),))

    def is_choice(self) -> bool:
        """Whether the letter of a choice comes next, followed by the choice: `(B) 2.5`."""
        letter = self.peek(1)
        if self.peek().text != "(" or self.peek(2).text != ")" or letter.kind not in ("word", "text", "bold"):
            return False
        if len(letter.text) != 1 or not "A" <= letter.text <= "J":
            return False
        after = self.peek(3)
        is_marked = letter.kind != "word" and (after.kind in ("command", "word", "text") or after.text in ("(", "["))
        return after.kind in ("number", "repeating") or after.text == "$" or (is_marked and not self.is_end(3))

    def label(self) -> str:
        """Consumes the `f(x)` or `|AB|` whose value is given, and the equals sign; empty if there is none."""
        first = self.peek()
        if (
            first.text == "|"
            and self.peek(1).kind == "word"
            and self.peek(2).text == "|"
            and self.peek(1).text.isupper()
        ):
            after = 3
        elif self.peek(1).text in ("(", "[") and first.kind in ("word", "text", "command") and self.is_given(first):
            after = self.closing(1)
        elif first.text in FRACTIONS and [self.peek(n).text for n in (1, 3, 4, 6)] == ["{", "}", "{", "}"]:
            is_of_segments = all(self.peek(n).kind == "word" and _SEGMENT.fullmatch(self.peek(n).text) for n in (2, 5))
            after = 7 if is_of_segments else 0
        elif first.text == "mathbb" and self.peek(1).text == "{" and self.peek(4).text in ("(", "["):
            after = self.closing(4)
        elif first.text in ("f", "g", "h") and self.peek(1).text in ("^", "'"):  # a derivative or an inverse
            opening = next((n for n in range(2, 7) if self.peek(n).text == "("), 0)
            after = self.closing(opening) if opening else 0
        else:
            return ""
        return self.taken_label(after)

    def any_label(self) -> str:
        """Consumes any other single expression before an equals sign: `t_{1/2}`, `\\gcd(a, b)`, `y'`."""
        depth = 0
        for n in range(len(self.tokens) - self.at):
            token = self.peek(n)
            if depth == 0 and n and token.kind in ("sign", "command") and RELATIONS.get(token.text) in ("=", "~"):
                return self.taken_label(n)
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if token.kind in ("number", "text") and not n:
                return ""
            if depth == 0 and token.text in NO_LABEL:
                return ""
        return ""

    def taken_label(self, after: int) -> str:
        """The text of the next `after` tokens if a relation follows, both consumed; empty if none follows."""
        start, sign = self.at, self.peek(after)
        if not after or sign.kind not in ("sign", "command") or RELATIONS.get(sign.text) not in ("=", "~"):
            return ""
        self.at += after + 1
        parts = [f"\\{t.text} " if t.kind == "command" else t.text for t in self.tokens[start : start + after]]
        return "".join(parts)

    def is_given(self, token: Token) -> bool:
        """Whether a word before a bracket names a function of what the bracket holds."""
        if token.kind == "command":
            return token.text == "Pr"
        if len(token.text) == 1:
            is_single = self.peek(2).kind == "word" and len(self.peek(2).text) == 1 and self.peek(3).text == ")"
            return token.text in GIVEN_OF or is_single
        return token.text not in FUNCTIONS and token.text != "sqrt" and len(token.text) > 1

    def closing(self, ahead: int) -> int:
        """The distance to just past the bracket that closes the one opening there; 0 if it is never closed."""
        depth = 0
        for n in range(ahead, len(self.tokens) - self.at):
            token = self.peek(n)
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if depth == 0:
                return n + 1
        return 0

    def side(self) -> Form:
        """A set, a quantity, or a ratio of them."""
        if clock := self.clock():
            return Form("text", clock)
        sides = [self.union()]
        while self.take(":") or self.take("colon", kind="command"):
            sides.append(self.union())
        return ratio(sides) if len(sides) > 1 else sides[0]

    def clock(self) -> str:
        """Consumes a time of the day, which has two digits after its colon and so is no ratio; empty without one."""
        hours, colon, minutes = (self.peek(n).text for n in range(3))
        if colon != ":" or not _HOURS.fullmatch(hours) or not _MINUTES.fullmatch(minutes) or not self.is_end(3):
            return ""
        self.at += 3
        return f"{hours}:{minutes}"

    def union(self) -> Form:
        parts = [self.difference()]
        while self.take("cup", kind="command"):
            parts.append(self.difference())
        return parts[0] if len(parts) == 1 else spans.union(parts)

    def difference(self) -> Form:
        """A set, possibly intersected with others or with others removed."""
        form = self.quantity()
        while True:
            if self.take("cap", kind="command"):
                other = self.quantity()
            elif self.is_next(*MINUS_SETS, kind="command") or (form.kind == "seq" and self.is_next("-", "\\")):
                is_sign = self.peek().kind == "sign"
                self.at += 1
                taken = self.quantity()
                if taken.kind == "value" and not is_sign:  # braces without backslashes are not seen: `ℝ∖{0}`
                    taken = Form("set", parts=(taken,))
                other = self.lacking(taken)
            elif form.kind == "seq" and self.peek().kind in ("word", "text") and self.peek().text in ("except", "but"):
                self.at += 1
                items, _ = self.items()
                other = self.lacking(Form("set", parts=tuple(unnamed(x) for item in items for x in flat(item))))
            else:
                return form
            mine, theirs = spans.spans(form), spans.spans(other)
            if mine is None or theirs is None:
                raise Unreadable("sets of something other than numbers")
            form = spans.as_form(spans.intersection([mine, theirs]))

    def lacking(self, form: Form) -> Form:
        found = spans.spans(form)
        if found is None:
            raise Unreadable("a set of something other than numbers")
        return spans.as_form(spans.complement(found))


def unnamed(form: Form) -> Form:
    return form.parts[0] if form.kind == "named" else form


def flat(form: Form) -> tuple[Form, ...]:
    return form.parts if form.kind == "set" else (form,)
