"""What those who watch over a gateway see: its pages, its metrics, and a log without noise."""

import asyncio
import itertools
import logging
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from asking import ROUTES, asked, post
from fault_server import FaultServer
from mull.serve.keys import hash_of, new_key
from mull.serve.page import FILES

Make = Callable[..., Any]
PATHS = "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/v1/models/nano", "/runs"
VOTE = '[presets.vote]\nstrategy = "majority:n=2"\n'


def metrics(served: Any) -> str:
    text: bytes = served.gateway.meters.text()
    return text.decode()


async def test_what_can_be_got_has_a_head(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served, aiohttp.ClientSession() as client:
        for path in (*FILES, *PATHS):
            async with client.get(served.url + path) as whole, client.head(served.url + path) as head:
                assert (whole.status, head.status) == (200, 200)
                assert head.headers["content-type"] == whole.headers["content-type"]
                assert await head.read() == b""
        async with client.put(served.url + "/healthz") as reply:
            assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        async with client.head(f"{served.url}/v1/{ROUTES[0]}") as reply:
            assert (reply.status, reply.headers["allow"]) == (405, "POST")


async def test_metrics_are_for_keys_that_may_ask_for_all_models(gateway: Make) -> None:
    keys = {"ops": new_key(), "bob": new_key()}
    text = "".join(f'[serve.keys.{name}]\nsha256 = "{hash_of(key)}"\n' for name, key in keys.items())
    async with gateway(VOTE + text + 'models = ["nano@vote"]\n', "nano") as served, aiohttp.ClientSession() as client:
        assert (await post(served.url, ROUTES[0], asked(ROUTES[0], "nano"), keys["ops"]))[0] == 200
        for name, status in (("ops", 200), ("bob", 403), ("eve", 401)):
            headers = {"x-api-key": keys.get(name, "mull-none")}
            async with client.get(f"{served.url}/metrics", headers=headers) as reply:
                assert reply.status == status
                assert ('model="nano"' in await reply.text()) == (name == "ops")


async def test_a_client_that_asks_for_another_protocol_is_answered_and_not_logged(
    gateway: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(VOTE, "nano") as served, aiohttp.ClientSession() as client:
        with caplog.at_level(logging.WARNING):
            for protocol in ("websocket", "h2c"):
                headers = {"Connection": "Upgrade", "Upgrade": protocol, "Sec-WebSocket-Version": "13"}
                async with client.get(served.url, headers={**headers, "Sec-WebSocket-Key": "AAAA"}) as reply:
                    assert reply.status == 200
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("route", ROUTES)
async def test_a_stream_counts_by_how_it_ended(gateway: Make, route: str) -> None:
    """Presets begin their streams before anything is drawn, so that their headers say 200 whatever happens."""
    async with FaultServer(n="rejected") as upstream:
        text = f'[serve]\npatience = 0\n[models.words]\nbase_url = "{upstream.url}"\n{VOTE}'
        async with gateway(text) as served:
            await served.ask("words@vote", "warm")
            for fault in ("500", "429", "ok", "hang"):
                upstream._script = itertools.repeat(fault)
                n_asked, body = len(upstream.bodies), asked(route, "words@vote", f"then {fault}", stream=True)
                request = asyncio.ensure_future(post(served.url, route, body))
                if fault == "hang":
                    await upstream.asked(n_asked + 2)
                    request.cancel()
                    await upstream.all_gone(2)
                else:
                    await request
        told = re.findall(r'mull_requests_total{model="words@vote",path="(.*)",status="(.*)"} (.*)', metrics(served))
        warm = [("/v1/chat/completions", "200", "1.0")] if route != ROUTES[0] else []
        n_whole = "2.0" if route == ROUTES[0] else "1.0"
        ends = [(f"/v1/{route}", *end) for end in (("502", "1.0"), ("503", "1.0"), ("200", n_whole), ("499", "1.0"))]
        assert sorted(told) == sorted(warm + ends)
