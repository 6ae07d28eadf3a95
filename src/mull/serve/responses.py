"""`/v1/responses`: chats in the form of OpenAI's responses API. Nothing is stored, and nothing can be gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mull.serve.faults import ApiError, bad
from mull.serve.fields import RequestFields, ResponseFields
from mull.serve.forms import Translator, listed, refuse
from mull.serve.response_events import ResponseEvents, call_item, closed, message_item, opened, text_part, thought_item
from mull.wire.routes import CHAT

NOT_HERE = {
    "previous_response_id": "nothing is stored here: send the whole conversation as input",
    "conversation": "nothing is stored here: send the whole conversation as input",
    "background": "a request is answered while its client waits",
}
OWN = (
    "model",
    "stream",
    "temperature",
    "top_p",
    "seed",
    "mull",
    "user",
    "metadata",
    "parallel_tool_calls",
    "top_logprobs",
)
"""Fields that have the same name and meaning in a chat."""


class Responses:
    """The form of OpenAI's responses API."""

    fields: ClassVar[type[RequestFields]] = ResponseFields
    path: ClassVar[str] = CHAT

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        refuse(body, NOT_HERE)
        chat = {name: body[name] for name in OWN if body.get(name) is not None}
        told: list[dict[str, Any]] = []
        if body.get("instructions") is not None:
            told.append({"role": "system", "content": body["instructions"]})
        items = body.get("input")
        if isinstance(items, str):
            told.append({"role": "user", "content": items})
        elif isinstance(items, list) and items:
            for i, item in enumerate(items):
                _add(told, item, f"input[{i}]")
        else:
            raise bad("input", "must be a text or a list of items")
        chat["messages"] = told
        if body.get("max_output_tokens") is not None:
            chat["max_completion_tokens"] = body["max_output_tokens"]
        if isinstance(effort := body.get("reasoning"), dict) and effort.get("effort") is not None:
            chat["reasoning_effort"] = effort["effort"]
        if tools := listed(body, "tools"):
            chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        if (choice := body.get("tool_choice")) is not None:
            is_named = isinstance(choice, dict) and choice.get("type") == "function"
            chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}} if is_named else choice
        form = (body.get("text") or {}).get("format") if isinstance(body.get("text"), dict) else None
        if isinstance(form, dict):
            schema = {name: value for name, value in form.items() if name != "type"}
            is_schema = form.get("type") == "json_schema"
            chat["response_format"] = {"type": "json_schema", "json_schema": schema} if is_schema else form
        if body.get("stream"):
            chat["stream_options"] = {"include_usage": True}
        return chat

    def whole(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        choice = reply["choices"][0]
        message = choice["message"]
        response = opened(reply, body)
        id, output = response["id"], []
        if thought := message.get("reasoning_content"):
            output.append(thought_item(id, thought))
        if message.get("refusal"):
            output.append(message_item(id, [{"type": "refusal", "refusal": message["refusal"]}]))
        elif message.get("content") or not message.get("tool_calls"):
            output.append(message_item(id, [text_part(message.get("content") or "")]))
        for i, call in enumerate(message.get("tool_calls") or ()):
            output.append(call_item(id, i, call["id"], call["function"]["name"], call["function"]["arguments"]))
        return closed(response, output, choice["finish_reason"], reply.get("usage"), reply.get("mull"))

    def stream(self, body: Mapping[str, Any]) -> Translator:
        return ResponseEvents(body)

    def error(self, error: ApiError) -> dict[str, Any]:
        return error.body


def _add(told: list[dict[str, Any]], item: Any, at: str) -> None:
    """Adds an item of the input to a chat's messages."""
    kind = item.get("type", "message") if isinstance(item, dict) else None
    match kind:
        case "message":
            told.append({"role": item.get("role"), "content": _content(item.get("content"), f"{at}.content")})
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            if told and told[-1].get("tool_calls"):
                told[-1]["tool_calls"].append(call)
            else:
                told.append({"role": "assistant", "content": None, "tool_calls": [call]})
        case "function_call_output":
            told.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")})
        case "reasoning":
            return
        case _:
            raise bad(at, "must be a message, function_call, function_call_output or reasoning")


def _content(content: Any, at: str) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise bad(at, "must be a text or a list of parts")
    parts: list[dict[str, Any]] = []
    for i, part in enumerate(content):
        match part.get("type") if isinstance(part, dict) else None:
            case "input_text" | "output_text" | "text":
                parts.append({"type": "text", "text": part.get("text")})
            case "input_image":
                image = {"url": part.get("image_url"), "detail": part.get("detail")}
                parts.append({"type": "image_url", "image_url": {k: v for k, v in image.items() if v is not None}})
            case "input_file":
                file = {name: part.get(name) for name in ("filename", "file_data", "file_id")}
                parts.append({"type": "file", "file": {k: v for k, v in file.items() if v is not None}})
            case "refusal":
                parts.append({"type": "text", "text": part.get("refusal")})
            case _:
                raise bad(f"{at}[{i}]", "must be a part of type input_text, output_text, input_image or input_file")
    return parts


def _tool(tool: Any, at: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise bad(at, 'must have the type "function": the tools of OpenAI itself are not here')
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
