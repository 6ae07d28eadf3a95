"""Conversations, how to sample from them, and the numbered draws that come back."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from mull.types.costs import Cost
from mull.types.parts import Part, TextPart, Tool, ToolCall


class Finish(StrEnum):
    """Why a draw ended."""

    STOP = "stop"
    """The model ended its reply."""
    STOP_STRING = "stop_string"
    """One of `Params.stop` came up; it is not part of the text."""
    TOOL_CALLS = "tool_calls"
    """The model called tools, and waits for what they give."""
    LENGTH = "length"
    """`Params.max_tokens` or the model's context was used up."""
    ERROR = "error"
    """The reply could not be used; it never votes."""


def _told(value: Any) -> str:
    """A value as the code that makes it, without the fields that are seldom there and are not."""
    shown = [f for f in fields(value) if f.name in ("role", "content", "messages", "prefix") or getattr(value, f.name)]
    return f"{type(value).__name__}({', '.join(f'{f.name}={getattr(value, f.name)!r}' for f in shown)})"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user`, `assistant` or `tool`.

    `content` is a text, or parts: text, images and files. `tool_calls` are what an assistant called, `tool_call_id`
    the call that a tool's turn answers.
    """

    role: str
    content: str | tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def __repr__(self) -> str:
        return _told(self)

    @property
    def text(self) -> str:
        """All of its text, without images and files."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but a text."""
        return isinstance(self.content, str) and not self.tool_calls and self.tool_call_id is None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation, the start of the reply that the model is to continue, and the tools that it may call."""

    messages: tuple[Message, ...]
    prefix: str = ""
    tools: tuple[Tool, ...] = ()

    @classmethod
    def user(cls, content: str | tuple[Part, ...]) -> Prompt:
        """A conversation of one user message."""
        return cls((Message("user", content),))

    def __repr__(self) -> str:
        return _told(self)

    @property
    def question(self) -> str:
        """The text of the last message, which asks what is to be answered."""
        return self.messages[-1].text

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but texts: no images, no files, no tools."""
        return not self.tools and all(message.is_plain for message in self.messages)

    def extend(self, text: str) -> Prompt:
        """The same conversation with `text` added to the partial reply."""
        return replace(self, prefix=self.prefix + text)


@dataclass(frozen=True, slots=True)
class Params:
    """How to sample. `top_p=1` and `top_k=0` switch those filters off; temperature 0 is greedy."""

    temperature: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_p: float = 1.0
    top_k: int = 0
    logprobs: int | None = None
    """Ask for token log-probabilities and for this many of the likeliest tokens beside each; `None`: not needed."""
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Added to the logit of the token that each of these texts begins with; refused where a model cannot do it."""
    thinking_tokens: int | None = None
    """The server's own limit on a whole reply's thought; refused where none was found to be kept. `None`: no limit."""
    effort: str | None = None
    """How hard the model is to think, in the server's own words (`low`, `medium`, `high`); `None`: as it does."""
    response_format: str | None = None
    """The form that a reply must have: the JSON text of the request field of that name. `None`: free text."""
    extra: str = "{}"
    """Further fields of the request, as the JSON text of an object; they are passed through as they are."""


class Draw(NamedTuple):
    """One draw to be made: its number among the draws of its question, and the seed that belongs to it."""

    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One numbered draw.

    `text` continues `prompt.prefix`. `draw` is its number among the draws of this question, `seed` what it
    was drawn with (`None`: the server took none), `logprobs` one natural logarithm a token (`None`: not
    told), `answer` an answer that came beside the text, as recordings have (`None`: read it from the text).
    `reasoning` is the thought that a server tells apart from the text, `alternatives` the likeliest tokens at
    each place with their logarithms, and `batch` how many draws shared its request (`None`: no such thing);
    its cost is then its share of what the request cost. `tool_calls` are the tools that the model called, `tokens`
    the numbers of the tokens that it generated (`None`: not told).
    """

    prompt: Prompt
    text: str
    finish: Finish
    cost: Cost = Cost(calls=1)
    draw: int = 0
    seed: int | None = None
    logprobs: tuple[float, ...] | None = None
    answer: str | None = None
    error: str | None = None
    reasoning: str | None = None
    alternatives: tuple[tuple[tuple[str, float], ...], ...] | None = None
    batch: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: tuple[int, ...] | None = None

    @property
    def reply(self) -> str:
        """The whole reply: what the prompt had begun and what the model added."""
        return self.prompt.prefix + self.text


class Ask(NamedTuple):
    """So many draws of one question; `first` is the number of the first of them (`None`: the next unused ones)."""

    prompt: Prompt
    n: int
    params: Params
    first: int | None = None
