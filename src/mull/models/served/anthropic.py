"""Requests of the Messages API (Anthropic's), which other servers have as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mull.errors import UsageError
from mull.models.served.capabilities import Capabilities
from mull.types import FilePart, ImagePart, Params, Part, Prompt, TextPart, ToolCall

HEADERS = {"anthropic-version": "2023-06-01"}
KEY_HEADER = "x-api-key"


def fields(prompt: Prompt, params: Params, can: Capabilities) -> dict[str, Any]:
    """The fields of a request beside the model and what every API has. Raises `UsageError` for what has no field."""
    body: dict[str, Any] = {"max_tokens": params.max_tokens}
    if system := "\n\n".join(message.text for message in prompt.messages if message.role == "system"):
        body["system"] = system
    body["messages"] = _turns(prompt)
    if prompt.prefix:
        body["messages"].append({"role": "assistant", "content": prompt.prefix})
    # A stop sequence of white space alone is refused; the client cuts the reply there.
    if (stops := [stop for stop in params.stop if stop.strip()]) and can.stop != "ignored":
        body["stop_sequences"] = stops
    if prompt.tools:
        body["tools"] = [
            {"name": tool.name, "input_schema": json.loads(tool.parameters)}
            | ({"description": tool.description} if tool.description else {})
            for tool in prompt.tools
        ]
    output: dict[str, Any] = {}
    if params.effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif params.effort is not None:
        output["effort"] = params.effort
        if "adaptive" not in can.rejects:
            body["thinking"] = {"type": "adaptive"}
    if params.response_format is not None:
        output["format"] = _format(json.loads(params.response_format))
    return body | ({"output_config": output} if output else {})


def _turns(prompt: Prompt) -> list[dict[str, Any]]:
    """The turns of a conversation without its system messages; results of tools are parts of one user turn."""
    turns: list[dict[str, Any]] = []
    for message in prompt.messages:
        if message.role == "system":
            continue
        content: str | list[dict[str, Any]] = (
            message.content if isinstance(message.content, str) else [_part(part) for part in message.content]
        )
        if message.tool_call_id is not None:
            result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}
            if turns and turns[-1].get("role") == "user" and _is_result(turns[-1]["content"]):
                turns[-1]["content"].append(result)
            else:
                turns.append({"role": "user", "content": [result]})
            continue
        if message.tool_calls:
            text = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
            content = [*(part for part in text if isinstance(part, dict)), *map(_call, message.tool_calls)]
        turns.append({"role": message.role, "content": content})
    return turns


def _is_result(content: Any) -> bool:
    return isinstance(content, list) and content[-1].get("type") == "tool_result"


def _call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise UsageError(f"the arguments of the tool call {call.id} are no JSON object, which the Messages API needs")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(url, _):
            return {"type": "image", "source": _source(url)}
        case FilePart(_, data, file_id):
            source = _source(data) if data is not None else {"type": "file", "file_id": file_id}
            return {"type": "document", "source": source}


def _source(url: str) -> dict[str, str]:
    """The source of an image or file: its address, or the data of a `data:` URL."""
    kind, is_data, data = url.removeprefix("data:").partition(";base64,")
    if is_data and url.startswith("data:"):
        return {"type": "base64", "media_type": kind, "data": data}
    return {"type": "url", "url": url}


def _format(told: Mapping[str, Any]) -> dict[str, Any]:
    """The output format for a `response_format` of the chat API."""
    schema = told.get("json_schema")
    if told.get("type") != "json_schema" or not isinstance(schema, Mapping) or "schema" not in schema:
        raise UsageError("the Messages API takes a response_format of the type json_schema alone")
    return {"type": "json_schema", "schema": schema["schema"]}
