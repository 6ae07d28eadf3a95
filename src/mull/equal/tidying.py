"""Removal of formatting from an answer, and normalisation of text for comparison."""

from __future__ import annotations

import re

from mull.equal.patterns import regex
from mull.equal.quantities import SHORT_WORDS

_SPACES = regex(r"\s+")
_NOISE = regex(
    r"\\(?:left|right|[bB]igg?[lr]?|middle)(?![a-zA-Z])|\\(?:displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])"
    r"|(?<!\\)\\[!,;: ]|\\q?quad"
)
_INLINE = regex(r"(?<!\\)\$(?=\S)((?:\\.|[^$\\])*?(?:\\.|[^$\s\\]))\$(?!\d)")
_BRACED = regex(r"(?<!\\)\\\(((?:(?!\\[()]).)*)\\\)|(?<!\\)\\\[((?:(?!\\[\[\]]).)*)\\\]")
_ESCAPED = regex(r"\\\\[a-zA-Z]{2}")
_SINGLE = regex(r"(?<!\\)\\(?:\\\\)*(?!\\)")
_TIES = regex(r"(^|\s)~|~(?=\s)")
_THOUSANDS = regex(r"(?<=\d)(?:,\s*\\!\s*(?=\d)|\s?\{, ?\}\s*(?=\d{3}))")
_DECIMAL_COMMA = regex(r"(?<![\d,}])(\d+)\{,\}(?=\d)")
_REALS = r"(?<![A-Za-z\\])(?:\\mathbb ?(?:\{ ?R ?\}|R)|R)"
_LACKING = regex(
    rf"{_REALS} ?(?:\\(?:setminus|smallsetminus|backslash)?(?![A-Za-z])|-(?= ?\\?\{{)) ?\\?\{{([^{{}}\\]*)\\?\}}"
    r"|(?<![A-Za-z\\])\\mathbb ?(?:\{ ?R ?\}|R) ?\\ ?(-?\d+)(?![\w.])"
)
_POINTED = regex(r"^<([^<>=]*,[^<>=]*)>$")
_SUPERSCRIPTS = regex("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SUBSCRIPTS = regex("[₀₁₂₃₄₅₆₇₈₉]+")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉", "0123456789+-0123456789")
_REPEATED = regex("((?:\\d[\u0305\u0304])+)")
_WRAPPED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("*", "*"), ("`", "`"), ('"', '"'))
_SIGNS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": r"\times ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "÷": r"\div ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "°": r"^\circ ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∈": r"\in ",
        "±": r"\pm ",
        "∓": r"\mp ",
        "√": r"\sqrt ",
        "½": r"\frac12 ",
        "⅓": r"\frac13 ",
        "⅔": r"\frac23 ",
        "¼": r"\frac14 ",
        "¾": r"\frac34 ",
        "⅛": r"\frac18 ",
        "⅜": r"\frac38 ",
        "⅝": r"\frac58 ",
        "⅞": r"\frac78 ",
        "∅": r"\emptyset ",
        "≈": r"\approx ",
        "∼": r"\sim ",
        "∠": r"\angle ",
        "⟨": r"\langle ",
        "⟩": r"\rangle ",
        "∖": r"\setminus ",
        "ℝ": r"\mathbb{R}",
        "ℤ": r"\mathbb{Z}",
        "ℕ": r"\mathbb{N}",
        "ℚ": r"\mathbb{Q}",
        "α": r"\alpha ",
        "β": r"\beta ",
        "γ": r"\gamma ",
        "δ": r"\delta ",
        "θ": r"\theta ",
        "λ": r"\lambda ",
        "μ": r"\mu ",
        "ρ": r"\rho ",
        "σ": r"\sigma ",
        "τ": r"\tau ",
        "φ": r"\phi ",
        "ω": r"\omega ",
        "€": r"\euro ",
        "£": r"\pounds ",
        "¥": r"\yen ",
        "₹": r"\rupee ",
        "¢": r"\text{ cents}",
        "…": "...",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\u2008": " ",
        "\u200a": " ",
        "\u200b": "",
        "“": '"',
        "”": '"',
        "’": "'",
        "‘": "'",
        "′": "'",
    }
)
_STYLES = regex(r"\\(?:text|mathrm|mbox|textbf|mathbf|textit|textrm|textnormal|operatorname)\s*\{([^{}]*)\}")
_ABBREVIATED = regex(r"(?<=[A-Za-z])\.(?![\d\w]{2})")
_INNER_SPACE = regex(r" ?([^\w ]) ?")
_GROUPED = regex(r"\{(\w)\}")
_WORDS = regex(r"[A-Za-z\s',.?!-]+")
_LONG = regex(r"[A-Za-z]{2,}")

MAX_PASSES = 12


def tidy(text: str) -> str:
    """The text without formatting: spacing, sizes, delimiters around the whole, a final full stop.

    Empty if it is wrapped in more delimiters than any answer is.
    """
    for _ in range(MAX_PASSES):
        before = text
        if _ESCAPED.search(text) and not _SINGLE.search(text) and "begin" not in text:  # escaped twice
            text = text.replace("\\\\", "\\")
        if not text.isascii():
            text = _plain_signs(text)
        if "R" in text and ("\\" in text or "-" in text):
            text = _LACKING.sub(_setminus, text)
        if "\\" in text or "{," in text or "~" in text:
            text = _DECIMAL_COMMA.sub(_decimal, _THOUSANDS.sub("", text))
            text = _TIES.sub(r"\1\\approx ", _NOISE.sub(" ", text)).replace("~", " ")
        text = _SPACES.sub(" ", text).strip()
        if text.endswith((".", ",", ";")) and not text.endswith("..."):
            text = text[:-1]
        if text[:1] in '$\\*`"<':
            text = _unwrapped(text)
        if text.count("$") > 1:
            text = _inline(text)
        if r"\(" in text or r"\[" in text:
            text = _BRACED.sub(r"\1\2", text)
        if r"\boxed" in text:
            text = _unboxed(text)
        if text == before:
            return text
    return ""


def _inline(text: str) -> str:
    """The text without dollar signs around parts of it: `$3$ and $4$`, but not `$3 and $4`, which is money."""
    bare = _INLINE.sub(r"\1", text)
    return text if "$" in bare.replace(r"\$", "") else bare


def _unboxed(text: str) -> str:
    """The text without boxes around parts of it; adjacent boxes become separate items."""
    found, place = [], 0
    while (start := text.find(r"\boxed{", place)) >= 0:
        depth, end = 1, start + 7
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if depth:
            return text
        between = text[place:start]
        found.append(", " if place and not between.strip() else between)
        found.append(text[start + 7 : end - 1])
        place = end
    return "".join([*found, text[place:]])


def _setminus(match: re.Match[str]) -> str:
    return rf"\mathbb{{R}}\setminus \{{{match[1] or match[2]}\}}"


def _decimal(match: re.Match[str]) -> str:
    return f"{match[1]}."


def _plain_signs(text: str) -> str:
    text = _REPEATED.sub(lambda m: r"\overline{" + re.sub(r"\D", "", m[1]) + "}", text)
    text = _SUPERSCRIPTS.sub(lambda m: "^{" + m[0].translate(_RAISED) + "}", text)
    return _SUBSCRIPTS.sub(lambda m: "_{" + m[0].translate(_RAISED) + "}", text).translate(_SIGNS)


def _unwrapped(text: str) -> str:
    for left, right in _WRAPPED:
        inner = text[len(left) : -len(right)]
        is_wrapped = text.startswith(left) and text.endswith(right) and len(text) > len(left) + len(right)
        if is_wrapped and left not in inner:
            text = inner
    return _POINTED.sub(r"\\langle \1\\rangle ", text)


def words_of(text: str) -> str:
    """A text normalised for comparison: no styles, single spaces, lower-case words, abbreviations without full stops.

    Every other sign is kept: texts that differ in one are different.
    """
    text = _SPACES.sub(" ", _STYLES.sub(r" \1 ", _STYLES.sub(r" \1 ", text)))
    if "\\" in text:
        return _INNER_SPACE.sub(r"\1", _GROUPED.sub(r" \1", text)).strip()
    text = (_ABBREVIATED.sub("", text) if "." in text else text).strip()
    return text.casefold() if _WORDS.fullmatch(text) else _LONG.sub(_lower, text)


def _lower(match: re.Match[str]) -> str:
    """A word in lower case; one of two letters is kept, since it may name points."""
    word = match[0]
    is_word = len(word) > 2 or word.lower() in SHORT_WORDS or word.lower() == "pm"
    return word.casefold() if is_word else word
