"""A gateway that stops: what it cannot finish in its time is told so, in the form of the client's API."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fault_server import FaultServer
from mull.serve import listen

Make = Callable[..., Any]
TURNS = [{"role": "user", "content": "q"}]
MODELS = "words", "words@vote"
ASKED: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": TURNS},
    "completions": {"prompt": "q"},
    "responses": {"input": "q"},
    "messages": {"messages": TURNS, "max_tokens": 9},
}


def is_begun(model: str, stream: bool) -> bool:
    """Whether a reply has begun though nothing was drawn: the streams of presets."""
    return stream and model == "words@vote"


async def test_requests_that_outlast_the_grace_are_told_that_they_end(
    gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's server answers none of them: each gets 503, or an error event as the last of its stream."""
    monkeypatch.setattr(listen, "GRACE", 0)
    monkeypatch.setattr(listen, "LAST_SECONDS", 60)
    begun = asyncio.Semaphore(0)
    async with FaultServer() as upstream, aiohttp.ClientSession() as client:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n[presets.vote]\nstrategy = "majority:n=1"\n'
        async with gateway(text) as served:
            await served.ask("words@vote", "warm")
            upstream._script = itertools.repeat("hang")
            n_before = len(upstream.bodies)

            async def ask(path: str, model: str, *, stream: bool) -> tuple[int, Any, str]:
                body = {**ASKED[path], "model": model, "stream": stream}
                async with client.post(f"{served.url}/v1/{path}", json=body) as reply:
                    said = (await reply.content.readline()).decode()
                    begun.release()
                    return reply.status, reply.headers, said + (await reply.content.read()).decode()

            cases = [
                (path, model, stream) for path in ASKED for model in ("words", "words@vote") for stream in (False, True)
            ]
            asked = [asyncio.ensure_future(ask(path, model, stream=stream)) for path, model, stream in cases]
            await upstream.asked(n_before + len(cases))
            for _, model, stream in cases:
                if is_begun(model, stream):
                    await begun.acquire()
            served.stop()
            replies = await asyncio.gather(*asked)
    for (path, model, stream), (status, headers, said) in zip(cases, replies, strict=True):
        if is_begun(model, stream):
            assert status == 200
            last = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: {")][-1]
            assert "stopping" in json.dumps(last), (path, said)
            assert "[DONE]" not in said
            if path == "responses":
                assert last["type"] == "response.failed"
                assert last["response"]["error"]["code"]
            else:
                assert "could not finish" in last["error"]["message"]
        else:
            assert (status, headers["x-should-retry"]) == (503, "true"), (path, model, said)
            assert int(headers["retry-after"]) >= 1
            assert "could not finish" in json.loads(said)["error"]["message"]
