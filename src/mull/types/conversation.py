"""Conversations, sampling parameters, and the numbered draws that a model returns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from mull.types.costs import Cost
from mull.types.parts import Part, TextPart, Tool, ToolCall


class Finish(StrEnum):
    """Why a draw ended."""

    STOP = "stop"
    """The model ended its reply."""
    STOP_STRING = "stop_string"
    """The model generated one of `Params.stop`; the text excludes it."""
    TOOL_CALLS = "tool_calls"
    """The model called tools and waits for their results."""
    LENGTH = "length"
    """The draw reached `Params.max_tokens` or the end of the model's context."""
    ERROR = "error"
    """The reply is unusable; it never votes."""


def _told(value: Any) -> str:
    """The `repr` of a value, without its empty optional fields."""
    shown = [f for f in fields(value) if f.name in ("role", "content", "messages", "prefix") or getattr(value, f.name)]
    return f"{type(value).__name__}({', '.join(f'{f.name}={getattr(value, f.name)!r}' for f in shown)})"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user`, `assistant` or `tool`.

    `content` is a string, or a tuple of parts: text, images and files. `tool_calls` are the calls of an assistant
    turn; `tool_call_id` is the call that a tool turn answers; `name` tells apart several who have the same role.
    """

    role: str
    content: str | tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    def __repr__(self) -> str:
        return _told(self)

    @property
    def text(self) -> str:
        """The text of all parts, without images and files."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def is_plain(self) -> bool:
        """Whether the message is plain text: no parts, no tool calls, no name."""
        is_text = isinstance(self.content, str) and not self.tool_calls
        return is_text and self.tool_call_id is None and self.name is None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation, the partial reply to continue (`prefix`), and the tools that the model may call."""

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
        """The text of the last message, which holds the question."""
        return self.messages[-1].text

    @property
    def is_plain(self) -> bool:
        """Whether the prompt is plain text: no images, no files, no tools."""
        return not self.tools and all(message.is_plain for message in self.messages)

    def extend(self, text: str) -> Prompt:
        """The same conversation with `text` added to the partial reply."""
        return replace(self, prefix=self.prefix + text)


@dataclass(frozen=True, slots=True)
class Params:
    """Sampling parameters. `top_p=1` and `top_k=0` switch those filters off; temperature 0 is greedy."""

    temperature: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_p: float = 1.0
    top_k: int = 0
    logprobs: int | None = None
    """Request token log-probabilities with this many top alternatives at each position; `None`: do not request them."""
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Pairs of a text and the bias added to the logit of its first token; refused if the model does not support it."""
    thinking_tokens: int | None = None
    """The server's own limit on reasoning tokens per reply; refused unless the server enforces it. `None`: no limit."""
    effort: str | None = None
    """Reasoning effort as the server names it (`low`, `medium`, `high`); `None`: the server's default."""
    response_format: str | None = None
    """The required format of replies: the JSON text of the request field of that name. `None`: free text."""
    extra: str = "{}"
    """Additional request fields, as the JSON text of an object; passed through unchanged."""


class Draw(NamedTuple):
    """One draw to make: its number among the draws of its question, and its seed."""

    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One numbered draw.

    `text` continues `prompt.prefix`. `draw` is the number among the draws of this question. `seed` is the seed used
    (`None`: the server accepts none). `logprobs` has one natural logarithm per token (`None`: not reported).
    `answer` is an answer supplied beside the text, as in recordings (`None`: read it from the text). `reasoning` is
    the thinking that a server reports separately from the text. `alternatives` has the likeliest tokens at each
    position with their log-probabilities. `batch` is how many draws shared the request (`None`: not batched); `cost`
    is then this draw's share. `tool_calls` are the model's tool calls, `tokens` the ids of the generated tokens
    (`None`: not reported), `pieces` their texts, which are told with log-probabilities and not banked.
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
    pieces: tuple[str, ...] | None = field(default=None, compare=False)

    @property
    def reply(self) -> str:
        """The whole reply: the prompt's prefix and the text that the model added."""
        return self.prompt.prefix + self.text


class Ask(NamedTuple):
    """A request for `n` draws of one question, numbered from `first` (`None`: the next unused numbers)."""

    prompt: Prompt
    n: int
    params: Params
    first: int | None = None
