"""Token counts of a server that are none: they count as unknown, and no client gets them."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fault_server import FaultServer
from mull.serve.passed import clean

Make = Callable[..., Any]
ODD = ["NaN", "-5", "1e30", '"12"', "true", "[]", "12.5", "Infinity", "99999999999999999999"]


class Counting(FaultServer):
    """Tells counts as JSON that is given as text: NaN is none, but servers send it."""

    counted = ""

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        text = '{"index":0,"finish_reason":"stop","%s":{"role":"assistant","content":"answer: a"}}'
        kind = "delta" if body.get("stream") else "message"
        told = f'{{"id":"x","model":"words","choices":[{text % kind}],"usage":{self.counted}}}'
        if body.get("stream"):
            first = told.replace(self.counted, "null", 1)
            told = f'data: {first}\n\ndata: {{"choices":[],"usage":{self.counted}}}\n\ndata: [DONE]\n\n'
        return web.Response(text=told, content_type="text/event-stream" if body.get("stream") else "application/json")


async def usage_of(url: str, **fields: Any) -> tuple[Any, str]:
    """The last counts that a client gets, and the number of tokens that the request is charged."""
    body = {"model": "words", "max_tokens": 7, "messages": [{"role": "user", "content": "b?"}], **fields}

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=body) as response:
        assert response.status == 200
        text = await response.text()
        lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")] or [text]
        told = [json.loads(line, parse_constant=refuse) for line in lines]
        (last,) = [one["usage"] for one in told if one.get("usage")]
        return last, response.headers.get("x-mull-tokens", "")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_count_that_is_none_counts_as_the_most_there_can_be(gateway: Make, stream: bool) -> None:
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    async with Counting() as upstream, gateway(f'[models.words]\nbase_url = "{upstream.url}"\n') as served:
        for odd in [*ODD, "1000000"]:
            upstream.counted = f'{{"prompt_tokens":5,"completion_tokens":{odd},"total_tokens":9}}'
            usage, charged = await usage_of(served.url, **more)
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 7)
            assert usage["mull"] == {"is_bound": True}
            assert charged in ("", "7")
        for odd in ODD:
            upstream.counted = f'{{"prompt_tokens":{odd},"completion_tokens":3,"total_tokens":{odd}}}'
            usage, _ = await usage_of(served.url, **more)
            assert usage["completion_tokens"] == 3
            assert usage["total_tokens"] == usage["prompt_tokens"] + 3
            assert 2 <= usage["prompt_tokens"] < 1000
            assert usage["mull"] == {"is_bound": True}
            details = f'{{"cached_tokens":{odd},"audio_tokens":0}}'
            upstream.counted = (
                f'{{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{details}}}'
            )
            usage, _ = await usage_of(served.url, **more)
            assert usage == {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 8,
                "prompt_tokens_details": {"audio_tokens": 0},
            }


def test_counts_keep_what_else_a_server_tells() -> None:
    told = {"prompt_tokens": 1, "cost": 0.25, "tier": "fast", "is_byok": False, "x": None, "more": {"cost": 0.1}}
    assert clean(told) == told
    assert clean({"cost": float("nan"), "upstream": {"cost": -1.5, "n_tokens": 1.0}}) == {"upstream": {}}
