"""Units: their names, their size in base units, and products and powers of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

Number = int | Fraction
Dims = tuple[tuple[str, int], ...]
Factors = list[tuple[str, int]]
"""Units with their exponents, in the order in which they were written."""

_PREFIXES: tuple[tuple[str, str, Number], ...] = (
    ("k", "kilo", 1000),
    ("c", "centi", Fraction(1, 100)),
    ("m", "milli", Fraction(1, 1000)),
    ("d", "deci", Fraction(1, 10)),
    ("u", "micro", Fraction(1, 10**6)),
    ("n", "nano", Fraction(1, 10**9)),
    ("M", "mega", 10**6),
    ("G", "giga", 10**9),
    ("T", "tera", 10**12),
)
_METRIC: tuple[tuple[str, str, Number, str], ...] = (
    ("m", "meter metre", 1, "m"),
    ("g", "gram gramme", 1, "g"),
    ("l", "liter litre", Fraction(1, 1000), "m^3"),
    ("L", "", Fraction(1, 1000), "m^3"),
    ("s", "", 1, "second"),
    ("J", "joule", 1000, "g*m^2/second^2"),
    ("N", "newton", 1000, "g*m/second^2"),
    ("W", "watt", 1000, "g*m^2/second^3"),
    ("V", "volt", 1000, "g*m^2/second^3/ampere"),
    ("Pa", "pascal", 1000, "g/m/second^2"),
    ("Hz", "hertz", 1, "per second"),
    ("A", "ampere amp", 1, "ampere"),
    ("mol", "mole", 1, "mol"),
    ("cal", "calorie", 4184, "g*m^2/second^2"),
    ("Wh", "", 3600 * 1000, "g*m^2/second^2"),
    ("B", "byte", 1, "byte"),
)
"""Symbol, words, size and dimension of units that take metric prefixes."""
_OTHERS: dict[str, dict[str, tuple[Number, str]]] = {
    "m": {
        "inch": (Fraction(254, 10**4), "in"),
        "foot": (Fraction(3048, 10**4), "ft feet"),
        "yard": (Fraction(9144, 10**4), "yd"),
        "mile": (Fraction(1609344, 1000), "mi"),
    },
    "m^2": {"acre": (Fraction(40468564224, 10**7), ""), "hectare": (10**4, "ha")},
    "m^3": {
        "gallon": (Fraction(3785411784, 10**12), "gal"),
        "quart": (Fraction(946352946, 10**12), "qt"),
        "pint": (Fraction(473176473, 10**12), "pt"),
        "cc": (Fraction(1, 10**6), ""),
    },
    "g": {
        "pound": (Fraction(45359237, 10**5), "lb lbs"),
        "ounce": (Fraction(45359237, 16 * 10**5), "oz"),
        "tonne": (10**6, "t"),
        "ton": (Fraction(45359237 * 2000, 10**5), ""),
    },
    "second": {
        "second": (1, "s sec secs"),
        "minute": (60, "min mins"),
        "hour": (3600, "h hr hrs"),
        "day": (86400, "d"),
        "week": (604800, "wk"),
    },
    "month": {"month": (1, ""), "year": (12, "yr yrs annum"), "decade": (120, ""), "century": (1200, "centuries")},
    "m/second": {
        "mph": (Fraction(1609344, 3600 * 1000), ""),
        "kph": (Fraction(1000, 3600), "kmh"),
        "knot": (Fraction(1852, 3600), ""),
    },
    "per m^2": {"mpg": (Fraction(1609344 * 10**9, 3785411784), "")},
    "cent": {"cent": (1, "penny pennies"), "dollar": (100, "usd buck")},
    "euro": {"euro": (1, "eur")},
    "gbp": {"gbp": (1, "")},
    "yen": {"yen": (1, "jpy")},
    "yuan": {"yuan": (1, "rmb cny")},
    "rupee": {"rupee": (1, "rs inr")},
    "kelvin": {
        "kelvin": (1, "K"),
        "celsius": (1, "centigrade"),
        "fahrenheit": (Fraction(5, 9), ""),
    },
    "g/m/second^2": {"atmosphere": (101325 * 1000, "atm"), "bar": (10**8, "")},
    "byte": {"bit": (Fraction(1, 8), "")},
    "g*m^2/second^3/ampere^2": {"ohm": (1000, "Ω")},
    "degree": {"degree": (1, "deg")},
    "percent": {"percent": (1, "pct percentage")},
    "radian": {"radian": (1, "rad")},
}
OFFSETS = {"celsius": Fraction(27315, 100), "fahrenheit": Fraction(45967, 180)}
"""Kelvins at the zero of each temperature scale."""
LETTERS = frozenset("mgshlLNJWVAKdt")
"""Letters that also denote a unit: `5 m` may be five metres or five times m."""
BARE = set(
    (
        "mm cm km dm mg kg ml mL dl dL kl ft yd mi hr mph kph hz Hz kHz MHz GHz in sq cu sec yr wk qt oz lb lbs kJ MJ "
        "kW MW GW kN kPa Pa kWh mA kA mV kV ms ns nm kB MB GB TB ha gal CM KM KG Kg Km"
    ).split()
)
"""Runs of letters that could be a product but are read as a unit."""


def _table() -> tuple[dict[str, tuple[Number, str]], dict[str, str]]:
    worth: dict[str, tuple[Number, str]] = {}
    names: dict[str, str] = {}
    for symbol, words, factor, dims in _METRIC:
        worth[symbol], names[symbol] = (factor, dims), symbol
        names.update(dict.fromkeys(words.split(), symbol))
        for sign, prefix, scale in _PREFIXES:
            worth[sign + symbol], names[sign + symbol] = (factor * scale, dims), sign + symbol
            names.update({prefix + word: sign + symbol for word in words.split()})
    for dims, units in _OTHERS.items():
        for name, (factor, words) in units.items():
            worth[name], names[name] = (factor, dims), name
            names.update(dict.fromkeys(words.split(), name))
    names |= {"L": "l", "mL": "ml", "cL": "cl", "dL": "dl", "kL": "kl", "s": "second"}
    return worth, names


_WORTH, _NAMES = _table()


@lru_cache(maxsize=4096)
def unit_name(word: str) -> str:
    """The canonical name of a unit, whatever its number and spelling; an unknown unit is its own name."""
    if word in _NAMES:
        return _NAMES[word]
    lower = word.casefold().strip(".")
    if lower in _NAMES:
        return _NAMES[lower]
    single = lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower
    if single == "inche":
        return "inch"
    return _NAMES.get(single, single)


def is_known(word: str) -> bool:
    """Whether a word is a known unit."""
    return unit_name(word) in _WORTH


def is_unit(word: str) -> bool:
    """Whether letters that could be a product are a unit."""
    return word in BARE or (len(word) > 2 and is_known(word))


def unit_text(factors: Iterable[tuple[str, int]]) -> str:
    """The canonical text of a product of units: `kg*m/second^2`, `per hour`."""
    powers: dict[str, int] = {}
    for name, exponent in factors:
        powers[name] = powers.get(name, 0) + exponent
    above = [_power(name, n) for name, n in sorted(powers.items()) if n > 0]
    below = [_power(name, -n) for name, n in sorted(powers.items()) if n < 0]
    return "*".join(above) + "".join(f"/{part}" for part in below) if above else " ".join(f"per {x}" for x in below)


def _power(name: str, n: int) -> str:
    return name if n == 1 else f"{name}^{n}"


@lru_cache(maxsize=4096)
def powers_of(unit: str) -> Dims:
    """Parses the output of `unit_text` into units with their exponents."""
    found: dict[str, int] = {}
    if unit.startswith("per "):
        unit = "1/" + unit[4:].replace(" per ", "/")
    above, *below = unit.split("/")
    for sign, parts in ((1, above.split("*")), (-1, below)):
        for part in parts:
            name, _, exponent = part.partition("^")
            if name != "1":
                found[name] = found.get(name, 0) + sign * int(exponent or 1)
    return tuple(sorted(found.items()))


@lru_cache(maxsize=4096)
def measure(unit: str) -> tuple[Number, Dims]:
    """The size of a unit in base units, and the base units with their exponents."""
    factor: Number = 1
    dims: dict[str, int] = {}
    for name, exponent in powers_of(unit):
        worth, base = _WORTH.get(name, (1, name))
        factor *= Fraction(worth) ** exponent
        for part, n in powers_of(base) if name in _WORTH else ((name, 1),):
            dims[part] = dims.get(part, 0) + n * exponent
    return factor, tuple(sorted((name, n) for name, n in dims.items() if n))
