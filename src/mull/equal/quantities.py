"""Quantities: numbers in digits or words with units, money, numerals in a base, and plain words."""

from __future__ import annotations

from fractions import Fraction

from mull.equal import polynomial as p
from mull.equal.expressions import FRACTIONS
from mull.equal.forms import Form, number_form
from mull.equal.functions import FUNCTIONS, split_word
from mull.equal.meaning import with_unit
from mull.equal.numerals import Numerals
from mull.equal.polynomial import Poly, Unreadable, poly
from mull.equal.sameness import with_letters
from mull.equal.units import BARE, LETTERS, OFFSETS, Factors, Number, is_known, measure, powers_of, unit_name, unit_text
from mull.equal.words import ADVERBS, NO_UNIT, NOTHING, ORDINALS, SMALL, multiplier, spelled, starts_number

SHORT_WORDS = set("no on so up us we he me if do go to of at as my by be it is an am".split())
"""Words that are never products of letters."""
CURRENCIES = {"$": "dollar", "euro": "euro", "pounds": "gbp", "yen": "yen", "rupee": "rupee", "textdollar": "dollar"}
CODES = {"usd": "dollar", "us": "", "eur": "euro", "gbp": "gbp", "inr": "rupee", "jpy": "yen", "rmb": "yuan"}
LETTERED = {"k": 1000, "K": 1000, "M": 10**6, "m": 10**6, "B": 10**9, "b": 10**9}
"""Letters that scale an amount of money."""
SCALES = {"c": "celsius", "f": "fahrenheit"}
DESCRIPTIONS = {"old", "tall", "long", "wide", "high", "deep", "away", "ago", "altogether", "total"}
"""Words after a known unit that describe what is measured and are not part of the unit."""
JOINTS = ("and", "or")
RATES = ("per", "a", "an", "each", "every")
CUSTOMARY = {("foot", "inch"), ("yard", "foot"), ("pound", "ounce"), ("dollar", "cent")}
"""Pairs of units that form one quantity even with a comma between them: `6 feet, 2 inches`."""
MAX_UNITS = 12


class Quantities(Numerals):
    """A parser of values with units, and of answers in words."""

    may_have_vectors = True
    """Whether the text holds a comma or a matrix at all."""

    def structure(self) -> Form | None:
        raise NotImplementedError

    def is_end(self, ahead: int = 0) -> bool:
        """Whether an item ends before the token that many places ahead."""
        token = self.peek(ahead)
        if token.kind in ("word", "text"):
            return token.text.lower() in JOINTS
        return token.kind == "end" or token.text in (",", ";", "}", ")", "]", "=", "&", "\\", ":", "approx")

    def quantity(self) -> Form:
        """An expression with its unit, or plain words."""
        form = self.special() or number_form(self.sum())
        if form.kind != "value":
            return form
        form = self.measured(self.and_a_part(form.value))
        if form.kind == "value" and self.peek().kind == "number":  # the hour of `2 h 30 min`
            form = with_letters(form.value) or form
        return self.compound(form) if form.kind == "quantity" else form

    def special(self) -> Form | None:
        """An answer that does not begin with an expression: money, a number in words, prose."""
        token = self.peek()
        if token.kind == "number" and self.peek(1).kind in ("end", "number", "command"):
            return self.structure() if self.may_have_vectors else None
        return self.spelled_out() or self.money() or self.numeral() or self.structure()

    def and_a_part(self, value: Poly) -> Poly:
        """The value plus a fraction given in words: `2 and a half`."""
        if value.whole is None or self.peek().text != "and" or not self.is_word(1):
            return value
        words = [self.peek(n).text for n in range(1, 5) if self.is_word(n)]
        part = spelled(words)
        if part is None or not 0 < part[0] < 1:
            return value
        self.at += 1 + part[1]
        return p.add(value, poly(part[0]))

    # Words

    def spelled_out(self) -> Form | None:
        """A number in words, or prose."""
        if not self.is_word():
            return None
        if (
            self.peek().text.casefold() in ("minus", "negative")
            and self.is_word(1)
            and starts_number(self.peek(1).text)
        ):
            self.at += 1
            form = self.spelled_out()
            if form is None or form.kind != "value":
                raise Unreadable("a sign without a number")
            return number_form(p.multiply(poly(-1), form.value))
        text = self.peek().text
        if self.peek().kind == "text" and self.is_end(1):  # `\\text{AB}` alone is AB
            self.tokens[self.at] = self.peek()._replace(kind="word")
        if starts_number(text):
            words: list[str] = []
            for ahead in range(MAX_UNITS):
                token = self.peek(ahead)
                if not (self.is_word(ahead) or (token.text == "-" and words)):
                    break
                words.append(token.text)
            found = spelled(words)
            if found is not None and (
                text.casefold() not in ORDINALS or text.casefold() in SMALL or self.is_end(found[1])
            ):
                self.at += found[1]
                if self.peek().text == "of" and self.peek(1).text in ("a", "an") and self.is_unit_next(2):
                    self.at += 1
                if found[0] < 1 and self.peek().text in ("a", "an") and self.is_unit_next(1):  # half an hour
                    self.at += 1
                return number_form(poly(found[0]))
        if not (is_prose(text) and is_prose(text.casefold())):
            return None
        n = next(n for n in range(1, len(self.tokens) + 1) if not self.is_word(n) or self.is_end(n))
        if not self.is_end(n):
            return None
        said = " ".join(self.peek(ahead).text for ahead in range(n)).casefold()
        self.at += n
        return Form("set") if NOTHING.fullmatch(said) else Form("text", said)

    # Money

    def money(self) -> Form | None:
        """An amount after its currency sign, with the unit it pays for."""
        start, sign = self.at, 1
        if self.take("-"):
            sign = -1
        if (
            self.is_word()
            and self.peek().text.lower() in (*CODES, "rs")
            and self.peek(1).kind in ("sign", "command", "number")
        ):
            code = self.peek().text.lower()
            name = "rupee" if code == "rs" else CODES[code]
            self.at += 1
        else:
            name = ""
        if self.peek().kind in ("command", "sign") and self.peek().text in CURRENCIES:
            name = CURRENCIES[self.peek().text]
            self.at += 1
        if not name:
            self.at = start
            return None
        sign = -sign if self.take("-") else sign
        value = p.multiply(poly(sign), self.factor())
        while self.starts_factor() and not (self.is_word() and self.peek().text in LETTERED):
            value = p.multiply(value, self.factor())
        if self.is_word() and self.peek().text in LETTERED and self.is_end(1):
            value = p.multiply(value, poly(LETTERED[self.peek().text]))
            self.at += 1
        factor, units = self.units(is_money=True)
        value = p.multiply(value, poly(factor))
        units = [(x, n) for x, n in units if x != name or n < 0]
        if any(n > 0 for _, n in units):
            raise Unreadable("two units")
        if self.peek().text in ("+", "-", "*", "/"):
            raise Unreadable("a calculation with money")
        return Form("quantity", unit_text([(name, 1), *units]), (number_form(value),))

    # Units

    def measured(self, value: Poly) -> Form:
        """A value with the unit that follows."""
        if not value.terms and (unit := self.unit_of_zero()):
            return with_unit(value, unit)
        before = self.at
        token = self.peek()
        is_bare = token.kind == "end" or (token.kind == "sign" and token.text not in ("/", "$", "*"))
        if is_bare and "degree" not in value.gens:
            return with_unit(value, "")
        factor, units = self.units()
        value = p.multiply(value, poly(factor)) if factor != 1 else value
        has_degree = "degree" in value.gens or (not value.terms and self.is_degree(self.at - 1 - len(units)))
        scale = next((x for x in ("C", "F") if x in value.gens), "") if has_degree and not units else ""
        if scale:
            value, units = p.multiply(value, p.invert(p.letter(scale))), [(scale, 1)]
        if len(units) == 2 and ("degree", 1) in units:
            other = next((x for x, _ in units if x != "degree"), "")
            units = [(SCALES.get(other, other), 1)] if SCALES.get(other, other) in OFFSETS else units
        if has_degree and len(units) == 1:
            units = [(SCALES.get(units[0][0].lower(), units[0][0]), 1)]
        if units and units[0][1] < 0 and (lettered := with_letters(value)) is not None:
            value, units = lettered.parts[0].value, [*powers_of(lettered.head), *units]
        if self.is_next("$") or self.is_next(
            "$", "euro", "pounds", "yen", kind="command"
        ):  # the currency sign after the amount
            if units or self.at != before:
                raise Unreadable("two units")
            units = [(CURRENCIES[self.peek().text], 1)]
            self.at += 1
        return with_unit(value, unit_text(units))

    def is_degree(self, place: int) -> bool:
        """Whether the token at a place is a degree sign, possibly with the bracket that closes its exponent."""
        place -= place > 0 and self.tokens[place].text == "}"
        return place > 0 and self.tokens[place].text in ("circ", "degree")

    def unit_of_zero(self) -> str:
        """The scale or letter just read that zero was multiplied by: `0°C`, `0 K`; empty if there is none."""
        unit, before = self.tokens[self.at - 1], self.tokens[self.at - 2] if self.at > 1 else None
        if before is None or unit.kind != "word":
            return ""
        if unit.text in ("C", "F") and self.is_degree(self.at - 2):
            return SCALES[unit.text.lower()]
        return unit_name(unit.text) if unit.text in LETTERS and before.kind == "number" and self.is_end() else ""

    def units(self, is_money: bool = False) -> tuple[Number, Factors]:
        """The factor from words such as `million` after a number, and the units with their exponents."""
        factor: Number = 1
        while self.is_word() and (times := multiplier(self.peek().text)) is not None:
            if is_money and self.peek().text.lower() == "gross":  # before deductions, not twelve dozen
                self.at += 1
                break
            factor *= times
            self.at += 1
        found: Factors = []
        sign, power = 1, 0
        for _ in range(MAX_UNITS):
            token = self.peek()
            lower = token.text.lower()
            if self.is_next("/") and (self.is_word(1) or self.peek(1).text in FRACTIONS):
                self.at, sign = self.at + 1, -1
                continue
            if self.is_next(*FRACTIONS, kind="command") and self.is_unit_next(2):
                found += self.unit_fraction()
                continue
            if found and self.is_times_unit():
                self.at += 1
                continue
            if (
                not self.is_word()
                or self.is_end()
                or (token.kind == "word" and not self.is_unit_here(bool(found) or is_money, sign))
            ):
                break
            self.at += 1
            if lower == "per" and self.is_word() and self.peek().text.lower() == "cent":
                self.at += 1
                found.append(("percent", 1))
            elif lower in RATES and (lower == "per" or found or is_money):
                sign = -1
            elif lower in ("square", "sq", "cubic", "cu"):
                power = 2 if lower.startswith("sq") else 3
            elif lower in ("squared", "cubed") and found:
                found[-1] = (found[-1][0], found[-1][1] * (2 if lower == "squared" else 3))
            elif lower in ADVERBS:
                found.append((ADVERBS[lower], -1))
            elif lower in NO_UNIT:
                raise Unreadable("words after a number that are not a unit")
            elif lower in DESCRIPTIONS and found and is_known(found[-1][0]):
                continue
            elif lower == "of" and found:
                found.append((self.rest_of_words("of"), 1))
            else:
                name = unit_name(token.text) if is_known(token.text) else self.rest_of_words(unit_name(token.text))
                found.append((name, sign * self.exponent_of_unit(power or 1)))
                sign, power = 1, 0
        if power or sign < 0:
            raise Unreadable("an incomplete unit")
        return factor, found

    def is_times_unit(self) -> bool:
        """Whether a sign of multiplication, or the hyphen of `newton-meters`, and another unit come next."""
        text = self.peek(1).text
        if self.is_next("-"):
            return self.is_word(1) and len(text) > 2 and is_known(text)
        is_times = self.is_next("*") or self.is_next("cdot", "times", kind="command")
        return is_times and (self.is_unit_next(1) or (self.is_word(1) and text in LETTERS))

    def is_unit_here(self, has_unit: bool, sign: int) -> bool:
        """Whether letters outside a `\\text{}` are a unit rather than a product."""
        text = self.peek().text
        if text in ("a", "an"):
            return has_unit and self.is_unit_next(1)
        if text in ("C", "F") and self.tokens[self.at - 1].text.lower() in ("degree", "degrees"):
            return True
        if has_unit or sign < 0:
            return len(text) > 1 or text in LETTERS
        return text in BARE or (len(text) > 2 and not split_word(text))

    def rest_of_words(self, word: str) -> str:
        """An unknown unit with the words that follow it: `red balls`, `of flour`."""
        words = [word]
        while self.is_word() and not self.is_end() and len(words) < MAX_UNITS:
            text = self.peek().text
            if text.lower() in NO_UNIT:
                raise Unreadable("words after a number that are not a unit")
            if (
                text.lower() in ("per", "of")
                or (word != "of" and is_known(text))
                or (self.peek().kind == "word" and len(text) < 2)
            ):
                break
            words.append(unit_name(text) if not is_known(text) else text.lower())
            self.at += 1
        return " ".join(words)

    def exponent_of_unit(self, power: int) -> int:
        if not self.take("^"):
            return power
        is_group = self.take("{")
        sign = -1 if self.take("-") else 1
        token = self.peek()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 1:
            raise Unreadable("an exponent of a unit that is not a small whole number")
        self.at += 1
        if is_group:
            self.expect("}")
        return sign * int(token.text)

    def unit_fraction(self) -> Factors:
        """`\\frac{\\text{km}}{\\text{h}}`."""
        self.at += 1
        found: Factors = []
        for sign in (1, -1):
            self.expect("{")
            factor, units = self.units()
            if factor != 1 or not units:
                raise Unreadable("a fraction of units with something other than a unit")
            self.expect("}")
            found += [(name, sign * n) for name, n in units]
        return found

    def compound(self, form: Form) -> Form:
        """`2 hours 30 minutes` as one quantity, in its smallest unit."""
        while True:
            start = self.at
            has_comma = self.take(",")
            if self.is_word() and self.peek().text.lower() == "and":
                self.at += 1
            value = form.parts[0].value
            worth, dims = measure(form.head)
            if self.peek().kind not in ("number", "command"):
                self.at = start
                return form
            try:
                small = self.measured(self.product())
            except Unreadable:
                self.at = start
                return form
            if small.kind == "value":
                small = with_letters(small.value) or small
            if (form.head, small.head) == ("hour", "m"):  # `2h 30m`
                small = Form("quantity", "minute", small.parts)
            if small.kind == "value" or measure(small.head)[1] != dims or form.head == small.head:
                self.at = start
                return form
            part, number = measure(small.head)[0], small.parts[0].value.number
            if has_comma and dims != (("second", 1),) and (form.head, small.head) not in CUSTOMARY:
                self.at = start
                return form
            if number is None or number < 0 or part >= worth or number * part >= worth or value.number is None:
                self.at = start
                return form
            total = value.number * Fraction(worth) / part + number
            form = Form("quantity", small.head, (number_form(poly(total)),))


def is_prose(word: str) -> bool:
    return word.lower() in SHORT_WORDS or (len(word) > 2 and not split_word(word) and word not in FUNCTIONS)
