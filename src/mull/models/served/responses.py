"""Requests of the Responses API (OpenAI's), which other servers have as well; nothing is stored at the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mull.types import FilePart, ImagePart, Message, Params, Part, Prompt, TextPart


def fields(prompt: Prompt, params: Params) -> dict[str, Any]:
    """The fields of a request beside the model and what every API has."""
    body: dict[str, Any] = {"store": False, "max_output_tokens": params.max_tokens}
    body["input"] = [item for message in prompt.messages for item in _items(message)]
    if prompt.prefix:
        body["input"].append(_message("assistant", prompt.prefix))
    if prompt.tools:
        body["tools"] = [
            {"type": "function", "name": tool.name, "parameters": json.loads(tool.parameters), "strict": False}
            | ({"description": tool.description} if tool.description else {})
            for tool in prompt.tools
        ]
    if params.effort is not None:
        body["reasoning"] = {"effort": params.effort}
    if params.response_format is not None:
        told = json.loads(params.response_format)
        # The chat API has the schema in an object of its own; here its fields stand beside the type.
        inner = told.get("json_schema")
        body["text"] = {"format": {"type": told["type"], **inner} if isinstance(inner, Mapping) else told}
    if params.logprobs is not None:
        body |= {"include": ["message.output_text.logprobs"], "top_logprobs": params.logprobs}
    return body


def _items(message: Message) -> list[dict[str, Any]]:
    """The input items of a message: itself, the calls that it makes, or the result of one."""
    if message.tool_call_id is not None:
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}]
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    return ([_message(message.role, message.content)] if message.content else []) + calls


def _message(role: str, content: str | tuple[Part, ...]) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": content if isinstance(content, str) else [_part(part) for part in content],
    }


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "input_text", "text": text}
        case ImagePart(url, detail):
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case FilePart(filename, data, file_id):
            told = {"filename": filename, "file_data": data, "file_id": file_id}
            return {"type": "input_file", **{name: value for name, value in told.items() if value is not None}}
