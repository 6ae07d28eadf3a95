r"""Finds where a reply states its answer: boxes, tags, answer lines and phrases in several languages, last first.

A region is the whole text stated there; its parsing as an answer happens elsewhere. `taken_back` detects that a reply
retracts an answer ("wait, that is wrong"), and `own` removes text after a new question, which is not the reply's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mull.equal.patterns import regex
from mull.replies.labels import labels, may_follow
from mull.replies.marks import HEADING, Region, boxes, headings, tags
from mull.replies.text import MAX_REGION, sentence_end

_FIRST = regex(r"\s*(?:<\|im_start\|>\s?assistant\s?|<\|start_header_id\|>assistant<\|end_header_id\|>\s?|<s>\s?)")
_LAST = regex(
    r"<(?:\|(?:im_end|endoftext|eot_id|end_of_text|eom_id|end|return|end_of_turn|im_start|start_header_id|user)\|>"
    r"|/s>|end_of_turn>|eos>|｜end▁of▁sentence｜>)"
)
_INSTRUCTION = regex(r"\[/?INST\]")
_QUESTION = regex(
    r"\n(?=[ \t*_#qpeiuhfanQPEIUHFAN问题用質])(?:"  # most lines end here, at their first letter
    r"[ \t]{0,4}(?=[*_#qpeiuhfanQPEIUHFAN问题用質])(?i:(?:#{1,4} )?[*_]{0,3}"
    r"(?:(?:(?:new |next |another )?(?:question|problem|exercise|instruction|input|user|human|example)|q"
    r"|frage|aufgabe|pregunta|problema|problème|exercice)\b|问题|题目|问|用户|問題|質問)"
    r"[*_]{0,3} {0,2}\(?#?\d{0,4}\)?[.)]? {0,2}[*_]{0,3}[:：])"
    r"|(?i:#{1,4} (?:question|problem|exercise|instruction|input|user|human|example)\b *\d{0,4} *\n"
    r"|(?:question|problem|exercise|example) \d{1,4}(?:[.)] |[ \t]*\n)))"
)
_INTERROGATIVE = regex(
    r"\b(?:how (?:many|much|long|far|old|often)|what (?:is|are|was)|which)\b[^?\n]{0,300}\?", re.IGNORECASE
)


_STRUCK = regex(r"~~(?! )[^~\n]{1,200}(?<! )~~")
_STRUCK_HTML = regex(r"<(del|strike)>[^<\n]{1,200}</\1>|(?<=\S )<s>[^<\n]{1,60}</s>(?= ?\S)")
"""What HTML strikes out; `<s>` and `</s>` around a whole reply are a model's own tokens."""
_STRUCK_LATEX = regex(r"\\(?:[bx]?cancel|sout|st)\s?\{[^{}]{0,200}(?:\{[^{}]{0,200}\}[^{}]{0,200}){0,3}\}")


def own(text: str) -> str:
    """The text without what the model struck out, and without what it wrote after its reply.

    That is special tokens, and further questions with their answers.
    """
    text = _STRUCK.sub("", text) if "~~" in text else text
    if "cancel" in text or "\\sout" in text or "\\st{" in text:
        text = _STRUCK_LATEX.sub("", text)
    if "<" in text or "INST]" in text:
        if "<del>" in text or "<strike>" in text or "<s>" in text:
            text = _STRUCK_HTML.sub("", text)
        begun = _FIRST.match(text)
        text = text[begun.end() :] if begun is not None else text
        ends = [last.start() for mark in (_LAST, _INSTRUCTION) if (last := mark.search(text)) is not None]
        text = text[: min(ends)] if ends and text[: min(ends)].strip() else text
    at = 0
    for match in _QUESTION.finditer(text):
        if _is_answered(text[at : match.start()], is_first=not at):
            return text[: match.start()]
        at = match.start()
    return _first_of_several(text) if "#" in text else text


def _is_answered(before: str, *, is_first: bool) -> bool:
    """Whether the text before a question is a whole reply: it has an answer, or is one short line."""
    lines = before.strip().splitlines() if is_first else []
    is_short = len(lines) == 1 and len(lines[0].split()) <= 12 and not lines[0].rstrip(" *").endswith((":", "："))
    return is_short or next(regions(before), None) is not None


def _first_of_several(text: str) -> str:
    """The text up to a further, unmarked question between two answers after `####`."""
    first = HEADING.search(text)
    while first is not None:
        second = HEADING.search(text, first.end())
        if second is None:
            return text
        end = text.find("\n", first.end())
        if _INTERROGATIVE.search(text, end, min(second.start(), end + 2 * MAX_REGION)) is not None:
            return text[:end]
        first = second
    return text


def regions(text: str) -> Iterator[Region]:
    """The regions of a text: boxes, tags and answer lines, last first, and after them phrases."""
    boxed, tagged = boxes(text), tags(text)
    last = boxed[0] if boxed and not tagged and not _may_follow(text[boxed[0].end :]) else None
    if last is not None:
        yield last  # nothing can follow it; most replies need no further search
    if not boxed and not tagged and "#" not in text:
        phrases = []
        for label in labels(text):
            if label.sort == "line":
                yield label
            else:
                phrases.append(label)
        yield from phrases
        return
    labelled = list(labels(text))
    lines = [label for label in labelled if label.sort == "line"]
    found = [*boxed, *lines, *(head for head in headings(text) if not any(_holds(head, line) for line in lines))]
    if tagged:
        found = [r for r in found if not any(_holds(tag, r) for tag in tagged)] + tagged
    if len(found) > 1:  # a label on the line of a box is ordered directly after that box
        found.sort(key=lambda region: -_place(region, boxed))
    yield from (region for region in found if region is not last)
    yield from (label for label in labelled if label.sort == "phrase")


def _may_follow(tail: str) -> bool:
    """Whether an answer line may begin in what comes after a box."""
    return bool(tail.strip(_AROUND)) and ("####" in tail or may_follow(tail))


_AROUND = " \t\r\n.$)]}\\*_`"


def _place(region: Region, boxed: list[Region]) -> int:
    """The position of a region for ordering: one that shares its place with a box counts as just before that box."""
    if not boxed:
        return region.end
    shared = [box.start for box in boxed if region.sort != "box" and (_holds(region, box) or _holds(box, region))]
    return min(shared, default=region.end + 1) - 1


def _holds(region: Region, other: Region) -> bool:
    return region.start <= other.start and other.end <= region.end


_FALSE = r"(?:wrong|incorrect|false|impossible|not (?:right|correct|possible)|a mistake|an error)"
_SURELY = r"(?:clearly |actually |also |definitely |obviously )?"
_TAKEN_BACK = regex(
    rf"\b(?:wait|no|oops|hmm+|sorry|hold on|actually)\b[^\n]{{0,60}}?"
    rf"\b(?:{_FALSE}|n['’]t (?:right|correct)|mistake|error)\b"
    rf"|\b(?:that|this|it|which|the above|(?:my|that|this) (?:answer|result))"
    rf"(?:['’]s| (?:is|was|looks|seems|can(?:no|'|’)t be|must be|would be)) {_SURELY}{_FALSE}\b"
    r"|\b(?:that|this|it) (?:is|was)n['’]t (?:right|correct)\b|\bscratch that\b|\bcorrection ?:|\bi was wrong\b"
    r"|\blet me (?:redo|correct|fix|start over|try again)\b"
    r"|不对|错了|有误|\bdas (?:ist|war) falsch\b|\bc['’]est faux\b|\b(?:eso|esto) (?:es|está) (?:incorrecto|mal)\b",
    re.IGNORECASE,
)
_CORRECTED = regex(
    r"(?<!if )(?<!when )\bi(?: have|['’]ve)? made (?:a|an|some) (?:\w+ )?(?:mistake|error)\b"
    r"|\bmy (?:mistake|bad|apologies)\b"
    r"|(?<!if )\bi (?:mis(?:count|read|calculat|comput|understood|interpret|add|copi|took|stat)\w*"
    r"|was mistaken|apologi[sz]e)\b"
    r"|\bno,? wait\b|\bwait,? no\b|\boops\b|\b(?:no|sorry|wait|er+|uh),? i meant?\b|\bon second thought"
    r"|\b(?:actually|sorry),?(?= (?:the|my) (?:correct |right |final )?answer (?:is|should be)\b)"
    r"|\bi forgot (?:to (?!mention|say|note|tell|add that|explain)|the|that|about)\b|\bactually,? no\b"
    r"|\bactually,?(?= (?:it|that)(?:['’]s| is| should be| must be) [-−$\\(*]{0,4}(?:\d|[b-j]\b|boxed))",
    re.IGNORECASE,
)
"""Words before another answer; without one, they retract nothing."""
_WRONG = regex(
    rf"[\s$)\\*_]{{0,6}}(?:is|was|would be|can(?:no|'|’)t be) {_SURELY}{_FALSE}\b",
    re.IGNORECASE,
)
_UPHELD = regex(
    r"\b(?:(?:it|that|this|which|answer|result|everything|all|calculation|reasoning|above)(?:['’]s| (?:is|was))"
    r"|indeed|yes,?(?: \w+){0,3}) (?:indeed |in fact |actually |all )?(?:correct|right|fine)\b"
    r"|\bcorrect after all\b",
    re.IGNORECASE,
)
_HINTS = (
    *("wrong", "false", "possible", "right", "correct", "mistake", "error", "scratch", "redo", "fix", "over", "again"),
    *("wait", "oops", "forgot", " mean", "i mis", "apolog", "my bad", "second thought", "actually", "sorry"),
    *("不对", "错了", "有误", "falsch", "faux", "mal"),
)
"""Every retraction contains one of these."""
REACH = 240
"""Number of characters after an answer that are searched for a retraction."""


def taken_back(text: str, end: int) -> tuple[int, bool] | None:
    """The position after a retraction of what the reply said up to `end`; `None` if it does not retract it.

    With it, whether the retraction holds even if no other answer follows.
    """
    rest = text[end : end + 40]
    if not rest.strip(_AROUND):
        return None
    end += len(rest) - len(rest.lstrip(_AROUND))
    stop = min(len(text), end + REACH)
    near = text[end:stop].lower()
    if not any(hint in near for hint in _HINTS):
        return None
    wrong = _WRONG.match(text, end)
    if wrong is not None:
        return wrong.end(), True
    first = sentence_end(text, end, stop)
    second = sentence_end(text, min(first + 1, stop), stop)
    retracted = _TAKEN_BACK.search(text, end, min(second + 1, stop))
    match = retracted or _CORRECTED.search(text, end, min(second + 1, stop))
    if match is None or _UPHELD.search(text, match.end(), min(len(text), match.end() + REACH)):
        return None
    return match.end(), retracted is not None
