"""Defensive parsing of what servers of the Responses API (OpenAI's) send: replies and event streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mull.wire.body import event_data, read_object, string
from mull.wire.faults import Malformed
from mull.wire.replies import Reply, ReplyChoice, clean, count, details, read_logprobs, read_usage, with_words

FINISHES = {"max_output_tokens": "length", "max_tokens": "length"}
"""Reasons of an incomplete reply with another name in the chat API; the others keep theirs."""
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
THOUGHTS = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")


def read_response(raw: bytes) -> Reply:
    """Parses a whole reply, which is one choice. Raises `Malformed`."""
    return _read(read_object(raw))


def _read(body: Mapping[str, Any]) -> Reply:
    output, status = body.get("output"), string(body.get("status"))
    if status in ("failed", "cancelled") or not isinstance(output, list):
        if error := body.get("error"):
            raise with_words("the server answered with an error", error)
        plain = "the response was not completed" if status else "the reply has no list of output items"
        raise Malformed(f"the response is {status}" if status else plain, plain)
    choice = ReplyChoice(0)
    for place, item in enumerate(output):
        if isinstance(item, dict):
            _add(choice, item, place)
    choice.text, choice.reasoning = clean(choice.text), choice.reasoning and clean(choice.reasoning)
    choice.finish = _finish(choice, body)
    return Reply([choice], read_usage(body.get("usage")))


def _finish(choice: ReplyChoice, body: Mapping[str, Any]) -> str | None:
    status = string(body.get("status"))
    if status == "completed":
        return "tool_calls" if choice.tool_calls else "stop"
    if status != "incomplete":
        return None
    reason = string(details(body, "incomplete_details").get("reason")) or "incomplete"
    return FINISHES.get(reason, reason)


def _add(choice: ReplyChoice, item: Mapping[str, Any], place: int) -> None:
    """Adds an output item: a message, a thought, whose text may be hidden, or the call of a tool."""
    kind, parts = item.get("type"), _parts(item.get("content"))
    if kind == "message":
        for part in parts:
            # A model that declines to answer says so in a part of its own.
            choice.text += string(part.get("text")) or string(part.get("refusal")) or ""
            if part.get("logprobs"):
                read_logprobs(choice, {"content": part["logprobs"]})
    elif kind == "reasoning":
        told = "".join(string(part.get("text")) or "" for part in parts or _parts(item.get("summary")))
        choice.reasoning = (choice.reasoning or "") + told
    elif kind == "function_call":
        choice.tool_calls[place] = [string(item.get(name)) or "" for name in ("call_id", "name", "arguments")]


def _parts(told: Any) -> list[Mapping[str, Any]]:
    if isinstance(told, str):
        return [{"text": told}]
    return [part for part in told if isinstance(part, dict)] if isinstance(told, list) else []


class ResponseStream:
    """A reply streamed as events; feed it lines until `is_done`."""

    def __init__(self) -> None:
        self._choice, self._whole = ReplyChoice(0), Reply()
        self.is_done = False

    def feed(self, line: bytes) -> ReplyChoice | None:
        """Parses a line; returns the choice if it was extended. Raises `Malformed`."""
        data = event_data(line)
        if data is None:
            return None
        if data == b"[DONE]":
            self.is_done = True
            return None
        event, choice = read_object(data), self._choice
        kind, delta = event.get("type"), string(event.get("delta")) or ""
        if kind == "error" or (kind is None and event.get("error")):
            told = event.get("error") or event
            raise with_words("the server broke off with an error", told)
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            choice.text += delta
            if event.get("logprobs"):
                read_logprobs(choice, {"content": event["logprobs"]})
            return choice
        if kind in THOUGHTS:
            choice.reasoning = (choice.reasoning or "") + delta
            return choice
        if kind == "response.output_item.done":
            self._call(details(event, "item"), count(event, "output_index") or 0)
            return choice
        if kind in ENDS:
            self._whole = _read({"output": [], **details(event, "response")})
            self._choice.finish = _finish(choice, details(event, "response"))
            self.is_done = True
        return None

    def _call(self, item: Mapping[str, Any], place: int) -> None:
        """Adds a tool call, and a thought whose text is hidden."""
        if item.get("type") == "function_call":
            _add(self._choice, item, place)
        elif item.get("type") == "reasoning":
            self._choice.reasoning = self._choice.reasoning or ""

    def reply(self) -> Reply:
        """The reply received so far; the last event repeats it whole, but not on all servers."""
        choice = self._choice
        choice.text, choice.reasoning = clean(choice.text), choice.reasoning and clean(choice.reasoning)
        whole = self._whole.choices[0] if self._whole.choices else None
        if whole is not None and not (choice.text or choice.reasoning or choice.tool_calls):
            choice = whole
        elif whole is not None and choice.logprobs is None:
            choice.logprobs, choice.alternatives, choice.pieces = whole.logprobs, whole.alternatives, whole.pieces
        return Reply([choice], self._whole.usage)
