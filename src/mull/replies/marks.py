r"""The marks that delimit an answer in a reply: boxes, tags, and `####`."""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal, NamedTuple

from mull.equal.patterns import regex
from mull.replies.text import MAX_REGION, sentence_end

N_REGIONS = 24
"""Most marks of each sort that are examined, from the last back, so that repetition costs no more."""

Sort = Literal["box", "tag", "heading", "line", "phrase"]


class Region(NamedTuple):
    """A place where a reply states its answer. `parts` are the contents of several boxes that form one answer.

    `is_continental`: the language of its label writes the decimal point as a comma.

    `heading`: the text after `####`. `line`: after a label, as in `Answer: 5`. `phrase`: after words in a sentence, as
    in `the answer is 5`, which is weaker evidence.
    """

    sort: Sort
    start: int
    end: int
    text: str
    parts: tuple[str, ...] = ()
    is_continental: bool = False


class _Other(Enum):
    """The region holds a value of another kind than requested, so the next region is tried."""

    OTHER = 0


OTHER: Literal[_Other.OTHER] = _Other.OTHER
Reading = str | None | Literal[_Other.OTHER]


# --- boxes

_BRACE = regex(r"\\.|[{}]", re.DOTALL)
_OPTIONS = regex(r"(?:\[[^\[\]\n]{0,60}\])?(?=\{)")
r"""The colours and borders of a `\bbox`."""
_UNBRACED = regex(
    r"\s{0,3}(\\[dtc]?frac\s?(?:\{[^{}]{1,100}\}|\d)\s?(?:\{[^{}]{1,100}\}|\d)|\\(?:text|mathrm|mathbf)\{[^{}]{1,100}\}"
    r"|[-+−]?\\?\$?\d[\d,./]*\d|[-+−]?\d|\([^()\n]{1,60}\)|\[[^\[\]\n]{1,60}\]|[A-Za-z](?![A-Za-z]))"
)
_SEPARATOR = regex(
    r"(?:\s?\([^()]{1,24}\)|\s?for\s(?:part|case|question)\s?(?:\(\w{1,3}\)|\w{1,3}))?(?:\s?[a-zà-ÿ]{1,15}){0,2}\s?(?:[,;、，]\s?(?:and|or|und|oder|et|ou|y|o|和|或)?|\b(?:and|or|und|oder|et|ou|y|o)\b|和|或|及)"
    r"\s?(?:[a-z](?:_?\{?\w\}?)?\s?=)?\s?",
    re.IGNORECASE,
)
_NO_SEPARATOR = regex(
    r"\b(?:so|hence|thus|therefore|then|which|because|since|but|not|is|are|i\.e|gives|wait|no)\b|\.\s", re.IGNORECASE
)
_DRESS = regex(r"\\(?:text|mathrm)\s?\{([^{}]*)\}|\\[()\[\],;:! ]|\\q?quad|\$|\s+|~")
_DENIALS = ("not", "rather than", "instead of", "n't")
_GOES_ON = regex(r"\s{0,2}(?:\\(?:sqrt|pi|times|cdot|frac|dfrac|div|pm)(?![a-z])|\^)")
_MINUS = regex(r"(?:^|[=$\s(\[:])[-−]\s?$")


def boxes(text: str) -> list[Region]:
    """The boxes of a text, last first; those in one sentence are merged, empty ones skipped."""
    found: list[Region] = []
    for at in _box_commands(text):
        box = _box(text, at)
        if box is not None:
            while found and found[-1].end <= box.end:
                found.pop()
            found.append(box)
    found = [box for box in found if not _is_denied(text, box.start)]
    joined: list[Region] = []
    for box in found:
        if joined and _is_list(text[box.end : joined[-1].start]):
            last = joined[-1]
            joined[-1] = Region("box", box.start, last.end, "", (box.text, *(last.parts or (last.text,))))
        else:
            joined.append(box)
    return joined


def _box_commands(text: str) -> list[int]:
    r"""The ends of box commands, last first; a backspace counts as the `\b` of a badly escaped `\boxed`."""
    ends: list[int] = []
    at = text.rfind("box")
    while at >= 0 and len(ends) < N_REGIONS:
        if text.startswith("ed", at + 3):
            ends.append(at + 5)
        elif text.startswith(("\\f", "\\frame"), max(0, at - 2)) or text.endswith("\\frame", 0, at):
            ends.append(at + 3)
        elif text.endswith("\\b", 0, at) and (options := _OPTIONS.match(text, at + 3)) is not None:
            ends.append(options.end())
        at = text.rfind("box", 0, at)
    if "\x08" in text:
        ends = sorted((*ends, *backwards(text, ("\x08oxed",))), reverse=True)
    return ends


def backwards(text: str, words: tuple[str, ...]) -> list[int]:
    """The places in a text where one of these words ends, last first."""
    ends = []
    for word in words:
        at = text.rfind(word)
        for _ in range(N_REGIONS):
            if at < 0:
                break
            ends.append(at + len(word))
            at = text.rfind(word, 0, at)
    return sorted(ends, reverse=True)


def _box(text: str, at: int) -> Region | None:
    """The box whose command ends here; `None` if it is empty or not a box. The text of an unclosed box is empty."""
    start = max(text.rfind("\\", max(0, at - 10), at), text.rfind("\x08", max(0, at - 6), at))
    brace = at
    while brace < min(at + 4, len(text)) and text[brace] in " \t":
        brace += 1
    if text[brace : brace + 1] != "{":
        if start < 0:
            return None
        loose = _UNBRACED.match(text, at)
        return None if loose is None else Region("box", start, loose.end(), loose[1])
    if start < 0:
        start = at - 5
    close = text.find("}", brace, brace + 2 * MAX_REGION)
    if close > 0 and "{" not in (inner := text[brace + 1 : close]) and "\\" not in inner:
        return _whole_box(text, start, close + 1, inner) if inner.strip(" .…") else None
    depth = 0
    for match in _BRACE.finditer(text, brace, brace + 2 * MAX_REGION):
        depth += 1 if match[0] == "{" else -1 if match[0] == "}" else 0
        if depth == 0:
            inner = text[brace + 1 : match.start()]
            return _whole_box(text, start, match.end(), inner) if inner.strip(" .…\\") else None
    return Region("box", start, brace + 1, "")


def _whole_box(text: str, start: int, end: int, inner: str) -> Region:
    """A box together with a sign before it or a factor after it that was left outside the box."""
    if text[max(0, start - 2) : start].rstrip()[-1:] in ("-", "−") and _MINUS.search(text, max(0, start - 4), start):
        inner = "-" + inner if inner.strip()[:1].isdigit() else f"-({inner})"
    if text[end : end + 3].lstrip()[:1] in ("\\", "^") and _GOES_ON.match(text, end) is not None:
        stop = min(
            (at for mark in ("$", "\\)", "\\]", "\n") if (at := text.find(mark, end, end + 200)) >= 0), default=end
        )
        inner, end = inner + text[end:stop], stop
    return Region("box", start, end, inner)


def _is_denied(text: str, start: int) -> bool:
    """Whether the words just before a box deny its content."""
    return text[max(0, start - 24) : start].rstrip(" $\\(").lower().endswith(_DENIALS)


def _is_list(between: str) -> bool:
    """Whether the text between two boxes joins them into one answer."""
    if len(between) > 80:
        return False
    plain = _DRESS.sub(lambda m: f" {m[1]} " if m[1] else " ", between).strip()
    plain = re.sub(r"\s+", " ", plain)
    return _SEPARATOR.fullmatch(plain) is not None and _NO_SEPARATOR.search(plain) is None


# --- tags

_TAG_NAMES = r"answer|final[_\- ]?answer|ans|final|solution|result|output|response"
_TAG = regex(
    rf"<(?i:\s?(?P<open>(?:{_TAG_NAMES})(?:\s[^<>\n]{{0,80}})?>|\|begin_of_(?:box|solution)\|>|\|start_response\|>)"
    rf"|(?P<close>/\s?(?:{_TAG_NAMES})\s?>|\|end_of_(?:box|solution)\|>|\|end_response\|>))"
)
_SQUARE_TAG = regex(r"\[(?:(?P<open>ANSWER\])|(?P<close>/ANSWER\]))")


def tags(text: str) -> list[Region]:
    """The content of answer tags, last first.

    Without a closing tag it extends to the end; without an opening tag it starts at the beginning of the line.
    """
    pattern = _TAG if text.rfind("[/ANSWER]") < 0 else _SQUARE_TAG
    if pattern is _TAG and "<" not in text:
        return []
    found: list[Region] = []
    opened: re.Match[str] | None = None
    for tag in pattern.finditer(text):
        if tag["open"]:
            opened = tag
        elif opened is not None:
            found.append(Region("tag", opened.start(), tag.end(), text[opened.end() : tag.start()]))
            opened = None
        elif not found:
            line_at = text.rfind("\n", 0, len(text[: tag.start()].rstrip())) + 1
            found.append(Region("tag", line_at, tag.end(), text[line_at : tag.start()]))
    if opened is not None:
        found.append(Region("tag", opened.start(), len(text), text[opened.end() :]))
    return found[: -N_REGIONS - 1 : -1]


# --- headings

HEADING = regex(r"^[ \t]{0,4}####[ \t]{0,4}(?=\S)", re.MULTILINE)


def headings(text: str) -> list[Region]:
    """The lines after `####`."""
    if "#" not in text:
        return []
    found = []
    for at in backwards(text, ("####",)):
        line_at = text.rfind("\n", 0, at) + 1
        if text[line_at : at - 4].strip() or text[at : at + 1] == "#":
            continue
        end = sentence_end(text, at)
        if text[at:end].strip():
            found.append(Region("heading", line_at, end, text[at:end]))
    return found
