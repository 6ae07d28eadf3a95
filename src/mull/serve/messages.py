"""Messages, tools and sampling fields of a chat request, as a prompt and its parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from mull.serve.faults import bad
from mull.serve.fields import ChatFields
from mull.types import FilePart, ImagePart, Message, Params, Part, Prompt, TextPart, Tool, ToolCall

ROLES = ("system", "developer", "user", "assistant", "tool")
READ = {"role", "content", "tool_calls", "tool_call_id"}
TOLD_BACK = {
    "refusal",
    "annotations",
    "audio",
    "reasoning",
    "reasoning_content",
    "thinking",
    "provider_specific_fields",
}
"""What clients send back from an earlier reply, and no server reads."""
INERT = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "prediction",
    "moderation",
    "verbosity",
    "parallel_tool_calls",
}
"""Fields that change no reply of a model in this process."""
NEUTRAL: Mapping[str, Any] = {"frequency_penalty": 0, "presence_penalty": 0, "tool_choice": "none", "logit_bias": {}}
"""Values of further fields that change nothing."""


Names = Literal["carried", "inert", "refused"]
"""What the `name` of a message is to a model: an API may have none, and a model in this process does not read it."""


def prompt_of(fields: ChatFields, names: Names) -> Prompt:
    """The conversation of a request. Raises `ApiError` with the path of what cannot be carried."""
    turns = tuple(_message(turn, f"messages[{i}]", names) for i, turn in enumerate(fields.messages))
    return Prompt(turns, tools=tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(fields.tools or ())))


def params_of(fields: ChatFields, temperature: float, max_tokens: int, *, is_embedded: bool) -> Params:
    """The sampling parameters of a request; the first two are for a request that does not say.

    What is left goes to the model's server as it is. A model in this process has none: it gets what it would refuse,
    and not what means nothing to it.
    """
    extra = fields.rest
    if fields.tools:
        extra["tools"] = fields.tools  # with what a `Tool` does not hold
    if is_embedded:
        extra = {name: value for name, value in extra.items() if not _is_inert(name, value)}
    stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
    return Params(
        temperature if fields.temperature is None else fields.temperature,
        max_tokens if fields.most_tokens is None else fields.most_tokens,
        tuple(filter(None, stop)),
        1.0 if fields.top_p is None else fields.top_p,
        max(0, fields.top_k or 0),
        logprobs=(fields.top_logprobs or 0) if fields.logprobs else None,
        effort=fields.reasoning_effort,
        response_format=None if _is_text(fields.response_format) else json.dumps(fields.response_format),
        extra=json.dumps(extra, sort_keys=True) if extra else "{}",
    )


def _is_inert(name: str, value: Any) -> bool:
    return value is None or name in INERT or (name in NEUTRAL and value == NEUTRAL[name])


def _is_text(told: Mapping[str, Any] | None) -> bool:
    return told is None or told == {"type": "text"}


def _message(turn: dict[str, Any], at: str, names: Names) -> Message:
    role = turn.get("role")
    if role not in ROLES:
        raise bad(f"{at}.role", f"must be one of {', '.join(ROLES)}")
    for name, value in turn.items():
        is_read = name in READ or (name == "name" and names != "refused")
        if not is_read and name not in TOLD_BACK and value is not None:
            raise bad(f"{at}.{name}", "a preset cannot carry this field; the model itself, without @, takes it")
    calls = turn.get("tool_calls") or []
    if not isinstance(calls, list):
        raise bad(f"{at}.tool_calls", "must be a list")
    content = turn.get("content")
    if content is None and not (role == "assistant" and calls):
        raise bad(f"{at}.content", "must be a text or a list of parts")
    told = turn.get("tool_call_id")
    if role == "tool" and not isinstance(told, str):
        raise bad(f"{at}.tool_call_id", "must be a text: the call that this message answers")
    called = turn.get("name")
    if called is not None and not isinstance(called, str):
        raise bad(f"{at}.name", "must be a text")
    return Message(
        role,
        _content(content, f"{at}.content"),
        tuple(_call(call, f"{at}.tool_calls[{i}]") for i, call in enumerate(calls)),
        told if role == "tool" else None,
        called if names == "carried" else None,
    )


def _content(content: Any, at: str) -> str | tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not content:
        raise bad(at, "must be a text or a list of parts")
    parts = tuple(_part(part, f"{at}[{i}]") for i, part in enumerate(content))
    # A single text in parts is a text: models in this process read no parts.
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], TextPart) else parts


def _part(part: Any, at: str) -> Part:
    told = part if isinstance(part, dict) else {}
    match told.get("type"):
        case "text" if isinstance(told.get("text"), str):
            return TextPart(told["text"])
        case "refusal" if isinstance(told.get("refusal"), str):
            return TextPart(told["refusal"])  # what the assistant said, told back
        case "image_url" if isinstance(image := told.get("image_url"), dict) and isinstance(image.get("url"), str):
            detail = image.get("detail")
            return ImagePart(image["url"], detail if isinstance(detail, str) else None)
        case "file" if isinstance(file := told.get("file"), dict):
            texts = [file.get(name) for name in ("filename", "file_data", "file_id")]
            if all(text is None or isinstance(text, str) for text in texts):
                return FilePart(*texts)
    raise bad(at, 'must be a part of type "text", "image_url" or "file", with its field of that name')


def _call(call: Any, at: str) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise bad(f"{at}.function", "must be an object with a name and arguments")
    texts = {"id": call.get("id"), "function.name": function.get("name")}
    texts["function.arguments"] = function.get("arguments")
    for name, text in texts.items():
        if not isinstance(text, str):
            raise bad(f"{at}.{name}", "must be a text")
    return ToolCall(call["id"], function["name"], function["arguments"])


def _tool(tool: dict[str, Any], at: str) -> Tool:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise bad(at, 'must have the type "function", and an object of that name')
    if not isinstance(function.get("name"), str):
        raise bad(f"{at}.function.name", "must be a text")
    told = function.get("parameters")
    parameters = {"type": "object", "properties": {}} if told is None else told
    if not isinstance(parameters, dict):
        raise bad(f"{at}.function.parameters", "must be a JSON Schema")
    description = function.get("description")
    return Tool(function["name"], json.dumps(parameters), description if isinstance(description, str) else "")
