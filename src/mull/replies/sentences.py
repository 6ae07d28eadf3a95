"""Names and short texts out of sentences: `The capital of France is Paris.` answers `Paris`.

What a sentence says is told from what it repeats of the question: a part that says no more than the question is not
the answer, and what stands beside it is. The gold answer is not known here, so that votes are read as grades are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from mull.equal.patterns import regex
from mull.replies import dates
from mull.replies.text import bare, flat, is_unknowable, sentences_backwards, without_reason

N_SENTENCES, MOST_WORDS, LONGEST_QUESTION = 12, 8, 600
"""Sentences of a reply that are looked at, words of a short answer, and characters of a question that are compared."""

_WORD = regex(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_FUNCTION = frozenset(
    (
        "a an the of in on at by to for from with and is are was were be been being has have had do does did it its "
        "this that these those he she they his her their there who whom whose what which when where why how as "
        "i you we your my our me us please answer question one also commonly usually people known called named "
        "official officially currently would can could will should than into about indeed correct right simply actually"
    ).split()
)
"""Words that say nothing by themselves about which answer is meant."""
_IRREGULAR = dict(
    pair.split("=")
    for pair in (
        "wrote=write written=write won=win built=build began=begin begun=begin made=make held=hold led=lead sang=sing "
        "sung=sing gave=give given=give took=take taken=take fell=fall fallen=fall flew=fly born=birth died=death "
        "found=find became=become spoke=speak spoken=speak drew=draw drawn=draw author=write painter=paint "
        "inventor=invent discoverer=discover largest=big biggest=big highest=high tallest=high movie=film "
        "winner=win speaker=speak"
    ).split()
)
_LEAD = regex(
    r"\s*(?:(?:so|thus|therefore|hence|well|ok|okay|sure|certainly|of course|great question|right|and|in fact|actually"
    r"|in conclusion|to conclude|in short|in summary|finally|clearly|yes|no)\b[,:.!]?\s"
    r"|(?:i|we)\s(?:think|believe|know|guess|would say|am (?:quite |pretty |fairly )?(?:sure|certain)|say)\s(?:that\s)?"
    r"|(?:i|we)(?:'m| am) (?:quite |pretty |fairly )?(?:sure|certain|confident)\s(?:that\s)?"
    r"|(?:we|you) (?:can )?(?:know|see|conclude) that\s|it (?:is|was) (?:well[- ])?known that\s)+",
    re.IGNORECASE,
)
_NOT_BUT = regex(r"\bnot\s[^,;.]{1,60}?,?\sbut(?:\srather)?\s", re.IGNORECASE)
_NOT_THAT = regex(r"(?:,\s|,?\sand\s)not\s[^,;]{1,80}$|,?\s(?:rather than|instead of)\s[^,;]{1,80}$", re.IGNORECASE)
_NOT = regex(r"\b(?:not|never|neither|nor|no longer|cannot|without|except)\b|n['’]t\b", re.IGNORECASE)
_HEDGED = regex(
    r"\b(?:(?:some|many|most|people|others)\s(?:people\s)?(?:say|think|believe|claim|assume)|used to be|formerly|until"
    r"|(?:may|might|could) be|(?:mis)taken for|often confused|commonly (?:thought|believed)|mistakenly)\b",
    re.IGNORECASE,
)
_CLAUSE = regex(
    r"(?:,\s|\s[-–—]\s|\s\(|;\s)(?:which|who|whose|where|when|while|whereas|although|though|but|and\s(?:it|he|she|they|is|was)"
    r"|so|as|it|he|she|they|known|located|situated|making|with|from|the\s(?:answer|correct)|(?-i:[a-z]+ing))\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_BRACKETS = regex(r"\s\([^()]{1,120}\)")
_COPULA = regex(
    r"(?<=\s)(?:is|are|was|were|be|been|remains|became|becomes)\s|(?<=[A-Za-z])['’]s\s(?=[A-Z])|(?<=\b[Ii]t)['’]s\s"
    r"|(?<=[Tt]hat)['’]s\s|\s?:\s",
)
_NAMED = regex(r"^(?:[^,;]{0,60}\s)?(?:called|named|known\s(?:simply\s)?as)\s(?:the\s(?=[A-Z]))?", re.IGNORECASE)
_DONE_BY = regex(r"^(?:[\w-]+(?:ed|en|wn|nt|lt|un|und|ought|aught|ade|old|et|ut)\s)?(?:by|on|in|at|from|as)\s")
_YEARS = regex(r"\s(?:between|around|about|in|since|from|circa|c\.)\s(?:the\s)?(?:early\s|late\s)?\d.*$", re.IGNORECASE)
_USUALLY = regex(
    r"^(?:usually|generally|typically|mostly|often|normally|primarily|definitely|most likely|likely|probably)\s"
)
_AT_FIRST = regex(r"^[Ii]n\s(?:the\s(?:year\s)?)?\d{3,4},\s")
_MARKER = regex(r"^\s*(?:(?:[-*+•>–]|\d{1,2}[.)])\s+)+")
_SYMBOLS = regex(r"[\s\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]+$")
_DOER = regex(r"^(?:He|She|They)\s")
_DID_IT = regex(r"^(.{1,60}?)\sdid(?:\s(?:so|it|that))?\W*$")
_BY = regex(r"\b([a-z]+)\sby\s(?=[A-Z])")
_DID = regex(r"\s(?:did(?:\sit)?|is|was|does|are|were)$", re.IGNORECASE)
_PLACED = regex(r"^(?:in|on|at|by|from)\s(?=\S)", re.IGNORECASE)
_ASKED = regex(r"[^?\n]{1,600}\?")
_WHEN = regex(r"\b(?:when|what day|(?:what|which|on what) date|date)\b", re.IGNORECASE)
_EDGES = " \t\r\n.,;:!?\"'“”‘’*_`()"


def short_answer(text: str, question: str) -> str | None:
    """The short text that a reply, or its last lines, gives as the answer to a question; `None` where none is told."""
    if not any(map(str.isalpha, text)):
        return None  # figures and signs alone are no sentence
    known, is_when = _asked(question[-4 * LONGEST_QUESTION :])
    told: list[tuple[int, str | None]] = []
    sentences = list(islice(sentences_backwards(text), N_SENTENCES))
    for i, sentence in enumerate(sentences):
        shown = plain(sentence)
        if not shown or shown.endswith("?") or is_unknowable(shown):
            continue
        if shown.endswith(":"):
            found = _announced(shown, sentences[i - 1] if i else "", known)
        else:
            found = _said(shown, known, is_when)
        if found is not None and not (found[1] is None and told):
            told.append(found)
    if told:
        most = max(n for n, _ in told)
        answers = [answer for n, answer in told if n == most]
        first = answers[0]
        is_one = all(a is None or first is None or a.casefold() == first.casefold() for a in answers)
        return first if is_one or _concludes(sentences[0]) else None
    if len(sentences) == 2 and sentences[1].rstrip().endswith("?"):
        answer = plain(sentences[0]).strip(_EDGES)
        return answer if len(answer.split()) <= 5 and not _NOT.search(answer) else None
    return _opening(sentences[-1]) if len(sentences) > 1 else None


def _announced(sentence: str, following: str, known: frozenset[str]) -> tuple[int, str | None] | None:
    """How much of the question a sentence before a colon repeats, and the few words after it."""
    answer = plain(following).strip(_EDGES)
    return (len(_content(sentence) & known), answer) if 0 < len(answer.split()) <= 5 else None


def plain(line: str) -> str:
    """A line without the marker of a list, the words that only lead to what it says, and symbols behind it."""
    line = _SYMBOLS.sub("", bare(flat(_MARKER.sub("", line))).strip())
    lead = _LEAD.match(line)
    return line[lead.end() :] if lead is not None and lead.end() < len(line) else line


@lru_cache(maxsize=4096)
def reduced(text: str, question: str) -> str:
    """A canonical text without its first and last words that are the question's own, where anything else is left.

    Asked for an ocean, `pacific ocean` is `pacific`; of a choice between two that are both named, nothing is taken off.
    """
    # A number is never left off: it is a part of what it stands in, as in arithmetic.
    known = {word for word in _asked(question[-4 * LONGEST_QUESTION :])[0] if word.isalpha()}
    words = list(_WORD.finditer(text))
    if not known or len(words) < 2 or len(words) > MOST_WORDS:
        return text
    stems = [_stem(word[0]) for word in words]
    left = [i for i, stem in enumerate(stems) if stem not in known and stem not in _FUNCTION]
    if not left or not known & set(stems):
        return text
    first, last = 0, len(words) - 1
    if stems[0] in known:
        first = left[0]
    if stems[-1] in known:
        last = left[-1]
    return text[words[first].start() : words[last].end()] if first or last < len(words) - 1 else text


def _concludes(sentence: str) -> bool:
    return (
        re.match(r"\W*(?:so|thus|therefore|hence|in conclusion|finally|actually)\b", sentence, re.IGNORECASE)
        is not None
    )


def _opening(sentence: str) -> str | None:
    """The answer that a reply opens with, before it goes on: a few words without a verb."""
    words = plain(sentence).strip(_EDGES)
    if (
        not words
        or sentence.rstrip(" *_").endswith(("?", ":"))
        or len(words.split()) > 5
        or _NOT.search(words)
        or not words[:1].isalpha()
        or words[:1].islower()
    ):
        return None
    words = _DID.sub("", words)
    return (
        None
        if any(_stem(word) in ("is", "are", "was", "let", "think", "know", "see") for word in _words(words))
        else words
    )


def _said(sentence: str, known: frozenset[str], is_when: bool) -> tuple[int, str | None] | None:
    """How much of the question a sentence repeats, and what it answers; `None`: it tells nothing.

    The answer is `None` where the sentence denies something and affirms nothing.
    """
    sentence = _AT_FIRST.sub("", _BRACKETS.sub("", sentence))
    if _HEDGED.search(sentence) or _DOER.match(sentence):
        return None
    did = _DID_IT.match(sentence)
    if did is not None and not _NOT.search(sentence):
        return 1, did[1]
    n_known = len(_content(sentence) & known)
    if is_when and n_known and (date := dates.only_date(sentence)) is not None and not _NOT.search(sentence):
        return n_known, date
    sentence = _YEARS.sub("", without_reason(sentence).rstrip(_EDGES))
    affirmed = _NOT_THAT.sub("", _NOT_BUT.sub("", sentence, count=1))
    if _NOT.search(affirmed) or not affirmed.strip(_EDGES):
        return (n_known, None) if n_known or len(sentence.split()) <= MOST_WORDS else None
    is_marked = affirmed != sentence
    answer = _complement(affirmed, known)
    if answer is None and n_known:
        answer = _beside(affirmed, known)
    if answer is None and is_marked:
        answer = affirmed
    answer = None if answer is None else _trimmed(answer, known)
    if not answer or len(answer.split()) > MOST_WORDS:
        return None
    return n_known, answer


def _complement(sentence: str, known: frozenset[str]) -> str | None:
    """What stands on the other side of `is` from a part that repeats the question, or from a pronoun."""
    splits = [(sentence[: m.start()].strip(), sentence[m.end() :].strip()) for m in _COPULA.finditer(sentence)]
    for left, right in splits:
        if right and _repeats(left, known, may_point=True):
            return left if _is_named(left, right, known) else _after_verb(right, known)
    for left, right in reversed(splits):
        if left and _repeats(right, known, may_point=False):
            return left
    return None


def _is_named(left: str, right: str, known: frozenset[str]) -> bool:
    """Whether of two parts that both repeat the question the first is what it names: `Earth is bigger than Mars`."""
    content = _content(right)
    if not content or not content <= known or not _content(left):
        return False
    names = [all(word[:1].isupper() for word in _words(part) if _stem(word) not in _FUNCTION) for part in (left, right)]
    return len(_content(left)) < len(content) if names[0] == names[1] else names[0]


def _repeats(part: str, known: frozenset[str], *, may_point: bool) -> bool:
    """Whether a part of a sentence says what the question says: all of its words, or all but one of them."""
    content = _content(part)
    if not content:
        return may_point and bool(part.strip()) and len(part.split()) <= 4
    said = content & known
    return bool(said) and (len(content - known) <= (1 if len(said) > 1 else 0) or said == known)


def _after_verb(right: str, known: frozenset[str]) -> str:
    """The complement of `is` without the words that lead to it: `written by`, `a city called`."""
    named = _NAMED.match(right)
    if named is not None and right[named.end() :].strip():
        return right[named.end() :]
    by = _BY.search(right)
    if by is not None and _stem(by[1]) in known:
        return right[by.end() :]
    done = _DONE_BY.match(right)
    if done is not None and right[done.end() :].strip() and not (_content(right[done.end() :]) <= known):
        return right[done.end() :]
    return right


def _beside(sentence: str, known: frozenset[str]) -> str | None:
    """What is left of a sentence when the words of the question are taken off both its ends, if that is one end."""
    words = list(_WORD.finditer(sentence))
    is_known = [_stem(m[0]) in known or _stem(m[0]) in _FUNCTION for m in words]
    first = next((i for i, told in enumerate(is_known) if not told), None)
    if first is None:
        return None
    last = max(i for i, told in enumerate(is_known) if not told)
    outside = [m[0] for m in (*words[:first], *words[last + 1 :])]
    if not _content(" ".join(outside)) & known or last - first >= MOST_WORDS:
        return None
    inner = [is_known[i] and _stem(words[i][0]) in known for i in range(first, last + 1)]
    run = sentence[words[first].start() : words[last].end()]
    return None if any(inner) or _COPULA.search(run) else run


def _trimmed(answer: str, known: frozenset[str]) -> str:
    """An answer without a clause, brackets or an apposition that repeats the question."""
    answer = _CLAUSE.sub("", answer)
    answer = _USUALLY.sub("", _YEARS.sub("", _BRACKETS.sub("", answer))).strip(_EDGES)
    head, comma, rest = answer.partition(", ")
    if (
        comma
        and rest
        and (_content(rest) <= known or _repeats(rest, known, may_point=False))
        and _content(head) - known
    ):
        answer = head
    answer = _PLACED.sub("", answer) if len(answer.split()) <= MOST_WORDS else answer
    return answer.strip(_EDGES)


@lru_cache(maxsize=256)
def _asked(question: str) -> tuple[frozenset[str], bool]:
    """The words of what is asked, and whether it is a date: of the last sentence that asks, else of the last line."""
    asked = _ASKED.findall(question)
    last = asked[-1] if asked else question.strip().rpartition("\n")[2]
    return frozenset(_content(last[-LONGEST_QUESTION:])), _WHEN.search(last) is not None


def _words(text: str) -> Sequence[str]:
    return _WORD.findall(text)


def _content(text: str) -> set[str]:
    """The words of a text that say something, by their stems."""
    return {stem for word in _words(text) if (stem := _stem(word)) not in _FUNCTION}


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    """A word without its endings, roughly: two forms of one word should have one stem."""
    word = word.casefold().replace("’", "'").removesuffix("'s").rstrip("'.")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _FUNCTION:
        return word
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
