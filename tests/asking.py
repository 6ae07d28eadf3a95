"""Requests of all four forms, and what a client is told of an error in each."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

ROUTES = ("chat/completions", "completions", "responses", "messages")


def asked(route: str, model: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """The body of a request in the form of a route."""
    turns = [{"role": "user", "content": text}]
    own: dict[str, Any] = {
        "chat/completions": {"messages": turns},
        "completions": {"prompt": text},
        "responses": {"input": text},
        "messages": {"messages": turns, "max_tokens": 30},
    }[route]
    return {"model": model, **own, **fields}


async def post(url: str, route: str, body: dict[str, Any], key: str = "none") -> tuple[int, Mapping[str, str], str]:
    """Status, headers and text of a reply."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/{route}", json=body, headers=headers) as response,
    ):
        return response.status, response.headers, await response.text()


def error_of(route: str, text: str) -> dict[str, Any]:
    """The error of a whole reply, checked for its form; its `is` is the code, or the type where a form has no codes."""
    told = json.loads(text)
    assert (told.get("type") == "error") == (route == "messages")
    error: dict[str, Any] = told["error"]
    return {**error, "is": error["type" if route == "messages" else "code"]}


def last_error(route: str, text: str) -> dict[str, Any]:
    """The error that a stream ends with, checked for its form."""
    assert text.endswith("\n\n")
    lines = text.rstrip("\n").split("\n\n")[-1].split("\n")
    told = json.loads(lines[-1].removeprefix("data: "))
    if route in ("chat/completions", "completions"):
        assert len(lines) == 1
        error: dict[str, Any] = told["error"]
        return {**error, "is": error["code"]}
    assert lines[0] == f"event: {told['type']}"
    if route == "messages":
        assert told.keys() == {"type", "error"}
        assert told["type"] == "error"
        return {**told["error"], "is": told["error"]["type"]}
    response = told["response"]
    assert (told["type"], response["object"], response["status"]) == ("response.failed", "response", "failed")
    assert type(told["sequence_number"]) is int
    return {**response["error"], "is": response["error"]["type"]}


def pieces(route: str, text: str) -> list[str]:
    """The pieces of text that a stream told."""
    found = []
    for line in text.split("\n"):
        if line.startswith("data: {"):
            told = json.loads(line[6:])
            match route:
                case "chat/completions":
                    found += [choice["delta"].get("content") for choice in told.get("choices", ())]
                case "completions":
                    found += [choice["text"] for choice in told.get("choices", ())]
                case "responses" if told["type"] == "response.output_text.delta":
                    found.append(told["delta"])
                case "messages" if told["type"] == "content_block_delta":
                    found.append(told["delta"]["text"])
    return [piece for piece in found if piece]
