"""Defensive parsing of what servers of the Messages API (Anthropic's) send: replies, event streams, usage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mull.wire.body import event_data, read_object, string
from mull.wire.faults import Malformed
from mull.wire.replies import Reply, ReplyChoice, Usage, clean, count, details, with_words

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""Stop reasons with another name in the chat API; the others keep theirs."""


def read_message(raw: bytes) -> Reply:
    """Parses a whole reply, which is one choice. Raises `Malformed`."""
    body = read_object(raw)
    content = body.get("content")
    if not isinstance(content, list):
        if error := body.get("error"):
            raise with_words("the server answered with an error", error)
        raise Malformed("the reply has no list of content blocks")
    choice = ReplyChoice(0)
    for place, block in enumerate(content):
        if isinstance(block, dict):
            _begin(choice, block, place)
    choice.text, choice.reasoning = clean(choice.text), choice.reasoning and clean(choice.reasoning)
    _end(choice, body)
    return Reply([choice], usage_of(body.get("usage")))


def usage_of(told: Any) -> Usage:
    """Token counts: the prompt includes what was read from a cache or written to one, the output the thinking."""
    if not isinstance(told, dict):
        return Usage()
    fresh, cached = count(told, "input_tokens"), count(told, "cache_read_input_tokens")
    prompt = None if fresh is None else fresh + (cached or 0) + (count(told, "cache_creation_input_tokens") or 0)
    thought = count(details(told, "output_tokens_details"), "thinking_tokens")
    return Usage(prompt, count(told, "output_tokens"), cached, thought)


def _begin(choice: ReplyChoice, block: Mapping[str, Any], place: int) -> None:
    """Adds a content block, or its beginning; a hidden thought is an empty one."""
    kind = block.get("type")
    if kind == "text":
        choice.text += string(block.get("text")) or ""
    elif kind in ("thinking", "redacted_thinking"):
        choice.reasoning = (choice.reasoning or "") + (string(block.get("thinking")) or "")
    elif kind == "tool_use":
        arguments = block.get("input")
        told = json.dumps(arguments) if isinstance(arguments, dict) and arguments else ""
        choice.tool_calls[place] = [string(block.get("id")) or "", string(block.get("name")) or "", told]


def _end(choice: ReplyChoice, told: Mapping[str, Any]) -> None:
    """Reads why a reply ended, from a whole message or the last event of a stream."""
    if reason := string(told.get("stop_reason")):
        choice.finish = FINISHES.get(reason, reason)
        choice.refusal = string(details(told, "stop_details").get("explanation"))
    choice.stopped_at = string(told.get("stop_sequence")) or choice.stopped_at
    for call in choice.tool_calls.values():
        call[2] = call[2] or "{}"


class MessageStream:
    """A reply streamed as events; feed it lines until `is_done`."""

    def __init__(self) -> None:
        self._choice = ReplyChoice(0)
        self._usage: dict[str, Any] = {}
        self.is_done = False

    def feed(self, line: bytes) -> ReplyChoice | None:
        """Parses a line; returns the choice if it was extended. Raises `Malformed`."""
        data = event_data(line)
        if data is None:
            return None
        event, choice = read_object(data), self._choice
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise with_words("the server broke off with an error", event.get("error"))
        if kind == "message_start":
            self._count(details(event, "message").get("usage"))
        elif kind == "content_block_start":
            _begin(choice, details(event, "content_block"), self._place(event))
            return choice
        elif kind == "content_block_delta":
            self._add(details(event, "delta"), self._place(event))
            return choice
        elif kind == "message_delta":
            _end(choice, details(event, "delta"))
            self._count(event.get("usage"))
        elif kind == "message_stop":
            self.is_done = True
        return None

    @staticmethod
    def _place(event: Mapping[str, Any]) -> int:
        return count(event, "index") or 0

    def _count(self, told: Any) -> None:
        """Records counts, which are cumulative: later ones replace earlier ones."""
        if isinstance(told, dict):
            self._usage |= {name: value for name, value in told.items() if value is not None}

    def _add(self, delta: Mapping[str, Any], place: int) -> None:
        choice = self._choice
        choice.text += string(delta.get("text")) or ""
        if thought := string(delta.get("thinking")):
            choice.reasoning = (choice.reasoning or "") + thought
        if (piece := string(delta.get("partial_json"))) and place in choice.tool_calls:
            choice.tool_calls[place][2] += piece

    def reply(self) -> Reply:
        """The reply received so far."""
        choice = self._choice
        choice.text, choice.reasoning = clean(choice.text), choice.reasoning and clean(choice.reasoning)
        return Reply([choice], usage_of(self._usage))
