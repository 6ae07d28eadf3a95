"""Units: one name for each, and which are multiples of each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

UNITS: dict[str, tuple[str, Fraction | int]] = {
    "mm": ("m", Fraction(1, 1000)), "cm": ("m", Fraction(1, 100)), "m": ("m", 1), "km": ("m", 1000),
    "inch": ("inch", 1), "foot": ("inch", 12), "yard": ("inch", 36), "mile": ("inch", 63360),
    "mg": ("g", Fraction(1, 1000)), "g": ("g", 1), "kg": ("g", 1000),
    "second": ("second", 1), "minute": ("second", 60), "hour": ("second", 3600), "day": ("second", 86400),
    "cent": ("cent", 1), "dollar": ("cent", 100), "ml": ("l", Fraction(1, 1000)), "l": ("l", 1),
}  # fmt: skip
"""Units that are multiples of each other; any other unit is a name."""
UNIT_NAMES = {
    "centimeter": "cm", "millimeter": "mm", "meter": "m", "kilometer": "km", "metre": "m", "centimetre": "cm",
    "kilometre": "km", "gram": "g", "kilogram": "kg", "milligram": "mg", "in": "inch", "inche": "inch", "ft": "foot",
    "feet": "foot", "yd": "yard", "mi": "mile", "sec": "second", "min": "minute", "hr": "hour", "deg": "degree",
    "liter": "l", "litre": "l", "milliliter": "ml", "usd": "dollar", "buck": "dollar",
}  # fmt: skip
BARE_UNITS = {"mm", "cm", "km", "mg", "kg", "ml", "ft", "yd", "mi", "hr", "mph", "kph", "hz", "in"}
ARTICLES = re.compile(r"^(?:square|sq\.?|cubic|cu\.?) ")


def is_unit(word: str) -> bool:
    return word.lower() in BARE_UNITS or unit_name([word]) in UNIT_NAMES.values()


def unit_name(words: Sequence[str]) -> str:
    """One name for a unit, whatever its number and spelling."""
    text = " ".join(words).replace(" ^", "^").replace(" / ", "/").strip(" .")
    if not text:
        return ""
    text, caret, exponent = text.partition("^")
    lower = text.casefold().strip()
    if match := ARTICLES.match(lower):
        exponent, caret, lower = ("2" if match[0].startswith("sq") else "3"), "^", lower[match.end() :]
        text = lower
    parts = [part.strip(".") for part in (text.split() if len(text) < 2 else lower.split())]
    names = []
    for part in parts:
        single = part[:-1] if len(part) > 3 and part.endswith("s") and not part.endswith("ss") else part
        names.append(UNIT_NAMES.get(part, UNIT_NAMES.get(single, single)))
    return " ".join(names) + (caret + exponent if caret else "")
