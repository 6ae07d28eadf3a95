"""A server is probed behind the requests that wait for it: one that is cut short does not make the next begin again."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer
from mull.models.served.prober import QUESTIONS

Make = Callable[..., Any]
CHAT = ROUTES[0]
SHORT = {"mull": {"budget": {"seconds": 0.2}}}


class Gated(FaultServer):
    """Answers the first `open_for` requests, and the others once the gate is opened."""

    open_for = 0

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if len(self.bodies) >= self.open_for:
            self.reached.set()
            await self.gate.wait()
        return await super()._answer(request, body)

    async def __aenter__(self) -> "Gated":
        self.gate, self.reached = asyncio.Event(), asyncio.Event()
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await super().__aexit__()

    @property
    def probed(self) -> list[dict[str, Any]]:
        """The requests of probes, in order."""
        return [body for body in self.bodies if body.get("messages", [{}])[0].get("content") in QUESTIONS]


def table(server: FaultServer, more: str = "") -> str:
    model = f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\nversion = "1"\n'
    return f'{model}{more}\n[presets.vote]\nstrategy = "majority:n=4"\n'


@pytest.mark.parametrize("open_for", [0, 5])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_probe_goes_on_behind_requests_that_end_before_it(gateway: Make, open_for: int, stream: bool) -> None:
    async with Gated() as upstream, gateway(table(upstream)) as served:
        upstream.gate.set()
        await served.ask("words@vote", seed=1)
        clean = upstream.probed
    async with Gated() as upstream, gateway(table(upstream)) as served:
        upstream.open_for = open_for
        cut = [post(served.url, CHAT, asked(CHAT, "words@vote", stream=stream, **SHORT)) for _ in range(3)]
        for status, _, text in [await cut[0], *await asyncio.gather(*cut[1:])]:
            assert stream or (status, error_of(CHAT, text)["code"]) == (504, "deadline")
            assert "deadline" in text
        waiting = asyncio.ensure_future(served.ask("words@vote", seed=1))
        await upstream.reached.wait()
        upstream.gate.set()
        reply = await waiting
        assert reply.mull["answers"][0]["draws"] == 4
        assert upstream.probed == clean
        probed = upstream.counts["words"] - reply.usage.completion_tokens
        metrics = served.gateway.meters.text().decode()
        assert f'mull_tokens_total{{kind="probe",model="words"}} {probed}.0' in metrics
        assert f'kind="generated",model="words@vote"}} {reply.usage.completion_tokens}.0' in metrics


async def test_a_judge_is_probed_behind_requests_too(gateway: Make) -> None:
    async with FaultServer() as upstream, Gated() as judging:
        judging.open_for = 5
        more = f"""
            [models.judging]
            base_url = "{judging.url}"
            model = "words"
            [judges]
            j = "pairwise:model=judging"
            [presets.judged]
            strategy = "tournament:n=4,k=1"
            judge = "j"
            """
        async with gateway(table(upstream, more), "words") as served:
            await served.ask("words@vote", seed=1)
            budget = {"mull": {"budget": {"seconds": 1.0}}}
            await post(served.url, CHAT, asked(CHAT, "words@judged", seed=1, **budget))
            waiting = asyncio.ensure_future(served.ask("words@judged", seed=1))
            await judging.reached.wait()
            judging.gate.set()
            assert (await waiting).usage.mull["verifier_tokens"] > 0
            assert judging.probed.count(judging.probed[0]) == 1


async def test_a_server_that_stalls_stops_no_other_and_no_shutdown(gateway: Make) -> None:
    async with Gated() as upstream, Gated() as other:
        other.gate.set()
        more = f'[models.other]\nbase_url = "{other.url}"\nmodel = "words"\n'
        async with gateway(table(upstream, more)) as served:
            status, _, _ = await post(served.url, CHAT, asked(CHAT, "words@vote", **SHORT))
            assert status == 504
            reply = await served.ask("other@vote", seed=1)
            assert reply.mull["answers"][0]["draws"] == 4
            await upstream.reached.wait()
        await upstream.all_gone(1)  # the probe ended with the gateway
