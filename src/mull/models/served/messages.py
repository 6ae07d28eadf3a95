"""Conversations, tools and response formats, as fields of chat requests."""

from __future__ import annotations

import json
from typing import Any

from mull.types import FilePart, ImagePart, Message, Params, Part, Prompt, TextPart


def turns(prompt: Prompt) -> list[dict[str, Any]]:
    """The messages of a chat request."""
    return [_turn(message) for message in prompt.messages]


def _turn(message: Message) -> dict[str, Any]:
    content = message.content if isinstance(message.content, str) else [_part(part) for part in message.content]
    turn: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        turn["name"] = message.name
    return turn


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(url, detail):
            return {"type": "image_url", "image_url": {"url": url} | ({} if detail is None else {"detail": detail})}
        case FilePart(filename, data, file_id):
            told = {"filename": filename, "file_data": data, "file_id": file_id}
            return {"type": "file", "file": {name: value for name, value in told.items() if value is not None}}


def fields(prompt: Prompt, params: Params) -> dict[str, Any]:
    """The request fields for tools, response format and reasoning effort; only those that are set."""
    body: dict[str, Any] = {}
    if prompt.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "parameters": json.loads(tool.parameters)}
                | ({"description": tool.description} if tool.description else {}),
            }
            for tool in prompt.tools
        ]
    if params.response_format is not None:
        body["response_format"] = json.loads(params.response_format)
    if params.effort is not None:
        body["reasoning_effort"] = params.effort
    return body
