"""Replies in the form of OpenAI's responses API: the items of an output, and the events of a stream."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mull.serve.anthropic import named
from mull.serve.faults import ApiError
from mull.serve.forms import is_event

CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
"""What a failed response calls an error, by its status: the API has no other codes for what can happen here."""

CUT_BY = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by the `finish_reason` of a chat."""


def opened(reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The response at its beginning."""
    return {
        "id": f"resp_{str(reply.get('id', '')).removeprefix('chatcmpl-')}",
        "object": "response",
        "created_at": reply.get("created") or int(time.time()),
        "status": "in_progress",
        "model": reply.get("model"),
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        "store": False,
        "previous_response_id": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "tools": body.get("tools") or [],
        "tool_choice": body.get("tool_choice") or "auto",
        "text": body.get("text") or {"format": {"type": "text"}},
    }


def closed(
    response: dict[str, Any], output: list[dict[str, Any]], finish: str, usage: Any, mull: Any
) -> dict[str, Any]:
    """The response at its end."""
    cut_by = CUT_BY.get(finish)
    told = {**response, "status": "incomplete" if cut_by else "completed", "output": output, "usage": _usage(usage)}
    if cut_by:
        told["incomplete_details"] = {"reason": cut_by}
    return told if mull is None else {**told, "mull": mull}


def _usage(told: Any) -> dict[str, Any] | None:
    if not isinstance(told, dict):
        return None
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (told.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": told["prompt_tokens"] + told["completion_tokens"],
        **({"mull": told["mull"]} if "mull" in told else {}),
    }


def text_part(text: str, logprobs: Sequence[Any] = ()) -> dict[str, Any]:
    """A text of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [*logprobs]}


def logprobs_of(choice: Mapping[str, Any]) -> list[Any]:
    """The log-probabilities of a chat's choice, or of a piece of one."""
    return (choice.get("logprobs") or {}).get("content") or []


def message_item(id: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """A message of the output."""
    return {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": status, "content": content}


def thought_item(id: str, text: str) -> dict[str, Any]:
    """A thought of the output."""
    return {"id": f"rs_{id}", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def call_item(id: str, i: int, call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    """A tool call of the output."""
    told = {"id": f"fc_{id}_{i}", "type": "function_call", "call_id": call_id, "name": name}
    return {**told, "arguments": arguments, "status": status}


class ResponseEvents:
    """Items of the output are told one after another; each is whole before the next begins."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._response: dict[str, Any] = {}
        self._output: list[dict[str, Any]] = []
        self._kind, self._text, self._call = "", "", ("", "")
        self._logprobs: list[Any] = []
        self._finish, self._usage, self._mull = "stop", None, None
        self._n = 0

    def _named(self, kind: str, **told: Any) -> bytes:
        self._n += 1
        return named(kind, sequence_number=self._n - 1, **told)

    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        told = b""
        if not self._response:
            self._response = opened(chunk, self._body)
            for kind in ("response.created", "response.in_progress"):
                told += self._named(kind, response=self._response)
        self._usage = chunk.get("usage") or self._usage
        if is_event(chunk):
            told += self._named("response.in_progress", response={**self._response, "mull": chunk["mull"]})
        else:
            self._mull = chunk.get("mull") or self._mull
        for choice in (chunk.get("choices") or [])[:1]:
            self._finish = choice.get("finish_reason") or self._finish
            told += self._delta(choice.get("delta") or {}, logprobs_of(choice))
        return told

    def _delta(self, delta: Mapping[str, Any], logprobs: Sequence[Any]) -> bytes:
        told = b""
        if thought := delta.get("reasoning_content"):
            told += self._in("thought") + self._add("response.reasoning_summary_text.delta", thought, summary_index=0)
        if text := delta.get("content"):
            told += self._in("text")
            self._logprobs += logprobs
            told += self._add("response.output_text.delta", text, content_index=0, logprobs=logprobs)
        if text := delta.get("refusal"):
            told += self._in("refusal") + self._add("response.refusal.delta", text, content_index=0)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            if function.get("name"):
                told += self._in(f"call {call.get('index')}", call.get("id") or "", function["name"])
            if function.get("arguments"):
                told += self._add("response.function_call_arguments.delta", function["arguments"])
        return told

    def _item(self, status: str = "completed") -> dict[str, Any]:
        """The open item, as far as it is known."""
        id = self._response["id"]
        if self._kind == "thought":
            return thought_item(id, self._text)
        if self._kind.startswith("call"):
            return call_item(id, len(self._output), *self._call, self._text, status)
        return message_item(id, [] if status == "in_progress" else [self._part(self._text)], status)

    def _part(self, text: str) -> dict[str, Any]:
        """The part of the open message."""
        return text_part(text, self._logprobs) if self._kind == "text" else {"type": "refusal", "refusal": text}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._item()["id"], "output_index": len(self._output)}

    def _in(self, kind: str, id: str = "", name: str = "") -> bytes:
        """Begins an item, unless it is open; ends the one before."""
        if self._kind == kind:
            return b""
        told = self._close()
        self._kind, self._text, self._call, self._logprobs = kind, "", (id, name), []
        told += self._named(
            "response.output_item.added", output_index=len(self._output), item=self._item("in_progress")
        )
        if kind in ("text", "refusal"):
            told += self._named("response.content_part.added", **self._where(), content_index=0, part=self._part(""))
        return told

    def _add(self, kind: str, text: str, **more: Any) -> bytes:
        self._text += text
        return self._named(kind, **self._where(), delta=text, **more)

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        told, where = b"", self._where()
        if self._kind == "text":
            said = {"text": self._text, "logprobs": self._logprobs}
            told += self._named("response.output_text.done", **where, content_index=0, **said)
        elif self._kind == "refusal":
            told += self._named("response.refusal.done", **where, content_index=0, refusal=self._text)
        elif self._kind.startswith("call"):
            done = {**where, "arguments": self._text, "name": self._call[1]}
            told += self._named("response.function_call_arguments.done", **done)
        if self._kind in ("text", "refusal"):
            told += self._named("response.content_part.done", **where, content_index=0, part=self._part(self._text))
        item = self._item()
        told += self._named("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._kind = ""
        return told

    def end(self) -> bytes:
        told = self._close()
        response = closed(self._response, self._output, self._finish, self._usage, self._mull)
        return told + self._named(f"response.{response['status']}", response=response)

    def fail(self, error: ApiError, usage: Mapping[str, Any] | None) -> bytes:
        code = CODES.get(error.status, "server_error")
        told = {"code": code, "message": error.message, "param": error.param, "type": error.code}
        response = {**(self._response or opened({}, self._body)), "status": "failed", "error": told}
        output = [*self._output, self._item("incomplete")] if self._kind else self._output
        return self._named("response.failed", response={**response, "output": output, "usage": _usage(usage)})
