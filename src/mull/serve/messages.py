"""Messages, tools and sampling fields of a chat request, as a prompt and its parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from mull.serve.expect import a_text, an_object, may_be, may_be_text, one_of
from mull.serve.faults import bad, in_body
from mull.serve.fields import ChatFields
from mull.types import FilePart, ImagePart, Message, Model, Params, Part, Prompt, TextPart, Tool, ToolCall

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
BESIDE = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
}
"""Fields that change no reply."""
INERT = BESIDE | {
    "prediction",
    "moderation",
    "verbosity",
    "parallel_tool_calls",
}
"""Fields that change no reply of a model in this process."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "tool_choice": ("none", "auto"),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "functions": ([],),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
}
"""Values of further fields that change nothing, where no tools are offered."""


Names = Literal["carried", "inert", "refused"]
"""What the `name` of a message is to a model: an API may have none, and a model in this process does not read it."""


def prompt_of(fields: ChatFields, names: Names) -> Prompt:
    """The conversation of a request. Raises `ApiError` with the path of what cannot be carried."""
    turns = tuple(_message(turn, f"messages[{i}]", names) for i, turn in enumerate(fields.messages))
    _check_tool_choice(fields.tool_choice)
    for name in fields.metadata or ():
        may_be(str, "a text", fields.metadata or {}, (name,), "metadata")
    return Prompt(turns, tools=tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(fields.tools or ())))


def params_of(fields: ChatFields, temperature: float, max_tokens: int, *, is_embedded: bool) -> Params:
    """The sampling parameters of a request; the first two are for a request that does not say.

    What is left goes to the model's server as it is. A model in this process has none: it gets what it would refuse,
    and not what means nothing to it.
    """
    if fields.top_logprobs and not fields.logprobs:
        raise bad("top_logprobs", "goes with logprobs, which must be true")
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
    return name in INERT or _is_neutral(name, value)


def _is_neutral(name: str, value: Any) -> bool:
    return value is None or (name in NEUTRAL and value in NEUTRAL[name])


def is_usual(fields: ChatFields, temperature: float) -> bool:
    """Whether a request draws from the distribution of one that says nothing, but for the length of replies."""
    params = params_of(fields, temperature, 1, is_embedded=False)
    extra = {name: value for name, value in json.loads(params.extra).items() if not _is_neutral(name, value)}
    return extra.keys() <= BESIDE and replace(params, max_tokens=1, logprobs=None, extra="{}") == Params(temperature, 1)


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
    may_be(list, "a list", turn, ("tool_calls", "annotations"), at)
    may_be(dict, "an object", turn, ("audio",), at)
    may_be(str, "a text", turn, ("refusal", "tool_call_id", "name"), at)
    calls = turn.get("tool_calls") or []
    content = turn.get("content")
    if content is None and not (role == "assistant" and calls):
        raise bad(f"{at}.content", "must be a text or a list of parts")
    told = turn.get("tool_call_id")
    if role == "tool" and not isinstance(told, str):
        raise bad(f"{at}.tool_call_id", "must be a text: the call that this message answers")
    return Message(
        role,
        _content(content, f"{at}.content"),
        tuple(_call(call, f"{at}.tool_calls[{i}]") for i, call in enumerate(calls)),
        told if role == "tool" else None,
        turn.get("name") if names == "carried" else None,
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
    match one_of(part, ("text", "refusal", "image_url", "file"), at):
        case "text":
            return TextPart(a_text(part, "text", at))
        case "refusal":
            return TextPart(a_text(part, "refusal", at))  # what the assistant said, told back
        case "image_url":
            image = an_object(part, "image_url", at)
            where = f"{at}.image_url"
            return ImagePart(a_text(image, "url", where), may_be_text(image, "detail", where))
    file = an_object(part, "file", at)
    return FilePart(*(may_be_text(file, name, f"{at}.file") for name in ("filename", "file_data", "file_id")))


def _call(call: Any, at: str) -> ToolCall:
    if not isinstance(call, dict):
        raise bad(at, "must be an object")
    if call.get("type") not in (None, "function"):
        raise bad(f"{at}.type", 'must be "function"')
    function, where = an_object(call, "function", at), f"{at}.function"
    return ToolCall(a_text(call, "id", at), a_text(function, "name", where), a_text(function, "arguments", where))


def _tool(tool: dict[str, Any], at: str) -> Tool:
    if tool.get("type") != "function":
        raise bad(f"{at}.type", 'must be "function"')
    function, where = an_object(tool, "function", at), f"{at}.function"
    may_be(dict, "a JSON Schema", function, ("parameters",), where)
    may_be(bool, "true or false", function, ("strict",), where)
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    description = may_be_text(function, "description", where) or ""
    return Tool(a_text(function, "name", where), json.dumps(parameters), description)


def _check_tool_choice(choice: str | dict[str, Any] | None) -> None:
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise bad("tool_choice", "must be none, auto, required, or an object that names a tool")
    elif choice is not None and one_of(choice, ("function", "allowed_tools", "custom"), "tool_choice") == "function":
        a_text(an_object(choice, "function", "tool_choice"), "name", "tool_choice.function")


def check_accepted(model: Model, prompt: Prompt, params: Params) -> None:
    """Raises `ApiError` for a request that the model refuses, with the path of the first field that it does not take.

    Each field is offered to the model alone.
    """
    if model.refuses(prompt, params) is None:
        return
    plain, usual = Prompt.user("?"), Params()
    alone: list[tuple[str, Prompt, Params]] = [
        ("tools", replace(plain, tools=prompt.tools), usual),
        ("response_format", plain, replace(usual, response_format=params.response_format)),
        ("reasoning_effort", plain, replace(usual, effort=params.effort)),
        ("temperature", plain, replace(usual, temperature=params.temperature)),
        ("top_p", plain, replace(usual, top_p=params.top_p)),
        *(
            (name, plain, replace(usual, extra=json.dumps({name: value})))
            for name, value in json.loads(params.extra).items()
        ),
        ("messages", replace(prompt, tools=()), usual),
        ("model", prompt, params),
    ]
    refused = ((path, model.refuses(asked, few)) for path, asked, few in alone)
    path, why = next((path, why) for path, why in refused if why is not None)
    raise bad(path, in_body(f"{model.name} {why}"))
