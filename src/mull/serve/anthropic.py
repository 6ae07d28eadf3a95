"""`/v1/messages`: chats in Anthropic's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from mull.serve.faults import ApiError, bad
from mull.serve.fields import MessageFields, RequestFields
from mull.serve.forms import SAME, Translator, listed
from mull.wire.routes import CHAT

STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class Messages:
    """The form of Anthropic's messages API."""

    fields: ClassVar[type[RequestFields]] = MessageFields
    path: ClassVar[str] = CHAT

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
            raise bad("max_tokens", "must be a whole number of at least 1")
        turns = body.get("messages")
        if not isinstance(turns, list) or not turns:
            raise bad("messages", "must be a list of messages")
        chat = {name: body[name] for name in (*SAME, "top_k") if name in body and name not in ("stop", "n", "metadata")}
        system = body.get("system")
        told = [] if system is None else [{"role": "system", "content": _text(system, "system")}]
        for i, turn in enumerate(turns):
            told += _turns(turn, f"messages[{i}]")
        chat |= {"messages": told, "max_tokens": body["max_tokens"]}
        if body.get("stop_sequences"):
            chat["stop"] = body["stop_sequences"]
        if body.get("stream"):
            chat["stream_options"] = {"include_usage": True}
        if tools := listed(body, "tools"):
            chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        if isinstance(choice := body.get("tool_choice"), dict):
            chat["tool_choice"] = {"any": "required", "auto": "auto", "none": "none"}.get(
                str(choice.get("type")), {"type": "function", "function": {"name": choice.get("name")}}
            )
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
    return {"type": ERRORS.get(error.status, "api_error"), "message": error.message}


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
        "input_tokens": prompt - cached,
        "cache_read_input_tokens": cached,
        "output_tokens": (told or {}).get("completion_tokens") or 0,
        **({"mull": told["mull"]} if told and "mull" in told else {}),
    }


def _input(function: Mapping[str, Any]) -> Any:
    try:
        return json.loads(function["arguments"])
    except ValueError:
        return {"arguments": function["arguments"]}  # as the model wrote it: it is no JSON


def _text(content: Any, at: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "\n".join(str(part.get("text", "")) for part in content)
    raise bad(at, "must be a text or a list of parts of type text")


def _turns(turn: Any, at: str) -> list[dict[str, Any]]:
    """The chat's messages for one of Anthropic's: results of tools are messages of their own."""
    role = turn.get("role") if isinstance(turn, dict) else None
    if role not in ("user", "assistant"):
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
        match part.get("type") if isinstance(part, dict) else None:
            case "text":
                parts.append({"type": "text", "text": part.get("text")})
            case "image":
                parts.append({"type": "image_url", "image_url": {"url": _image(part.get("source"), where)}})
            case "thinking" | "redacted_thinking":
                continue
            case "tool_use":
                function = {"name": part.get("name"), "arguments": json.dumps(part.get("input"))}
                calls.append({"id": part.get("id"), "type": "function", "function": function})
            case "tool_result":
                text = _text(part.get("content", ""), f"{where}.content")
                results.append({"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": text})
            case _:
                raise bad(where, "must be a part of type text, image, tool_use or tool_result")
    turns = results
    if parts or calls:
        own: dict[str, Any] = {"role": role, "content": parts or None}
        turns = [*turns, {**own, "tool_calls": calls} if calls else own]
    return turns


def _image(source: Any, at: str) -> str:
    if isinstance(source, dict) and source.get("type") == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    if isinstance(source, dict) and source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    raise bad(f"{at}.source", "must be of type base64 or url")


def _tool(tool: Any, at: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str) or "input_schema" not in tool:
        raise bad(at, "must have a name and an input_schema")
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


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
        if "mull" in chunk:
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

    def fail(self, error: ApiError) -> bytes:
        return named("error", error=_error(error))
