"""A server's chat reply in the shape that the API's reference gives it, so that other forms can be made of it.

Servers send parts of texts as lists, arguments of tools as objects, and leave out what they think nobody reads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mull.wire.finishes import finish_name
from mull.wire.replies import REASONING


def shaped(told: Mapping[str, Any], *, is_chunk: bool = False) -> dict[str, Any]:
    """A whole reply, or a chunk of a stream, of which every field has its type; what cannot be read is left out."""
    usage, created = told.get("usage"), told.get("created")
    return {
        **told,
        "id": told["id"] if isinstance(told.get("id"), str) else "",
        "created": created if type(created) is int else int(time.time()),
        "choices": [_choice(one, i, is_chunk) for i, one in enumerate(_rows(told.get("choices")))],
        "usage": _usage(usage) if isinstance(usage, dict) else None,
    }


def _choice(told: Mapping[str, Any], place: int, is_chunk: bool) -> dict[str, Any]:
    index, name = told.get("index"), "delta" if is_chunk else "message"
    said = told.get(name)
    return {
        **told,
        "index": index if type(index) is int else place,
        "finish_reason": _finish(_text(told.get("finish_reason")), is_chunk),
        "logprobs": _logprobs(told.get("logprobs")),
        name: _message(said if isinstance(said, dict) else {}, is_chunk),
    }


def _finish(told: str | None, is_chunk: bool) -> str | None:
    """Why the reply ended, by a name of the chat API; one that the server broke off was cut."""
    if told is None:
        return None if is_chunk else "stop"
    name = finish_name(told)
    return "length" if name == "error" else name


def _logprobs(told: Any) -> dict[str, Any] | None:
    """The log-probabilities of a reply's tokens, without rows that are none."""
    rows = [
        {**row, "top_logprobs": [top for top in map(_token, _rows(one.get("top_logprobs"))) if top]}
        for one in _rows(told.get("content") if isinstance(told, dict) else None)
        if (row := _token(one))
    ]
    return {"content": rows, "refusal": None} if rows else None


def _token(told: Mapping[str, Any]) -> dict[str, Any] | None:
    token, logprob, raw = told.get("token"), told.get("logprob"), told.get("bytes")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return {"token": token, "logprob": logprob, "bytes": raw if isinstance(raw, list) else None}


def _message(said: Mapping[str, Any], is_chunk: bool) -> dict[str, Any]:
    thought = next((text for name in REASONING if (text := _text(said.get(name)))), None)
    calls = [_call(call, i, is_chunk) for i, call in enumerate(_rows(said.get("tool_calls")))]
    return {
        **{name: value for name, value in said.items() if name not in REASONING},
        "content": _text(said.get("content")),
        "refusal": _text(said.get("refusal")),
        **({"reasoning_content": thought} if thought else {}),
        # The first piece of a call has its name, and so has a call that is whole.
        "tool_calls": [call for call in calls if is_chunk or call["function"]["name"]],
    }


def _call(told: Mapping[str, Any], place: int, is_chunk: bool) -> dict[str, Any]:
    function, index = told.get("function"), told.get("index")
    function = function if isinstance(function, dict) else {}
    name, arguments = _text(function.get("name")), function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments) if isinstance(arguments, dict) else "" if is_chunk else "{}"
    index = index if type(index) is int else place
    id = _text(told.get("id")) or (None if is_chunk and not name else f"call_{index}")
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _usage(told: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: told.get(name) for name in ("prompt_tokens", "completion_tokens")}
    details = {
        name: {part: n for part, n in value.items() if type(n) is int}
        for name, value in told.items()
        if name.endswith("_details") and isinstance(value, dict)
    }
    more = {name: value for name, value in told.items() if not name.endswith("_details")}
    return {**more, **details, **{name: value if type(value) is int else 0 for name, value in counts.items()}}


def _rows(told: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []


def _text(told: Any) -> str | None:
    """A text, or those of a list of parts; `None` if there is none."""
    if isinstance(told, list):
        told = "".join(part["text"] for part in _rows(told) if isinstance(part.get("text"), str))
    return told if isinstance(told, str) and told else None
