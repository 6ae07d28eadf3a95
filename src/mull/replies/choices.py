"""Letters of a multiple choice, from answers and prose; not pronouns, articles or one of several letters."""

from __future__ import annotations

import re
from itertools import islice

from mull.equal.patterns import regex
from mull.replies.text import bare, clause, flat, is_unknowable, sentences_backwards, without_reason

N_SENTENCES, N_NEAR = 12, 3
"""Number of final sentences searched for a choice, and for a letter that stands without any phrase."""

_NOUN = r"(?:options?|choices?|letters?|answers?|alternatives?|antwort|option|opción|réponse|respuesta|选项|选择|选)"
_LEAD = regex(
    rf"(?:(?:the|die|la)\s)?(?:(?:correct|right|best|final|richtige|bonne)\s)?{_NOUN}\s?[:*]?\s?(?:is\s)?",
    re.IGNORECASE,
)
_BRACKETED = regex(r"[\[(<{\"']{1,3}\s?([A-Za-z])\s?[\])>}\"']{1,3}(?![A-Za-z0-9])")
_FIRST = regex(r"([A-Z])(?![A-Za-z0-9_'])|([a-z])(?=\s?(?:$|[.:)\]]))|([b-h])(?=\s(?:because|since|as|is)\b)")
_ALONE = regex(r"(?<![A-Za-z0-9_'.^\\-])([A-J])(?![A-Za-z0-9_'^])")
_ALONE_BRACKETED = regex(r"(?<![A-Za-z0-9])[\[(]\s?([A-Ja-j])\s?[\])]")
_SECOND = regex(
    r"\s*(?:,|;|/|&|\+|,?\s?\b(?:and|or|und|oder|et|ou|y|o)\b|和|或|与)\s*"
    rf"(?:{_NOUN}\s|both\s|also\s|maybe\s)?[\[(]?([A-Z])[\])]?(?![A-Za-z0-9'])",
    re.IGNORECASE,
)
_ANOTHER = regex(r"(?:\b(?:and|or|und|oder|et|ou|y|o)|[,/&])\s*[\[(]?([A-J])[\])]")
_WORD_AFTER = regex(r"\s+([a-z]+)")
_VERBS = set(
    "is was are because since and or as with which it seems must would looks has fits und ist weil est y es".split()
)
_BUT = regex(
    r"\bnot\s(?:option\s|choice\s)?[\[(]?[A-Z][\])]?"
    r"(?:[,;]?\s(?:but|it(?:\sis|['’]s)|the\sanswer\sis)\s(?:rather\s)?|[^.;\w][^.;]{1,60};\s(?:it|the\sanswer|that)(?:['’]s|\sis|\smust\sbe)\s)",
    re.IGNORECASE,
)
_NOT_THAT = regex(
    r",?\s(?:(?:and|und)\s)?(?:not|nicht|non|rather\sthan|instead\sof)\s[^,;]{1,60}$|[,，。]?\s?不是[^,;]{1,60}$",
    re.IGNORECASE,
)
_BESIDE = regex(r"[,;]\s(?:it|that|this|but|while|though|although|and\sit|so\sit)\b", re.IGNORECASE)
_DENIED = regex(
    r"\b(?:not|never|neither|nor|except|nicht)\b|n't\b|不是|不选|\b(?:in)?correct\sis\snot\b", re.IGNORECASE
)


def choice(text: str) -> str | None:
    """The letter of an answer, as a capital; `None` if it has none, or more than one."""
    text = bare(clause_of(_BUT.sub("", flat(text))))
    if not text:
        return None
    first = _at_start(text)
    if first is not None:
        return first or None
    text = _NOT_THAT.sub("", text)
    lead = _LEAD.match(text)
    if lead is not None and (first := _at_start(bare(text[lead.end() :]))) is not None:
        return first or None
    if _DENIED.search(text) or is_unknowable(text):
        return None
    letters = _letters(text)
    return letters.pop() if len(letters) == 1 else None


def speaks_of_letters(text: str) -> bool:
    """Whether an answer mentions letters of a choice, even if not exactly one."""
    text = bare(flat(text))
    return bool(_letters(text)) or _at_start(text) is not None


def clause_of(text: str) -> str:
    """The text up to the next clause, if a letter comes before that."""
    main = clause(text)
    if (beside := _BESIDE.search(main)) is not None and not _DENIED.search(main[: beside.start()]):
        main = main[: beside.start()]
    return main if _ALONE.search(main) or _ALONE_BRACKETED.search(main) or _FIRST.match(bare(main)) else text


def _at_start(text: str) -> str | None:
    """The letter at the start of a text: empty if a second one follows, `None` if there is no letter at the start."""
    bracketed = _BRACKETED.match(text)
    match = bracketed or _FIRST.match(text)
    if match is None:
        return None
    found = next(group for group in match.groups() if group)
    if bracketed is None and found in "AI" and not _is_letter(text, match.end()):
        return None
    second = _SECOND.match(text, match.end())
    if second is not None and second[1].upper() != found.upper() and (second[1].isupper() or "(" in second[0]):
        is_another = second[1] not in "AI" or "(" in second[0] or _is_letter(text, second.end())
        return "" if is_another else found.upper()
    others = {other[1].upper() for other in _ANOTHER.finditer(text, match.end())}
    return "" if others - {found.upper()} else found.upper()


def _is_letter(text: str, end: int) -> bool:
    """Whether an A or I ending here is a letter rather than an article or pronoun, which a word follows."""
    after = _WORD_AFTER.match(text, end)
    return after is None or after[1] in _VERBS


def _letters(text: str) -> set[str]:
    """The letters that stand alone in a text, as capitals."""
    found = {match[1].upper() for match in _ALONE_BRACKETED.finditer(text)}
    for match in _ALONE.finditer(text):
        if match[1] != "I" and (match[1] != "A" or _is_letter(text, match.end())):
            found.add(match[1])
    return found


_CORRECT = regex(
    r"(?<![A-Za-z0-9_'.])[\[(]?([A-J])[\])]?(?:[:.]?\s\([^()]{1,40}\)|[:.]\s[^.;]{1,40}?)?\s(?:is|must\sbe|has\sto\sbe|would\sbe|seems|ist|est|es)\s"
    r"(?:(?:the|clearly|most|likely|only|also|probably|my|die|la|therefore|thus)\s){0,3}"
    r"(?:correct|right|best|true|final|answer|option|choice|richtig|korrekt|correcta?|juste)\b"
    r"|(?<![A-Za-z0-9])([A-J])\s?(?:选项)?(?:是|为)?(?:最)?(?:正确|对的)"
)
_RULED_OUT = regex(
    r"\b(?:incorrect|wrong|false|eliminat\w+|rul\w{1,3} out|exclud\w+|discard\w*|reject\w*)\b", re.IGNORECASE
)
_NONE_OF = regex(r"\b(?:neither|nor|none\sof)\b", re.IGNORECASE)
_CHOSEN = regex(
    r"(?:\b(?:choose|choosing|chose|pick|select|selected|go\swith|going\swith|went\swith|options?|choice|say|prefer|guess|opt\sfor"
    r"|vote\sfor|wähle|choisis|elijo)|选(?:择|项)?)[\s:*\"'(\[]{0,4}(?:(?:is|option|letter|answer|choice|with|for)[\s:*\"'(\[]{1,4}){0,2}"
    r"([A-J])(?![A-Za-z0-9_'])",
)
_LEFT = regex(
    r"\b(?i:so|hence|thus|therefore|leaving|leaves|then|also|it's|(?:it|answer)\s(?:is|must\sbe|has\sto\sbe)|think|believe)"
    r"[\s,:(\[]{1,4}(?:it(?:'s|\sis|\smust\sbe)\s)?([A-J])[\])]?\W*$"
)
_LISTED = regex(
    r"[\s*_\-]*[\[(]?([A-Ja-j])(?:[\])](?!\s(?:is|was|isn['’]t|must|cannot|can['’]t|would|seems|and|or)\b)|[.:](?=\s|$)|[*_]*\s*$)"
)


def stated(text: str) -> str | None:
    """The letter that one of the last sentences of a reply states as its choice."""
    sentences = [bare(flat(sentence)) for sentence in islice(sentences_backwards(text), N_SENTENCES)]
    following: str | None = None
    for sentence in sentences:
        listed = _LISTED.match(sentence)
        if listed is not None:
            # Several in a row are the options of the question.
            if following is not None and following != listed[1].upper():
                return None
            following = listed[1].upper()
            continue
        if following is not None:
            return following
        if is_unknowable(sentence):
            return None
        if (found := _stated(sentence)) is not None:
            return found or None
    return following or _opening(text) or _mentioned(sentences[:N_NEAR])


def _opening(text: str) -> str | None:
    """The letter at the start of a reply, on a line of its own or before a full stop or bracket."""
    listed = _LISTED.match(bare(flat(text.lstrip()[:200].partition("\n")[0])))
    return listed[1].upper() if listed is not None else None


def _mentioned(sentences: list[str]) -> str | None:
    """The only letter in the last sentence that mentions one and does not deny it."""
    for sentence in sentences:
        sentence = _NOT_THAT.sub("", _BUT.sub("", sentence))
        letters = _letters(sentence)
        if letters and not _DENIED.search(sentence) and not _RULED_OUT.search(sentence):
            return letters.pop() if len(letters) == 1 else None
    return None


def _stated(sentence: str) -> str | None:
    """The letter that a sentence states as its choice: empty if it denies all letters, `None` if it states none."""
    sentence = _NOT_THAT.sub("", _BUT.sub("", sentence))
    if _NONE_OF.search(sentence):
        return ""
    for pattern in (_CORRECT, _CHOSEN, _LEFT):
        matches = list(pattern.finditer(sentence))
        if not matches and pattern is _LEFT:
            matches = list(pattern.finditer(without_reason(sentence)))
        if matches and not _DENIED.search(matches[-1][0]):
            last = matches[-1]
            found = last[1] or last[2] if pattern is _CORRECT else last[1]
            if found != "A" or _is_letter(sentence, last.end(1)) or pattern is _CORRECT:
                return found
    return None
