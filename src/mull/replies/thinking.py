r"""How models write a thought before their answer, and the pure functions that take one apart and put one together.

A reply of a thinking model is `open`, a thought, `close`, an answer:

    <think>\nb:a+45=9+45=54\n</think>\nanswer: 54

All that stops a thought early or makes it longer works on that text: it cuts the thought, adds to it (`again`), or
closes it (`closed`) and asks the model to go on. Nothing here draws; `mull.strategies.force` and its relatives do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from mull.equal.patterns import regex
from mull.errors import UnknownNameError, UsageError
from mull.types import Finish, Sample

Opener = Literal["model", "template", "caller"]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """How a family of models writes a thought.

    `open` and `close` are around it. `cue` begins an answer that is asked for where a thought was cut: it stands on a
    line of its own after `close`, without a space at its end, since most tokens begin with theirs. `opens` says who
    writes `open`: the `model` itself, the chat `template` before the reply begins, or the `caller`, where the model
    does neither. `stops` are the strings that end a draw inside the thought; none: `close` alone.
    """

    open: str
    close: str
    cue: str = "answer:"
    opens: Opener = "model"
    stops: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("open", "close"):
            if not getattr(self, name).strip():
                raise UsageError(f"the {name}ing delimiter of a thought must not be empty")
        if self.open == self.close:
            raise UsageError(f"a thought cannot open and close with the same delimiter {self.open!r}")

    @property
    def until(self) -> tuple[str, ...]:
        """`Params.stop` of a draw inside the thought."""
        return self.stops or (self.close,)

    @property
    def begin(self) -> str:
        """What a reply has to begin with for the model to think; empty where it or its template sees to that."""
        return self.open if self.opens == "caller" else ""


FAMILIES = {
    "think": Delimiters("<think>", "</think>"),
    "qwen": Delimiters("<think>", "</think>", "Final Answer:"),
    "deepseek": Delimiters("<think>", "</think>", "Final Answer:", "template"),
    "thinking": Delimiters("<thinking>", "</thinking>", "Final Answer:"),
    "thought": Delimiters("<thought>", "</thought>", "Final Answer:"),
    "reasoning": Delimiters("<reasoning>", "</reasoning>", "Final Answer:"),
    "seed": Delimiters("<seed:think>", "</seed:think>", "Final Answer:"),
    "magistral": Delimiters("[THINK]", "[/THINK]", "Final Answer:"),
    "kimi": Delimiters("◁think▷", "◁/think▷", "Final Answer:"),
    "open-thoughts": Delimiters("<|begin_of_thought|>", "<|end_of_thought|>", "Final Answer:"),
    "gpt-oss": Delimiters(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        "Final Answer:",
        stops=("<|end|>", "<|return|>"),
    ),
    "s1": Delimiters(
        "<|im_start|>think", "<|im_start|>answer", "Final Answer:", "caller", ("<|im_start|>", "<|im_end|>")
    ),
}
"""By name. `think`: the built-in models, and any with these tags; `qwen`: Qwen3 and QwQ where the model writes the tag;
`deepseek`: DeepSeek-R1, its distillates and Qwen3-Thinking, whose templates write it; `s1`: Muennighoff et al. 2025.

Where a server hides special tokens it hides delimiters that are such (those of `magistral` and `s1`; `<think>` is an
ordinary token as a rule): it has to be told not to, with `skip_special_tokens = false` in `extra_body` on vLLM.
"""


def delimiters(family: str = "think", cue: str | None = None) -> Delimiters:
    r"""The delimiters of a family, or those written as `OPEN...CLOSE`; `cue` replaces the family's own.

    `\n` stands for a line's end in all of them. Raises `UnknownNameError` or `UsageError`.
    """
    if family in FAMILIES:
        found = FAMILIES[family]
    elif "..." in family:
        first, _, last = family.partition("...")
        found = Delimiters(plain(first), plain(last))
    else:
        raise UnknownNameError("family of delimiters", family, [*FAMILIES, "OPEN...CLOSE"])
    return found if cue is None else replace(found, cue=plain(cue))


def plain(text: str) -> str:
    r"""A string as it is written on a command line, where `\n` is a line's end."""
    return text.replace("\\n", "\n")


class Parts(NamedTuple):
    """A reply taken apart. `thought` has no delimiters; `answer` is empty while the thought is open."""

    thought: str
    answer: str
    is_closed: bool
    """The thought came to its end. A reply without delimiters is no thought: closed, and all of it the answer."""


def split(reply: str, marks: Delimiters) -> Parts:
    """Takes a whole reply apart: what stands before the last `close` is thought, what comes after it the answer.

    Without `close` it is an open thought if it begins with `open` or the template has written that; else there is
    none. Where thoughts are written between answers, all up to the last is thought; a `close` that comes once more at
    the very end is a stray one.
    """
    before, ended, after = reply.rpartition(marks.close)
    if ended and not after.strip() and marks.close in before:
        before, _, after = before.rpartition(marks.close)
    if ended:
        return Parts(_without_open(before, marks), after, True)
    if marks.opens == "template" or begins(reply, marks):
        return Parts(_without_open(reply, marks), "", False)
    return Parts("", reply, True)


class Spoken(NamedTuple):
    """What a reply says outside its thoughts; `is_open`: its last thought never ended."""

    text: str
    is_open: bool


def said(reply: str) -> Spoken | None:
    """What a reply says outside its thoughts, in whichever way they are written; all of it where it has none.

    What stands before a closing delimiter that nothing opened was thought as well (a chat template opened it), unless
    nothing but space comes after it: then the delimiter is a stray one. `None` where nothing was said: a thought that
    never ended, or channels without a final one.
    """
    has_tags = "<" in reply
    if (has_tags and "<|message|>" in reply) or reply.startswith("analysis"):
        return _final(reply)
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
)


def _either(marks: tuple[str, ...]) -> str:
    """A pattern of these marks without their first letters, which is looked at first."""
    return "|".join(re.escape(mark[1:]) for mark in marks)


_BEHIND = rf"(?:(?P<open>(?i:{_TAGS})>|{_either(_OPENS)})|(?P<close>/(?i:{_TAGS})>|{_either(_CLOSES)}))"
_TAGGED = regex("<" + _BEHIND)
_MARK = regex(r"[<\[◁]" + _BEHIND)
_CHANNEL = regex(r"(?:^|<\|channel\|>|<\|start\|>|\s)\s{0,3}(?:assistant\s{0,3}<\|channel\|>)?(\w{1,40})[^<>\n]{0,40}$")
_CHANNEL_END = regex(r"<\|(?:end|return|call|start|channel|endoftext)\|>")
N_MESSAGES = 64
"""So many of a reply's last messages are looked at for one of the final channel."""
_PLAIN_FINAL = "assistantfinal"
_PLAIN_ANALYSIS = regex(r"analysis(?=[A-Z])")


def _final(reply: str) -> Spoken | None:
    """The last message of the final channel; also where a server has hidden the special tokens of its channels."""
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


def begins(reply: str, marks: Delimiters) -> bool:
    """Whether a reply begins with `open`."""
    return reply.lstrip().startswith(marks.open)


def _without_open(text: str, marks: Delimiters) -> str:
    return text.lstrip().removeprefix(marks.open) if begins(text, marks) else text


def written(sample: Sample, marks: Delimiters) -> str:
    """What a draw added, as one text.

    A server that tells the thought apart (`Sample.reasoning`) has cut the delimiters away: they are put back, `close`
    only where something came after it.
    """
    if sample.reasoning is None:
        return sample.text
    begun = "" if marks.opens == "template" or sample.prompt.prefix else marks.open + "\n"
    thought = begun + sample.reasoning
    return _on_new_line(thought) + marks.close + "\n" + sample.text.lstrip() if sample.text.strip() else thought


def thinking_tokens(sample: Sample, marks: Delimiters) -> int | None:
    """About how many tokens of a whole reply were thought: the thought's share of its letters. `None`: nobody counted.

    Where a server shows nothing of the thought it is what the answer cannot have taken, for no token is shorter than a
    byte.
    """
    n = sample.cost.output_tokens
    if n is None:
        return None
    whole = written(sample, marks)
    parts = split(whole, marks)
    if not parts.thought:
        return max(0, n - len(parts.answer.encode(errors="replace")) - 1)
    return round(n * (len(whole) - len(parts.answer)) / len(whole))


def is_whole_thought(sample: Sample) -> bool:
    """Whether a draw inside a thought (its `stop` was `Delimiters.until`) ended because the model ended the thought.

    The model wrote `close`, or ended its reply without. Many servers do not tell these apart.
    """
    return sample.finish in (Finish.STOP, Finish.STOP_STRING)


def opened(text: str, marks: Delimiters) -> str:
    """The thought of a draw that was to stop at `close`: what comes from the first of `marks.until` on is cut off.

    Where the draw was cut short inside the delimiter, as it may be where that takes several tokens, so is its
    beginning.
    """
    found = [at for stop in marks.until if (at := text.find(stop, _after_open(text, marks))) >= 0]
    return text[: min(found)] if found else strip_end(text, *marks.until)


def _after_open(text: str, marks: Delimiters) -> int:
    """Where the thought begins: an `open` may itself hold a stop string."""
    start = len(text) - len(text.lstrip())
    return start + len(marks.open) if begins(text, marks) else 0


def strip_end(text: str, *delimiters: str) -> str:
    """A text without the longest beginning of a delimiter, or whole delimiter, that it ends with."""
    longest = 0
    for delimiter in delimiters:
        ends = (n for n in range(min(len(delimiter), len(text)), 0, -1) if text.endswith(delimiter[:n]))
        longest = max(longest, next(ends, 0))
    return text[: len(text) - longest]


def again(thought: str, string: str) -> str:
    """A thought that was about to end, gone on with: `string` (`Wait`) on a new line; empty: nothing is added."""
    return _on_new_line(thought) + string if string else thought


def closed(thought: str, marks: Delimiters, *, is_cut: bool) -> str:
    """A thought with its end: `close` where the model ended it, a new line and the cue as well where it was cut.

    The model goes on from there with its answer (Muennighoff et al. 2025, arXiv 2501.19393). Where there is no thought
    at all an empty one is closed, which asks for an answer without thinking.
    """
    if not thought and marks.opens != "template":
        thought = marks.open + "\n"
    return _on_new_line(thought) + marks.close + "\n" + marks.cue if is_cut else thought + marks.close


def cued(reply: str, marks: Delimiters) -> str:
    """A reply whose thought is closed and whose answer did not come, with the cue at its end."""
    return _on_new_line(reply.rstrip()) + marks.cue


def _on_new_line(text: str) -> str:
    return text if not text or text[-1] == "\n" else text + "\n"
