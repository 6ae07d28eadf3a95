"""Streams: the role at once, words as they come, and nothing left running when a client goes."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import openai
import pytest

from fault_server import FaultServer
from mull.bank import MemoryBank
from mull.serve import attend
from mull.types import Sample

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\n'


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}'


async def test_a_preset_streams_its_answer(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served:
        whole = await served.ask("nano@vote", seed=3)
        async with await served.ask("nano@vote", seed=3, stream=True, stream_options={"include_usage": True}) as stream:
            chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].mull["answers"] == whole.mull["answers"]
    assert len({chunk.id for chunk in chunks}) == 1


async def lines(url: str, body: dict[str, Any]) -> list[str]:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return (await response.text()).split("\n\n")


async def test_progress_is_comments_or_reasoning(gateway: Make) -> None:
    body = {"model": "nano@vote", "messages": [{"role": "user", "content": "a:7;b:a*6;b?"}], "stream": True}
    async with gateway(VOTE, "nano") as served:
        plain = await lines(served.url, body)
        told = await lines(served.url, {**body, "mull": {"return": ["progress"]}})
    assert [line for line in plain if line.startswith(":")] == [f": {i} draws" for i in range(1, 5)]
    assert plain[-2:] == ["data: [DONE]", ""]
    thoughts = [json.loads(line[6:])["choices"][0]["delta"] for line in told[:-2] if line.startswith("data: {")]
    words = [delta["reasoning_content"] for delta in thoughts if "reasoning_content" in delta]
    assert len(words) == 4
    assert all(word.startswith(f"draw {i}: ") for i, word in enumerate(words, 1))


async def test_a_pass_through_streams_word_by_word(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        whole = await served.ask("words", seed=6)
        async with await served.ask("words", seed=6, stream=True) as stream:
            chunks = [chunk async for chunk in stream]
        words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        assert "".join(words) == whole.choices[0].message.content
        assert len(words) > 3
        assert all(chunk.usage is None for chunk in chunks)  # it was not asked for
        assert upstream.bodies[-1]["stream_options"] == {"include_usage": True}
        options = {"include_usage": True, "include_obfuscation": False}
        async with await served.ask("words", seed=6, stream=True, stream_options=options) as stream:
            counted = [chunk async for chunk in stream][-1]
        assert (counted.choices, counted.usage.completion_tokens) == ([], whole.usage.completion_tokens)


async def test_an_error_before_the_stream_has_its_status_and_one_in_it_is_an_event(gateway: Make) -> None:
    async with FaultServer(script=["400"]) as upstream, gateway(table(upstream, VOTE)) as served:
        with pytest.raises(openai.BadRequestError, match="it said 400"):
            await served.ask("words", stream=True)
    async with gateway(table(upstream, VOTE + "[serve]\npatience = 0\n")) as served:
        with pytest.raises(openai.APIError, match="connect") as caught:
            async with await served.ask("words@vote", stream=True) as stream:
                assert [chunk async for chunk in stream] == []
        assert caught.value.code == "upstream_unavailable"


async def test_a_stream_that_breaks_off_is_told_and_not_begun_again(gateway: Make) -> None:
    seen: list[Any] = []
    async with FaultServer(script=["stall"]) as upstream:
        async with gateway(table(upstream, "idle_timeout = 0.3\n")) as served:
            async with await served.ask("words", n=2, stream=True) as stream:

                async def read() -> None:
                    async for chunk in stream:
                        seen.append(chunk)

                with pytest.raises(openai.APIError, match="broke the stream off"):
                    await read()
            assert seen
        assert len(upstream.bodies) == 1


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("model", ["words", "words@vote"])
async def test_a_client_that_goes_takes_its_work_along(gateway: Make, model: str, is_streamed: bool) -> None:
    async with FaultServer(n="ignored") as upstream, gateway(table(upstream, VOTE)) as served:
        await served.ask("words@vote")  # finds out what the server can do
        n, upstream.script = len(upstream.bodies), ()
        upstream._script = iter(["hang"] * 9)
        asking = asyncio.ensure_future(served.ask(model, "other", stream=is_streamed))
        await upstream.asked(n + (4 if "@" in model else 1))
        if is_streamed and "@" in model:
            await (await asking).close()
        else:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(upstream.all_gone(4 if "@" in model else 1), 20)


async def test_finished_draws_stay_in_the_bank_when_the_client_goes(gateway: Make) -> None:
    class Watched(MemoryBank):
        def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
            super().put(key, asked, sample)
            is_there.release()

    bank, is_there = Watched(), asyncio.Semaphore(0)
    async with FaultServer(n="ignored") as upstream, gateway(table(upstream, VOTE), bank=bank) as served:
        await served.ask("words@vote", "warm", seed=1)
        before, n = len(bank), len(upstream.bodies)
        upstream._script = iter(["ok", "ok", "hang", "hang"])
        asking = asyncio.ensure_future(served.ask("words@vote", "other", seed=1))
        await upstream.asked(n + 4)
        for _ in range(before + 2):
            await is_there.acquire()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await upstream.all_gone(2)
        reply = await served.ask("words@vote", "other", seed=1)
        assert len(upstream.bodies) == n + 6  # the two that were finished are not drawn again
        assert (reply.usage.mull["calls"], reply.usage.mull["banked_calls"]) == (2, 2)


async def test_a_quiet_stream_has_a_heartbeat(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attend, "HEARTBEAT", 0.05)
    async with FaultServer() as upstream, gateway(table(upstream, VOTE)) as served:
        await served.ask("words@vote", "warm")
        upstream.latency = 0.4
        body = {"model": "words@vote", "messages": [{"role": "user", "content": "x"}], "stream": True}
        assert ": working" in await lines(served.url, body)


async def test_streams_that_take_long_do_not_wait_for_each_other(gateway: Make) -> None:
    """All that the server's configuration allows at once, before any of them has ended."""
    async with FaultServer(latency=0.2) as upstream, gateway(table(upstream, "concurrency = 40\n")) as served:

        async def read() -> str:
            async with await served.ask("words", stream=True) as stream:
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        assert all(await asyncio.gather(*(read() for _ in range(60))))
        assert 16 < upstream.counts["peak"] <= 40
