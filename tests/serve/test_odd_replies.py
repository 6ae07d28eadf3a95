"""Replies of a server that are not as the API's reference says: other forms are made of them all the same."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from asking import asked, post
from fault_server import FaultServer

Make = Callable[..., Any]
CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
WHOLE: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "words",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "hi",
                "reasoning_content": "so",
                "refusal": None,
                "tool_calls": [CALL],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}


class Telling(FaultServer):
    """Tells `reply`, whole or as a stream of one event."""

    reply: dict[str, Any]

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(self.reply)
        chunk = copy.deepcopy(self.reply)
        for choice in chunk["choices"] if isinstance(chunk.get("choices"), list) else ():
            if isinstance(choice, dict) and "message" in choice:
                choice["delta"] = choice.pop("message")
        text = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        return web.Response(text=text, content_type="text/event-stream")


def changed() -> Iterator[dict[str, Any]]:
    """The reply with one field after the other left out, or of other types."""

    def places(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        rows = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
        for key, value in rows:
            yield (*path, key)
            yield from places(value, (*path, key))

    for *path, last in places(WHOLE):
        for value in ("left out", None, 7, "text", [{"type": "text", "text": "a"}], {"a": 1}):
            reply = copy.deepcopy(WHOLE)
            inner: Any = reply
            for key in path:
                inner = inner[key]
            if value != "left out":
                inner[last] = value
            elif isinstance(inner, dict):
                del inner[last]
            yield reply


@pytest.mark.parametrize("route", ["messages", "responses", "chat/completions"])
async def test_no_shape_of_a_reply_fails_the_gateway(
    gateway: Make, caplog: pytest.LogCaptureFixture, route: str
) -> None:
    async with Telling() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\nbackoff = 0.001\nretries = 0\n'
        async with gateway(text) as served:
            for i, upstream.reply in enumerate(changed()):
                is_streamed = bool((i + i // 6) % 2)
                status, _, text = await post(served.url, route, asked(route, "words", stream=is_streamed))
                assert status in (200, 502), (upstream.reply, text)
                ends = ("[DONE]", "message_stop", "response.completed", "response.incomplete", "error")
                assert not is_streamed or any(end in text for end in ends), (upstream.reply, text)
                is_streamed or json.loads(text)
    assert not [record for record in caplog.records if record.exc_info]


async def test_arguments_of_tools_that_are_an_object_are_those_of_the_call(gateway: Make) -> None:
    async with Telling() as upstream, gateway(f'[models.words]\nbase_url = "{upstream.url}"\n') as served:
        upstream.reply = copy.deepcopy(WHOLE)
        call = upstream.reply["choices"][0]["message"]["tool_calls"][0]
        call["function"]["arguments"] = {"city": "Rome"}
        del call["id"]
        _, _, text = await post(served.url, "messages", asked("messages", "words"))
        (used,) = [part for part in json.loads(text)["content"] if part["type"] == "tool_use"]
        assert (used["name"], used["input"], bool(used["id"])) == ("weather", {"city": "Rome"}, True)
        _, _, text = await post(served.url, "responses", asked("responses", "words"))
        (told,) = [item for item in json.loads(text)["output"] if item["type"] == "function_call"]
        assert (told["name"], json.loads(told["arguments"]), bool(told["call_id"])) == (
            "weather",
            {"city": "Rome"},
            True,
        )
        _, _, text = await post(served.url, "messages", asked("messages", "words", stream=True))
        assert '"partial_json":"{\\"city\\": \\"Rome\\"}"' in text
