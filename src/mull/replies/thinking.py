r"""How models delimit a thought before their answer, with pure functions that split and build such replies.

A reply of a thinking model is `open`, a thought, `close`, an answer:

    <think>\nb:a+45=9+45=54\n</think>\nanswer: 54

Methods that shorten or lengthen a thought edit that text: they cut the thought, append to it (`again`), or close it
(`closed`), and ask the model to continue. Nothing here draws; `mull.strategies.force` and its relatives do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from mull.errors import UnknownNameError, UsageError
from mull.types import Finish, Sample

Opener = Literal["model", "template", "caller"]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """How a family of models delimits a thought.

    `open` and `close` surround it. `cue` begins an answer that is requested after a thought was cut: it is a line of
    its own after `close`, without a space at its end, since most tokens begin with one. `opens` is who writes `open`:
    the `model`, the chat `template` before the reply begins, or the `caller` if neither does. `stops` are the strings
    that end a draw inside the thought; if empty, `close` does.
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
        """`Params.stop` for a draw inside the thought."""
        return self.stops or (self.close,)

    @property
    def begin(self) -> str:
        """The required beginning of a reply that is to think; empty if the model or its template writes it."""
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
"""By name. `think`: the built-in models, and any with these tags; `qwen`: Qwen3 and QwQ, which write the tags;
`deepseek`: DeepSeek-R1, its distillates and Qwen3-Thinking, whose templates write it; `s1`: Muennighoff et al. 2025.

A server that hides special tokens also hides delimiters that are special tokens (those of `magistral` and `s1`;
`<think>` usually is not): vLLM shows them with `skip_special_tokens = false` in `extra_body`.
"""


def delimiters(family: str = "think", cue: str | None = None) -> Delimiters:
    r"""The delimiters of a family, or those written as `OPEN...CLOSE`; `cue` replaces the family's own.

    `\n` in any of them is a newline. Raises `UnknownNameError` or `UsageError`.
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
    r"""A string as typed on a command line, with `\n` turned into a newline."""
    return text.replace("\\n", "\n")


class Parts(NamedTuple):
    """A reply split in two. `thought` has no delimiters; `answer` is empty while the thought is open."""

    thought: str
    answer: str
    is_closed: bool
    """Whether the thought has ended. A reply without delimiters is closed: all of it is the answer."""


def split(reply: str, marks: Delimiters) -> Parts:
    """Splits a whole reply: the text before the last `close` is the thought, the text after it the answer.

    Without `close` the reply is an open thought if it begins with `open` or the template has written that; else it has
    no thought. If thoughts and answers alternate, everything up to the last thought counts as thought; a repeated
    `close` at the very end is ignored.
    """
    before, ended, after = reply.rpartition(marks.close)
    if ended and not after.strip() and marks.close in before:
        before, _, after = before.rpartition(marks.close)
    if ended:
        return Parts(_without_open(before, marks), after, True)
    if marks.opens == "template" or begins(reply, marks):
        return Parts(_without_open(reply, marks), "", False)
    return Parts("", reply, True)


def begins(reply: str, marks: Delimiters) -> bool:
    """Whether a reply begins with `open`."""
    return reply.lstrip().startswith(marks.open)


def _without_open(text: str, marks: Delimiters) -> str:
    return text.lstrip().removeprefix(marks.open) if begins(text, marks) else text


def written(sample: Sample, marks: Delimiters) -> str:
    """The text that a draw added, thought included.

    A server that returns the thought separately (`Sample.reasoning`) has removed the delimiters: they are put back,
    `close` only if text follows it.
    """
    if sample.reasoning is None:
        return sample.text
    begun = "" if marks.opens == "template" or sample.prompt.prefix else marks.open + "\n"
    thought = begun + sample.reasoning
    return _on_new_line(thought) + marks.close + "\n" + sample.text.lstrip() if sample.text.strip() else thought


def thinking_tokens(sample: Sample, marks: Delimiters) -> int | None:
    """Approximate number of tokens in the thought: its share of the characters. `None` if the tokens are not known.

    If the server hides the thought, all tokens beyond one per byte of the answer count as thought, since no token is
    shorter than a byte.
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

    Either the model wrote `close`, or it ended its reply without it. Many servers report both the same way.
    """
    return sample.finish in (Finish.STOP, Finish.STOP_STRING)


def opened(text: str, marks: Delimiters) -> str:
    """The thought of a draw that was to stop at `close`, cut at the first of `marks.until`.

    If the draw ended inside a delimiter, which can take several tokens, that partial delimiter is removed too.
    """
    found = [at for stop in marks.until if (at := text.find(stop, _after_open(text, marks))) >= 0]
    return text[: min(found)] if found else strip_end(text, *marks.until)


def _after_open(text: str, marks: Delimiters) -> int:
    """The position after `open`, which may itself contain a stop string."""
    start = len(text) - len(text.lstrip())
    return start + len(marks.open) if begins(text, marks) else 0


def strip_end(text: str, *delimiters: str) -> str:
    """A text without the longest delimiter, or prefix of one, at its end."""
    longest = 0
    for delimiter in delimiters:
        ends = (n for n in range(min(len(delimiter), len(text)), 0, -1) if text.endswith(delimiter[:n]))
        longest = max(longest, next(ends, 0))
    return text[: len(text) - longest]


def again(thought: str, string: str) -> str:
    """A thought that was about to end, continued with `string` (`Wait`) on a new line, if it is not empty."""
    return _on_new_line(thought) + string if string else thought


def closed(thought: str, marks: Delimiters, *, is_cut: bool) -> str:
    """A thought with `close` after it; if it was cut, `close` comes on a new line and the cue follows.

    The model then continues with its answer (Muennighoff et al. 2025, arXiv 2501.19393). An empty thought is opened and
    closed, which asks for an answer without thinking.
    """
    if not thought and marks.opens != "template":
        thought = marks.open + "\n"
    return _on_new_line(thought) + marks.close + "\n" + marks.cue if is_cut else thought + marks.close


def cued(reply: str, marks: Delimiters) -> str:
    """A reply that has closed its thought but has no answer, with the cue appended."""
    return _on_new_line(reply.rstrip()) + marks.cue


def _on_new_line(text: str) -> str:
    return text if not text or text[-1] == "\n" else text + "\n"
