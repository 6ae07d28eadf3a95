"""`/v1/responses`: chats in the form of OpenAI's responses API. Nothing is stored, and nothing can be gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mull.serve.blocks import with_results_shown
from mull.serve.expect import a_text, may_be, may_be_text, one_of
from mull.serve.faults import ApiError, bad
from mull.serve.fields import RequestFields, ResponseFields
from mull.serve.forms import Translator, refuse, unknown
from mull.serve.response_events import (
    ResponseEvents,
    call_item,
    closed,
    logprobs_of,
    message_item,
    opened,
    text_part,
    thought_item,
)
from mull.wire.routes import CHAT

NOT_HERE = {
    "previous_response_id": "nothing is stored here: send the whole conversation as input",
    "conversation": "nothing is stored here: send the whole conversation as input",
    "prompt": "nothing is stored here: send the prompt as input and instructions",
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
    "service_tier",
    "parallel_tool_calls",
    "top_logprobs",
)
"""Fields that have the same name and meaning in a chat."""

LOGPROBS = "message.output_text.logprobs"
"""What a request includes to get log-probabilities."""
ITEMS = ("message", "function_call", "function_call_output", "reasoning")
"""The types of items of an input; what an earlier response thought is not sent again."""
PARTS = ("input_text", "output_text", "text", "refusal", "input_image", "input_file")
"""The types of parts of a message."""


class Responses:
    """The form of OpenAI's responses API."""

    fields: ClassVar[type[RequestFields]] = ResponseFields
    path: ClassVar[str] = CHAT
    names: ClassVar[Mapping[str, str]] = {
        "messages": "input",
        "max_completion_tokens": "max_output_tokens",
        "max_tokens": "max_output_tokens",
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
    }

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        refuse(body, NOT_HERE)
        chat = {name: body[name] for name in OWN if body.get(name) is not None} | unknown(self.fields, body)
        told: list[dict[str, Any]] = []
        if body.get("instructions") is not None:
            told.append({"role": "system", "content": body["instructions"]})
        if isinstance(items := body["input"], str):
            told.append({"role": "user", "content": items})
        else:
            for i, item in enumerate(items):
                _add(told, item, f"input[{i}]")
        if not told:
            raise bad("input", "must have a message")
        chat["messages"] = with_results_shown(told)
        if LOGPROBS in (body.get("include") or ()) or body.get("top_logprobs"):
            chat["logprobs"] = True
        else:
            chat.pop("top_logprobs", None)
        if body.get("max_output_tokens") is not None:
            chat["max_completion_tokens"] = body["max_output_tokens"]
        if (effort := (body.get("reasoning") or {}).get("effort")) is not None:
            chat["reasoning_effort"] = effort
        if tools := body.get("tools"):
            chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        if (choice := body.get("tool_choice")) is not None:
            chat["tool_choice"] = _tool_choice(choice)
        text = body.get("text") or {}
        if text.get("verbosity") is not None:
            chat["verbosity"] = text["verbosity"]
        if (form := text.get("format")) is not None:
            schema = {name: value for name, value in form.items() if name != "type"}
            is_schema = form["type"] == "json_schema"
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
            output.append(message_item(id, [text_part(message.get("content") or "", logprobs_of(choice))]))
        for i, call in enumerate(message.get("tool_calls") or ()):
            output.append(call_item(id, i, call["id"], call["function"]["name"], call["function"]["arguments"]))
        return closed(response, output, choice["finish_reason"], reply.get("usage"), reply.get("mull"))

    def stream(self, body: Mapping[str, Any]) -> Translator:
        return ResponseEvents(body)

    def error(self, error: ApiError) -> dict[str, Any]:
        return error.body


def _add(told: list[dict[str, Any]], item: dict[str, Any], at: str) -> None:
    """Adds an item of the input to a chat's messages."""
    match one_of({"type": "message", **item}, ITEMS, at):
        case "message":
            role = item.get("role")
            if role not in ("user", "assistant", "system", "developer"):
                raise bad(f"{at}.role", "must be user, assistant, system or developer")
            told.append({"role": role, "content": _content(item.get("content"), f"{at}.content")})
        case "function_call":
            function = {"name": a_text(item, "name", at), "arguments": a_text(item, "arguments", at)}
            call = {"id": a_text(item, "call_id", at), "type": "function", "function": function}
            if told and told[-1].get("tool_calls"):
                told[-1]["tool_calls"].append(call)
            else:
                told.append({"role": "assistant", "content": None, "tool_calls": [call]})
        case "function_call_output":
            output = _content(item.get("output"), f"{at}.output")
            told.append({"role": "tool", "tool_call_id": a_text(item, "call_id", at), "content": output})


def _content(content: Any, at: str) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise bad(at, "must be a text or a list of parts")
    return [_part(part, f"{at}[{i}]") for i, part in enumerate(content)]


def _part(part: Any, at: str) -> dict[str, Any]:
    kind = one_of(part, PARTS, at)
    if kind == "input_image":
        image = {"url": a_text(part, "image_url", at), "detail": may_be_text(part, "detail", at)}
        return {"type": "image_url", "image_url": {k: v for k, v in image.items() if v is not None}}
    if kind == "input_file":
        file = {name: may_be_text(part, name, at) for name in ("filename", "file_data", "file_id")}
        return {"type": "file", "file": {k: v for k, v in file.items() if v is not None}}
    return {"type": "text", "text": a_text(part, "refusal" if kind == "refusal" else "text", at)}


def _tool(tool: dict[str, Any], at: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise bad(f"{at}.type", 'must be "function": the tools of OpenAI itself are not here')
    a_text(tool, "name", at)
    may_be(str, "a text", tool, ("description",), at)
    may_be(bool, "true or false", tool, ("strict",), at)
    may_be(dict, "a JSON Schema", tool, ("parameters",), at)
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if one_of(choice, ("function", "allowed_tools"), "tool_choice") == "function":
        return {"type": "function", "function": {"name": a_text(choice, "name", "tool_choice")}}
    return choice
