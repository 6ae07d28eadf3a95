"""The visible part of a reply: the text outside its thoughts, in the notation of any family of models."""

from __future__ import annotations

import re
from typing import NamedTuple

from mull.equal.patterns import regex


class Spoken(NamedTuple):
    """The part of a reply outside its thoughts; `is_open`: its last thought never ended."""

    text: str
    is_open: bool


def said(reply: str) -> Spoken | None:
    """The part of a reply outside its thoughts, however they are delimited; the whole reply if it has none.

    Text before a closing delimiter without an opening one is thought too (a chat template opened it), unless only space
    follows the delimiter, which is then ignored. `None` if nothing is outside: a thought that never ended, or channels
    without a final one.
    """
    has_tags = "<" in reply
    if (has_tags and "<|message|>" in reply) or reply.startswith(("analysis", "assistantfinal")):
        return _final(reply)
    if _THOUGHT_TOLD.match(reply) is not None:
        answer = _ANSWER_TOLD.search(reply)
        return None if answer is None else Spoken(reply[answer.end() :], False)
    pattern = _TAGGED if reply.rfind("THINK]") < 0 and "◁" not in reply else _MARK
    if pattern is _TAGGED and not has_tags:
        return Spoken(reply, False)
    pieces: list[str] = []
    before: list[str] = []
    is_open, at, is_first = False, 0, True
    for mark in pattern.finditer(reply):
        start = mark.start()
        if reply[start - 1 : start] == "`":
            continue
        if not is_open and (piece := reply[at:start]).strip():
            pieces.append(piece)
        if mark.lastgroup == "open":
            is_open = True
        else:
            if not is_open and (pieces or is_first):
                before, pieces = [] if is_first else pieces, []
            is_open = False
        is_first, at = False, mark.end()
    if is_first:
        return Spoken(reply, False)
    if not is_open and reply[at:].strip():
        pieces.append(reply[at:])
    text = "\n".join(pieces or before)
    return None if is_open and not text else Spoken(text, is_open)


def spoken(reply: str) -> str | None:
    """The text of `said`."""
    found = said(reply)
    return None if found is None else found.text


_THOUGHT_TOLD = regex(r"\s{0,8}Here(?:['’]s| is) my thought process:")
_ANSWER_TOLD = regex(r"\bHere(?:['’]s| is) my response:")
"""The words between which models of the Granite family think."""
_TAGS = "think|thinking|thought|thoughts|reasoning|reason|reflection|analysis|scratchpad|seed:think|internal_monologue"
_OPENS = (
    "[THINK]",
    "◁think▷",
    "<|begin_of_thought|>",
    "<|START_THINKING|>",
    "<|inner_prefix|>",
    "<|channel>thought",
    "<unused94>thought",
    "<|im_start|>think",
    "<|think|>",
    "<|thinking|>",
)
_CLOSES = (
    "[/THINK]",
    "◁/think▷",
    "<|end_of_thought|>",
    "<|END_THINKING|>",
    "<|inner_suffix|>",
    "<channel|>",
    "<unused95>",
    "<|im_start|>answer",
    "<|/think|>",
    "<|/thinking|>",
    "</|think|>",
    "</|thinking|>",
)


def _either(marks: tuple[str, ...]) -> str:
    """A pattern of these marks without their first letters, which the caller matches first."""
    return "|".join(re.escape(mark[1:]) for mark in marks)


_BEHIND = rf"(?:(?P<open>(?i:{_TAGS})>|{_either(_OPENS)})|(?P<close>/(?i:{_TAGS})>|{_either(_CLOSES)}))"
_TAGGED = regex("<" + _BEHIND)
_MARK = regex(r"[<\[◁]" + _BEHIND)
_CHANNEL = regex(r"(?:^|<\|channel\|>|<\|start\|>|\s)\s{0,3}(?:assistant\s{0,3}<\|channel\|>)?(\w{1,40})[^<>\n]{0,40}$")
_CHANNEL_END = regex(r"<\|(?:end|return|call|start|channel|endoftext)\|>")
N_MESSAGES = 64
"""Number of final messages of a reply that are searched for one in the final channel."""
_PLAIN_FINAL = "assistantfinal"
_PLAIN_ANALYSIS = regex(r"analysis(?=[A-Z])")


def _final(reply: str) -> Spoken | None:
    """The last message of the final channel, also if a server has hidden the special tokens of the channels."""
    at = len(reply)
    for _ in range(N_MESSAGES):
        at = reply.rfind("<|message|>", 0, at)
        if at < 0:
            break
        head = reply[max(0, at - 120) : at].replace("<|constrain|>", " ")
        channel = _CHANNEL.search(head)
        if channel is not None and channel[1] == "final":
            start = at + len("<|message|>")
            end = _CHANNEL_END.search(reply, start)
            return Spoken(reply[start : end.start() if end else len(reply)], False)
    if "<|message|>" in reply:
        return None
    _, ended, after = reply.rpartition(_PLAIN_FINAL)
    if ended:
        return Spoken(after, False)
    return None if _PLAIN_ANALYSIS.match(reply) else Spoken(reply, False)
