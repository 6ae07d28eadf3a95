"""Labels and phrases that introduce an answer, in several languages: `Answer: 5`, `the answer is 5`, `答案是5`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mull.equal.patterns import regex
from mull.replies.marks import N_REGIONS, Region, Sort, backwards
from mull.replies.text import MAX_REGION, sentence_end

ENGLISH = ("answer", "solution is", "result")
LATIN = (
    "antwort",
    "réponse",
    "reponse",
    "respuesta",
    "resposta",
    "risposta",
    "lösung",
    "loesung",
    "solución es",
    "solution est",
    "ergebnis",
    "resultado",
    "résultat",
)
"""German, French, Spanish, Portuguese and Italian, which write the decimal point as a comma."""
OTHERS = ("答案", "正解", "答え", "正确选项", "正确的选项", "正确的是", "정답", "답", "ответ", "答", "选", "選", "结果")
"""Chinese, Japanese, Korean, Russian."""
_WORDS = (*ENGLISH, *LATIN, *OTHERS)
_ASCII = tuple(word for word in LATIN if word.isascii())
_STEPS = ("result", "resultado", "résultat")
"""Words that label the final answer on a line of their own, but usually an intermediate step in a sentence."""

_SURE = r"(?:therefore|thus|hence|indeed|clearly|simply|also|actually|most likely|likely|probably|definitely|certainly)"
_MARKUP = r"[\s*_`\"')\]}」】]{0,12}"
_COLON = r"(?P<colon>-{1,2}>|=>|[:：=]|→|⇒|(?<=\s)[-–—](?=\s))"
_COPULA = (
    r"(?:is|are|was|be|would be|will be|should be|must be|has to be|equals|comes (?:out )?to|becomes|remains"
    r"|ist|lautet|beträgt|wäre|sind|est|sont|es|son|sería|è|é)"
)
_AFTER = regex(
    r"(?:s|['’]s)?(?:\s(?:choice|option|key|letter|value|line|correcte?a?|finale?))?"
    r"(?:\s(?:to|for|of|in|as|from|with|rounded|auf|à|a|de|der)\s[^:：=\n.?!]{1,80}?)?"
    rf"(?:{_MARKUP}(?:\([^()\n]{{1,40}}\)[\s*_]{{0,4}})?{_COLON}"
    rf"|[\s*_]{{1,6}}{_COPULA}\b[\s*_`\"]{{0,4}}(?P<is_colon>[:：])?"
    r"|['’]s\s)",
    re.IGNORECASE,
)
_AFTER_IS = regex(r"(?P<colon>[:：])?\s{0,4}")
_AFTER_CJK = regex(
    r"[\s*_】」\]]{0,6}(?:应该|应当|应|就|只能)?(?:(?P<colon>[:：=])|(?:是|为|選|选|等于|は|은|는|이|—|-))[\s*_]{0,4}(?P<is_colon>[:：])?"
    r"|(?P<bracket>】|\])"
)
_AFTER_CHOOSE = regex(r"(?:择|项)?\s?[:：]?\s?(?=[(（\[【*]{0,4}[A-Za-zＡ-Ｊ](?![A-Za-z]))")
_FILLER = regex(
    rf"(?:[\s*_,:：`]{{0,6}}(?:{_SURE}|for sure|given by|as follows|equal to|daher|donc|por lo tanto"
    r"|(?:(?:the|my|our) )?(?:(?:final|correct|right|best) )?(?:answer|option|choice) ?(?:is|would be|must be|:))"
    r"(?![a-z])[\s*_,:：]{0,4}){1,4}",
    re.IGNORECASE,
)
_LINE_END = regex(r"[\s*_:：#`)】\]}=\\]{0,12}\n(?:[-=]{3,40} *\n)?")
_DRESS = regex(r"(?:\n\s{0,8}>\s|[\s*_:：`}]|</?(?:b|strong|i|em|u|p|br|span)\s?/?>)*")
_BULLET = regex(r"[-*•]\s{1,3}(?=\S)|\n\s{0,8}[-*•]\s{1,3}(?=\S)")
_LINE_BEFORE = regex(
    r"[\s*_#>`{\"'\-\d.)(\[【\\]{0,16}(?:(?:the|my|so|and|thus|therefore|hence|die|la|le|el|your|finale?|endgültige|richtige"
    r"|correct|right|bonne|最终|正确|所以|因此|textbf|text|boxed)[\s*_,{]{0,4}){0,4}",
    re.IGNORECASE,
)
_ANOTHERS = set(
    (
        "this your any another each every wrong incorrect no possible previous first whose student's students what "
        "which"
    ).split()
)
"""Words before a label that attribute the answer to someone else or to another question."""
_OURS = {"the", "that", "my", "our", "your"}
_ADJECTIVES = {"final", "correct", "right"}
_ASIDES = set(
    (
        "if whether when suppose assuming unless check checking verify verifying confirm validate simplify interpret "
        "write down express give state enter put provide"
    ).split()
)
"""Words before `the answer` that mention it without stating it."""
_FINAL = (". final ", ".** final ", ") final ", "! final ")
_SHORT = regex(r"\n[ \t*_]{0,6}(?:A[*_]{0,3} ?[:：]|(?:Ans|ANS|ans)[*_]{0,3} ?[:.：=])[ \t*_]{0,4}(?=\S)")
_OPTION = regex(r"\n[ \t*_]{0,6}B[*_]{0,3} ?[:.]")


def labels(text: str) -> Iterator[Region]:
    """The regions after labels of an answer, last first: lines and phrases."""
    lowered = text.lower() if text.isascii() else text.replace("İ", "I").lower()
    # Other languages are searched only if English has no label, to save time.
    for words in (ENGLISH, _ASCII if text.isascii() else (*LATIN, *OTHERS)):
        is_found = False
        for at in backwards(lowered, words):
            if (region := _labelled(text, lowered, at)) is not None:
                is_found = True
                yield region
        if is_found:
            return
    yield from _shortly(text)


def may_follow(tail: str) -> bool:
    """Whether a label may begin in the rest of a text: `False` only where none can."""
    lowered = tail.lower()
    return any(word in lowered for word in _WORDS) or _SHORT.search(tail) is not None


def _shortly(text: str) -> list[Region]:
    """The region after the last `A:` or `Ans.` that begins a line, unless it is the first of several options."""
    begin = max(0, len(text) - MAX_REGION)
    tail = text[begin:] if begin else "\n" + text
    starts = [match.end() for match in _SHORT.finditer(tail)]
    if not starts or _OPTION.search(tail) is not None:
        return []
    start = starts[-1] + (begin or -1)
    end = sentence_end(text, start)
    return [Region("line", start, end, text[start:end])]


def _labelled(text: str, lowered: str, at: int) -> Region | None:
    """The region after a label whose word ends here; `None` if it is not a label, empty at the end of the reply."""
    word_at = next(at - len(word) for word in _WORDS if lowered.endswith(word, 0, at))
    word = lowered[word_at:at]
    is_cjk = word[-1] > "\u2e7f"
    if not is_cjk and _is_another(lowered, word_at):
        return None
    line_at = lowered.rfind("\n", 0, word_at) + 1
    if lowered.endswith(_FINAL, 0, word_at) and lowered.startswith(":", at):
        line_at = word_at  # marked as a label, wherever it is in the line
    begins = _LINE_BEFORE.fullmatch(lowered, max(line_at, word_at - 60), word_at) is not None
    after = _announced(word, lowered, at)
    alone = _LINE_END.match(lowered, at) if begins else None
    if alone is not None:
        start, sort = alone.end(), "line"
    elif after is None:
        return None
    else:
        start, sort = after.end(), "line" if any(after.groups()) and (begins or is_cjk) else "phrase"
    quote = text[at : at + 1]
    if (
        after is not None
        and quote in ("'", '"')
        and text[word_at - 1 : word_at] in (quote, "_")
        and "{" in text[:word_at]
    ):
        value = _JSON_VALUE.match(text, start)
        if value is not None:
            return Region("line", word_at, value.end(), _unescaped(value[0].strip()))
    if sort == "phrase" and word in _STEPS and "final" not in lowered[word_at - 7 : start]:
        return None
    filler = _FILLER.match(text, start)
    start = start if filler is None else filler.end()
    dress = _DRESS.match(text, start)
    bullet = _BULLET.match(text, dress.end()) if dress is not None else None
    if bullet is not None and "\n" in text[at : bullet.start()]:
        return _bullets(text, word_at, bullet.end())
    start = start if dress is None else dress.end()
    end = sentence_end(text, start)
    if not text[start:end].strip(" \t\r*_`.\"'"):
        return None if text[end:].strip(" \n*_`.") else Region("line", word_at, end, "")
    kept: Sort = "line" if sort == "line" else "phrase"
    return Region(kept, word_at, end, text[start:end], (), word in LATIN or word == "ответ")


def _is_another(lowered: str, word_at: int) -> bool:
    """Whether the label that begins here is part of another word, or belongs to an answer that is not the reply's."""
    before = lowered[max(0, word_at - 40) : word_at]
    if before[-1:] == "_" and before[-2:-1].isalpha():
        return not before.endswith("final_")
    if before[-1:].isalpha():
        return True
    if "\n" in before:
        before = before[before.rindex("\n") :]
    words = before.split()
    if words and words[-1] in _ADJECTIVES:
        words.pop()
    if not words or words[-1] in _ANOTHERS:
        return bool(words)
    if words[-1] not in _OURS or len(words) < 2:
        return False
    return words[-2] in _ASIDES or (words[-2] == "that" and words[-3:-2] in (["check"], ["verify"]))


def _bullets(text: str, word_at: int, start: int) -> Region:
    """A bulleted list on consecutive lines as one answer."""
    items = []
    while True:
        end = sentence_end(text, start)
        items.append(text[start:end].strip())
        following = _BULLET.match(text, text.find("\n", end)) if "\n" in text[end : end + 3] else None
        if following is None or len(items) >= N_REGIONS:
            return Region("line", word_at, end, ", ".join(items))
        start = following.end()


def _announced(word: str, lowered: str, at: int) -> re.Match[str] | None:
    """The colon or verb between a label's word and the answer."""
    if word in ("选", "選"):
        return _AFTER_CHOOSE.match(lowered, at) or _AFTER_CJK.match(lowered, at)
    if word[-1] > "\u2e7f":
        return _AFTER_CJK.match(lowered, at)
    return (_AFTER_IS if " " in word else _AFTER).match(lowered, at)


_JSON_VALUE = regex(r"""\s{0,3}(?:"(?:[^"\\\n]|\\.){0,900}"|'[^'\n]{0,900}'|[^,}\]\n"']{1,300})""")


def _unescaped(value: str) -> str:
    """The text of a JSON value: the content of a string, anything else unchanged."""
    try:
        return str(json.loads(value)) if value[:1] == '"' else value
    except ValueError:
        return value
