"""`/v1/messages`: chats in Anthropic's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from mull.serve.blocks import SHOWN, shown, shown_block, text_part, with_results_shown
from mull.serve.expect import a_text, an_object, may_be, may_be_text, one_of
from mull.serve.faults import ApiError, bad
from mull.serve.fields import MessageFields, RequestFields
from mull.serve.forms import Translator, is_event, unknown
from mull.wire.routes import CHAT

STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


SAME = ("model", "stream", "temperature", "top_p", "seed", "mull", "user", "top_k")
"""Fields that have the same name and meaning in a chat."""


class Messages:
    """The form of Anthropic's messages API."""

    fields: ClassVar[type[RequestFields]] = MessageFields
    path: ClassVar[str] = CHAT
    names: ClassVar[Mapping[str, str]] = {
        "messages": "messages",
        "max_completion_tokens": "max_tokens",
        "reasoning_effort": "output_config.effort",
        "response_format": "output_config.format",
        "stop": "stop_sequences",
    }

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        chat = {name: body[name] for name in SAME if name in body} | unknown(self.fields, body)
        system = body.get("system")
        texts = [] if system is None else [part["text"] for part in shown(system, "system", ("text",))]
        told = [] if system is None else [{"role": "system", "content": "\n".join(texts)}]
        for i, turn in enumerate(body["messages"]):
            told += _turns(turn, f"messages[{i}]")
        if not told:
            raise bad("messages", "must have a text, an image, or a tool's use or result")
        chat |= {"messages": with_results_shown(told), "max_tokens": body["max_tokens"]}
        if body.get("stop_sequences"):
            chat["stop"] = body["stop_sequences"]
        if body.get("stream"):
            chat["stream_options"] = {"include_usage": True}
        if tools := body.get("tools"):
            chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        if (choice := body.get("tool_choice")) is not None:
            chat["tool_choice"] = _tool_choice(choice)
            if (alone := choice.get("disable_parallel_tool_use")) is not None and tools:
                chat["parallel_tool_calls"] = not alone
        config = body.get("output_config") or {}
        if config.get("effort") is not None:
            chat["reasoning_effort"] = config["effort"]
        if (form := config.get("format")) is not None:
            one_of(form, ("json_schema",), "output_config.format")
            schema = an_object(form, "schema", "output_config.format")
            chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
        return chat

    def whole(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        choice = reply["choices"][0]
        message = choice["message"]
        content: list[dict[str, Any]] = []
        if thought := message.get("reasoning_content"):
            content.append({"type": "thinking", "thinking": thought, "signature": ""})
        if text := message.get("content") or message.get("refusal"):
            content.append({"type": "text", "text": text})
        for call in message.get("tool_calls") or ():
            function = call["function"]
            content.append({"type": "tool_use", "id": call["id"], "name": function["name"], "input": _input(function)})
        return {
            **_opened(reply),
            "content": content,
            "stop_reason": "refusal" if message.get("refusal") else STOPPED.get(choice["finish_reason"], "end_turn"),
            "usage": _usage(reply.get("usage")),
            **({"mull": reply["mull"]} if "mull" in reply else {}),
        }

    def stream(self, body: Mapping[str, Any]) -> Translator:
        return _Events()

    def error(self, error: ApiError) -> dict[str, Any]:
        return {"type": "error", "error": _error(error)}


def _error(error: ApiError) -> dict[str, Any]:
    kind = ERRORS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return {"type": kind, "message": error.message}


def _opened(reply: Mapping[str, Any]) -> dict[str, Any]:
    id = str(reply.get("id", "")).removeprefix("chatcmpl-")
    return {
        "id": f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": reply.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(None),
    }


def _usage(told: Mapping[str, Any] | None) -> dict[str, Any]:
    cached = ((told or {}).get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt = (told or {}).get("prompt_tokens") or 0
    return {
        "input_tokens": max(0, prompt - cached),
        "cache_read_input_tokens": cached,
        "output_tokens": (told or {}).get("completion_tokens") or 0,
        **({"mull": told["mull"]} if told and "mull" in told else {}),
    }


def _input(function: Mapping[str, Any]) -> Any:
    try:
        return json.loads(function["arguments"])
    except ValueError:
        return {"arguments": function["arguments"]}  # as the model wrote it: it is no JSON


PARTS = (*SHOWN, "tool_use", "tool_result", "thinking", "redacted_thinking")
"""The types of parts of a message; what an earlier message thought is not sent again."""


def _turns(turn: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """The chat's messages for one of Anthropic's: results of tools are messages of their own."""
    if (role := turn.get("role")) not in ("user", "assistant"):
        raise bad(f"{at}.role", "must be user or assistant")
    content = turn.get("content")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if not isinstance(content, list):
        raise bad(f"{at}.content", "must be a text or a list of parts")
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for i, part in enumerate(content):
        where = f"{at}.content[{i}]"
        match one_of(part, PARTS, where):
            case kind if kind in SHOWN:
                parts += shown_block(part, where)
            case "tool_use":
                arguments = json.dumps(an_object(part, "input", where))
                function = {"name": a_text(part, "name", where), "arguments": arguments}
                calls.append({"id": a_text(part, "id", where), "type": "function", "function": function})
            case "tool_result":
                told = shown([] if part.get("content") is None else part["content"], f"{where}.content")
                may_be(bool, "true or false", part, ("is_error",), where)
                if part.get("is_error"):  # the chat API says it in the text
                    told = [text_part("Error:"), *told]
                results.append({"role": "tool", "tool_call_id": a_text(part, "tool_use_id", where), "content": told})
    turns = results
    if parts or calls:
        own: dict[str, Any] = {"role": role, "content": parts or None}
        turns = [*turns, {**own, "tool_calls": calls} if calls else own]
    return turns


def _tool(tool: dict[str, Any], at: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise bad(f"{at}.type", 'must be "custom": the tools of Anthropic itself are not here')
    function = {"name": a_text(tool, "name", at), "parameters": an_object(tool, "input_schema", at)}
    if description := may_be_text(tool, "description", at):
        function["description"] = description
    return {"type": "function", "function": function}


def _tool_choice(choice: dict[str, Any]) -> Any:
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": a_text(choice, "name", "tool_choice")}}
    return {"any": "required"}.get(choice["type"], choice["type"])


def named(kind: str, **told: Any) -> bytes:
    """A server-sent event with a name, which is also its type."""
    data = json.dumps({"type": kind, **told}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode(errors="replace")


class _Events:
    """One block of content is open at a time; calls of tools are blocks of their own."""

    def __init__(self) -> None:
        self._n, self._kind = 0, ""
        self._stop = "end_turn"
        self._usage = _usage(None)
        self._is_begun = False
        self._more: dict[str, Any] = {}

    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        told = b""
        if not self._is_begun:
            self._is_begun = True
            told += named("message_start", message=_opened(chunk))
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        if is_event(chunk):
            told += named("ping", mull=chunk["mull"])  # all clients know it, and read on
        elif "mull" in chunk:
            self._more = {"mull": chunk["mull"]}
        for choice in (chunk.get("choices") or [])[:1]:
            told += self._delta(choice.get("delta") or {})
            if choice.get("finish_reason") and self._stop != "refusal":
                self._stop = STOPPED.get(choice["finish_reason"], "end_turn")
        return told

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        told = b""
        if thought := delta.get("reasoning_content"):
            told += self._in("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            told += self._add({"type": "thinking_delta", "thinking": thought})
        if refusal := delta.get("refusal"):
            self._stop = "refusal"
        if text := delta.get("content") or refusal:
            told += self._in("text", {"type": "text", "text": ""})
            told += self._add({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            if function.get("name"):
                begun = {"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": {}}
                told += self._in(f"tool {call.get('index')}", begun)
            if function.get("arguments"):
                told += self._add({"type": "input_json_delta", "partial_json": function["arguments"]})
        return told

    def _in(self, kind: str, begun: dict[str, Any]) -> bytes:
        """Begins a block, unless it is open; closes the one before."""
        if self._kind == kind:
            return b""
        told = self._close()
        self._kind = kind
        return told + named("content_block_start", index=self._n, content_block=begun)

    def _add(self, delta: dict[str, Any]) -> bytes:
        return named("content_block_delta", index=self._n, delta=delta)

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        self._n += 1
        return named("content_block_stop", index=self._n - 1)

    def end(self) -> bytes:
        stop = {"stop_reason": self._stop, "stop_sequence": None}
        told = self._close() + named("message_delta", delta=stop, usage=self._usage, **self._more)
        return told + named("message_stop")

    def fail(self, error: ApiError, usage: Mapping[str, Any] | None) -> bytes:
        return named("error", error=_error(error))
