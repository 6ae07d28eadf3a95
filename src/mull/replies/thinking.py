r"""How models write a thought before their answer, and the pure functions that take one apart and put one together.

A reply of a thinking model is `open`, a thought, `close`, an answer:

    <think>\nb:a+45=9+45=54\n</think>\nanswer: 54

All that stops a thought early or makes it longer works on that text: it cuts the thought, adds to it (`again`), or
closes it (`closed`) and asks the model to go on. Nothing here draws; `mull.strategies.force` and its relatives do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

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
    "magistral": Delimiters("[THINK]", "[/THINK]", "Final Answer:"),
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
    none. Where thoughts are written between answers, all up to the last is thought.
    """
    before, ended, after = reply.rpartition(marks.close)
    if ended:
        return Parts(_without_open(before, marks), after, True)
    if marks.opens == "template" or begins(reply, marks):
        return Parts(_without_open(reply, marks), "", False)
    return Parts("", reply, True)


def spoken(reply: str) -> str | None:
    """What a reply says after its thought, whichever family of `FAMILIES` it is of; all of it where it has no thought.

    `None` where a thought was begun and never ended: nothing was said.
    """
    end = 0
    for close in _CLOSES:
        at = reply.rfind(close)
        if at >= 0:
            end = max(end, at + len(close))
    if end:
        return reply[end:]
    return None if any(open in reply for open in _OPENS) else reply


_OPENS = tuple({marks.open for marks in FAMILIES.values()})
_CLOSES = tuple({marks.close for marks in FAMILIES.values()})


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
