"""Yes or no out of replies; true and false are the same two answers."""

from __future__ import annotations

import re
from itertools import islice

from mull.equal.patterns import regex
from mull.replies.text import bare, flat, is_unknowable, sentences_backwards

_YES, _NO = ("yes", "yeah", "yep", "true", "correct"), ("no", "nope", "false", "incorrect")
_WORDS = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
_BEGINS = regex(
    r"\W*(yes|yeah|yep|true|correct|no|nope|false|incorrect)\b(?!\s(?:one|other|longer|matter|doubt|way|idea)\b)", re.I
)
_ENDS = regex(
    r"\b(?:is|are|be|answer|say|so|therefore|thus|hence|[:,])\W{1,6}(yes|true|correct|no|false|incorrect)\W*$", re.I
)
_DENIED = regex(r"\b(?:not|n't|neither)\W{1,4}(?:yes|true|correct|no|false|incorrect)\W*$", re.I)
_BOTH = regex(
    r"\b(?:yes|true)\W{1,3}(?:and|or)\W{1,3}(?:no|false)\b|\b(?:no|false)\W{1,3}(?:and|or)\W{1,3}(?:yes|true)\b", re.I
)
N_SENTENCES = 12


def yes_no(text: str) -> str | None:
    """`yes` or `no` for an answer that is one of them, or begins with one of them; `None` for any other."""
    text = bare(flat(text)).strip(" .,!")
    if _BOTH.search(text[:200]) or is_unknowable(text):
        return None
    if _DENIED.search(text):
        word = re.sub(r".*\W", "", text.casefold(), flags=re.DOTALL)
        return {"yes": "no", "no": "yes"}[_WORDS[word]] if word in _WORDS else None
    begun = _BEGINS.match(text) or _ENDS.search(text)
    return None if begun is None else _WORDS[begun[1].casefold()]


def stated(text: str) -> str | None:
    """What the last sentence that says yes or no says."""
    found: list[str] = []
    for sentence in islice(sentences_backwards(text), N_SENTENCES):
        if sentence.rstrip().endswith("?"):
            continue
        if is_unknowable(sentence):
            return found[0] if found else None
        if (said := yes_no(sentence)) is not None:
            found.append(said)
    return found[0] if found else None
