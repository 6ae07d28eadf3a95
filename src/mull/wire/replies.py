"""Defensive parsing of what OpenAI-compatible servers send: replies, event streams, usage, errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mull.types import ToolCall
from mull.wire.body import event_data, printable, read_json, read_object, string, word
from mull.wire.faults import Malformed

REASONING = ("reasoning", "reasoning_content", "thinking")
"""Names of the field in which servers return the thinking separately from the text."""


MOST_TOKENS = 1 << 30
"""A token count above this is invalid."""
SLACK = 1 << 15
"""Tokens that a server may add to a request by itself, such as a system prompt."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a request; `None`: not reported."""

    prompt: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None

    def within(self, prompt: int | None, output: int) -> Usage:
        """These counts, with those far above the given maxima set to unknown (`prompt=None`: no maximum)."""
        is_prompt = prompt is None or (self.prompt or 0) <= prompt + SLACK
        if is_prompt and (self.output or 0) <= output + SLACK:
            return self
        is_output = self.output is not None and self.output <= output + SLACK
        return Usage(
            self.prompt if is_prompt else None,
            self.output if is_output else None,
            self.cached if is_prompt else None,
            self.reasoning if is_output else None,
        )


@dataclass(slots=True)
class ReplyChoice:
    """One of a request's replies. `stopped_at` is the stop string that the server reports.

    `n_tokens` is how many tokens it has, where the server counts each reply of a request by itself; `refusal` is why
    it was refused, in the server's words.
    """

    index: int
    text: str = ""
    finish: str | None = None
    reasoning: str | None = None
    stopped_at: str | None = None
    logprobs: list[float] | None = None
    alternatives: list[tuple[tuple[str, float], ...]] | None = None
    pieces: list[str] | None = None
    """The texts of the tokens, told with the log-probabilities; `None` unless all are known."""
    n_tokens: int | None = None
    refusal: str | None = None
    tool_calls: dict[int, list[str]] = field(default_factory=dict)
    """By position: id, name and arguments, as far as received."""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the reply, in order, without those that have no name."""
        rows = (self.tool_calls[place] for place in sorted(self.tool_calls))
        return tuple(ToolCall(*map(clean, row)) for row in rows if row[1])


@dataclass(slots=True)
class Reply:
    """The reply to a request: its choices, one per index, and their token usage.

    If `is_cut`, time ran out before the reply was whole: some choices may be finished, and the usage is unknown.
    """

    choices: list[ReplyChoice] = field(default_factory=list)
    usage: Usage = Usage()
    is_cut: bool = False


def read_reply(raw: bytes) -> Reply:
    """Parses a whole reply. Raises `Malformed`. Leaves out broken choices and the later of two with the same index."""
    body = read_object(raw)
    if (error := body.get("error")) and not body.get("choices"):
        raise with_words("the server answered with an error", error)
    listed = body.get("choices")
    if not isinstance(listed, list):
        raise Malformed("the reply has no list of choices")
    found: dict[int, ReplyChoice] = {}
    for place, row in enumerate(listed):
        if isinstance(row, dict) and (choice := _choice(row, place)) is not None:
            found.setdefault(choice.index, choice)
    return Reply(list(found.values()), read_usage(body.get("usage")))


def _choice(row: Mapping[str, Any], place: int) -> ReplyChoice | None:
    message = row.get("message")
    said = _said(message if isinstance(message, dict) else {"content": row.get("text")})
    index = row.get("index")
    if said is None or (index is not None and not isinstance(index, int)):
        return None
    text, thought = said[0], clean(said[1]) if said[1] else None
    choice = ReplyChoice(place if index is None else index, clean(text), string(row.get("finish_reason")), thought)
    choice.stopped_at = _stopped_at(row)
    if row.get("logprobs"):
        read_logprobs(choice, row["logprobs"])
    if isinstance(message, dict):
        _read_tool_calls(choice, message)
    return choice


def _said(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """Text and thinking of a message or a piece of one; `None` if its content is neither a text nor a list of parts.

    A part has its text under `text`, or, if it is a thought, under `thinking`, as a text or as parts again.
    """
    content, thought = message.get("content"), _first_text(message)
    if content is None or isinstance(content, str):
        return content or string(message.get("refusal")) or "", thought
    if not isinstance(content, list):
        return None
    text = ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif isinstance(part, dict):
            text += string(part.get("text")) or ""
            inner = part.get("thinking")
            rows = inner if isinstance(inner, list) else [inner]
            thought += "".join(string(row.get("text") if isinstance(row, dict) else row) or "" for row in rows)
    return text, thought


def _first_text(message: Mapping[str, Any]) -> str:
    """The thinking that a message has in a field of its own; empty if it has none."""
    return next((message[name] for name in REASONING if isinstance(message.get(name), str)), "")


def _read_tool_calls(choice: ReplyChoice, told: Mapping[str, Any]) -> None:
    """Adds the tool calls of a message, or a chunk of them from a stream; leaves out malformed ones."""
    rows = told.get("tool_calls")
    if isinstance(told.get("function_call"), dict):
        rows = [{"function": told["function_call"]}]
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        function = row.get("function") if isinstance(row, dict) else None
        if not isinstance(function, dict):
            continue
        index = row.get("index")
        call = choice.tool_calls.setdefault(index if isinstance(index, int) else place, ["", "", ""])
        call[0] = call[0] or string(row.get("id")) or ""
        call[1] = call[1] or string(function.get("name")) or ""
        call[2] += string(function.get("arguments")) or ""


def clean(text: str) -> str:
    """The text in a form that every database accepts: lone surrogates and NUL become the replacement character."""
    if text.isascii():
        return text.replace("\0", "\ufffd") if "\0" in text else text
    return text.encode(errors="surrogatepass").decode(errors="replace").replace("\0", "\ufffd")


def _stopped_at(row: Mapping[str, Any]) -> str | None:
    """The stop string of a choice: vLLM's `stop_reason` or SGLang's `matched_stop`, which may also be a token id."""
    return string(row.get("stop_reason")) or string(row.get("matched_stop"))


def read_logprobs(choice: ReplyChoice, told: Any) -> None:
    """Adds log-probabilities in the format of chats or of completions; leaves out malformed ones."""
    try:
        if isinstance(told.get("content"), list):
            rows = told["content"]
            values = [float(row["logprob"]) for row in rows]
            tops = [
                tuple((top["token"], float(top["logprob"])) for top in row.get("top_logprobs") or ()) for row in rows
            ]
            pieces = [row.get("token") for row in rows]
        elif isinstance(told.get("token_logprobs"), list):
            values = [float(value) for value in told["token_logprobs"]]
            tops = [
                tuple((token, float(value)) for token, value in (top or {}).items())
                for top in told.get("top_logprobs") or [None] * len(values)
            ]
            pieces = list(told.get("tokens") or ())
        else:
            return
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return
    are_texts = len(pieces) == len(values) and all(isinstance(piece, str) for piece in pieces)
    choice.pieces = (choice.pieces or []) + [clean(piece) for piece in pieces] if are_texts else None
    choice.logprobs = (choice.logprobs or []) + values
    choice.alternatives = (choice.alternatives or []) + tops


def read_usage(told: Any) -> Usage:
    """Token counts, under the names of the chat or the responses API; missing or invalid counts are unknown.

    The output includes the reasoning: some servers count it beside the completion, which their total shows.
    """
    if not isinstance(told, dict):
        return Usage()
    prompt = count(told, "prompt_tokens", "input_tokens")
    cached = count(details(told, "prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    if cached is None:
        cached = count(told, "prompt_cache_hit_tokens")
    if cached is not None and prompt is not None and cached > prompt:
        cached = None
    reasoning = count(details(told, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if reasoning is None:
        reasoning = count(told, "reasoning_tokens")
    output = count(told, "completion_tokens", "output_tokens")
    if reasoning and output is not None:
        total = count(told, "total_tokens")
        if reasoning > output or (prompt is not None and total == prompt + output + reasoning):
            output += reasoning
    return Usage(prompt, output, cached, reasoning)


def details(told: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of these objects that is present; empty if none is."""
    for name in names:
        if isinstance(part := told.get(name), dict):
            return part
    return {}


def count(told: Mapping[str, Any], *names: str) -> int | None:
    """The value of the first of these names that is present; `None` if it is not a valid count."""
    for name in names:
        if name in told:
            value = told[name]
            return value if type(value) is int and 0 <= value <= MOST_TOKENS else None
    return None


class Stream:
    """A reply streamed as events; feed it lines until `is_done`.

    A server may count all replies of a request once, at the end, or each right after it has ended: then the counts are
    those of the reply that ended last.
    """

    def __init__(self) -> None:
        self._choices: dict[int, ReplyChoice] = {}
        self._usages: list[Usage] = []
        self._ended: list[int] = []
        """The replies that have ended since the last count."""
        self.is_done = False

    def feed(self, line: bytes) -> ReplyChoice | None:
        """Parses a line; returns the choice that it extended, if any. Raises `Malformed`."""
        data = event_data(line)
        if data is None:
            return None
        if data == b"[DONE]":
            self.is_done = True
            return None
        body = read_object(data)
        if body.get("error"):
            raise with_words("the server broke off with an error", body["error"])
        changed = None
        rows = body.get("choices")
        for place, row in enumerate(rows if isinstance(rows, list) else ()):
            if isinstance(row, dict):
                changed = self._add(row, place)
        if isinstance(body.get("usage"), dict):
            self._count(read_usage(body["usage"]), is_running=changed is not None and not self._ended)
        return changed

    def _count(self, usage: Usage, *, is_running: bool) -> None:
        """Records counts; those of a reply that goes on are replaced by the next ones."""
        if is_running and self._usages:
            self._usages.pop()
        self._usages.append(usage)
        if len(self._ended) == 1:
            self._choices[self._ended[0]].n_tokens = usage.output
        self._ended = []

    def _add(self, row: Mapping[str, Any], place: int) -> ReplyChoice:
        index = row.get("index")
        choice = self._choices.setdefault(i := index if isinstance(index, int) else place, ReplyChoice(i))
        delta = row.get("delta")
        if isinstance(delta, dict):
            text, thought = _said(delta) or ("", "")
            choice.text += text
            choice.reasoning = (choice.reasoning or "") + thought or None
            _read_tool_calls(choice, delta)
        else:
            choice.text += string(row.get("text")) or ""
        if (finish := string(row.get("finish_reason"))) and not choice.finish:
            self._ended.append(choice.index)
        choice.finish = finish or choice.finish
        choice.stopped_at = _stopped_at(row) or choice.stopped_at
        if row.get("logprobs"):
            read_logprobs(choice, row["logprobs"])
        return choice

    def reply(self) -> Reply:
        """The reply received so far."""
        choices = list(self._choices.values())
        for choice in choices:
            choice.text, choice.reasoning = clean(choice.text), choice.reasoning and clean(choice.reasoning)
        usage = self._usages[0] if self._usages else Usage()
        counts = [choice.n_tokens for choice in choices]
        if len(choices) > 1 and any(count is not None for count in counts):
            usage = replace(usage, output=None if None in counts else sum(count or 0 for count in counts))
        return Reply(choices, usage)


def error_text(told: Any) -> str:
    """The message of an error in any server's format, on one line; empty if it has none."""
    for _ in range(4):
        if isinstance(told, dict):
            told = next((told[name] for name in ("message", "error", "detail", "msg") if told.get(name)), None)
        elif isinstance(told, list) and told:
            told = told[0]
        else:
            break
    return printable(word(told)[:1000])[:300]


def with_words(what: str, told: Any) -> Malformed:
    """The failure for a reply that is an error, with the server's words."""
    return Malformed(f"{what}: {error_text(told) or 'no words'}", what)


def error_of(raw: bytes) -> tuple[str, str]:
    """The message and the code of an error reply; empty where it has none."""
    begun = printable(raw[:200].decode(errors="replace"))
    try:
        body = read_json(raw)
    except Malformed:
        return begun, ""
    error = body.get("error") if isinstance(body, dict) else None
    inner = error if isinstance(error, dict) else body
    code = word(inner.get("code") or inner.get("type")) if isinstance(inner, dict) else ""
    return error_text(body) or begun, code


OVERFLOW = (
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "context size",
    "too many tokens",
    "exceed_context",
    "longer than the maximum",
    "prompt is too long",
    "exceed context limit",
    "max_model_len",
)


def is_overflow(words: str, code: str) -> bool:
    """Whether an error says that prompt and reply do not fit the model's context."""
    return any(mark in f"{words} {code}".lower() for mark in OVERFLOW)


def share(total: int, weights: Iterable[int], most: int) -> list[int]:
    """Splits `total` into integers proportional to the weights (each at least 1), by largest remainder.

    No part exceeds `most` if that is possible: the excess goes to the others, the longest first.
    """
    sizes = [max(weight, 1) for weight in weights]
    whole = sum(sizes)
    parts = [total * size // whole for size in sizes]
    rest = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % whole), i))
    for i in rest[: total - sum(parts)]:
        parts[i] += 1
    if total <= most * len(parts):
        beyond = sum(max(0, part - most) for part in parts)
        for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
            more = min(beyond, max(0, most - parts[i]))
            parts[i] = min(parts[i], most) + more
            beyond -= more
    return parts
