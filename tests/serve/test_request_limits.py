"""What a request may spend in time, calls, tokens and dollars: what cannot be is told before it costs anything."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asking import ROUTES, asked, error_of, last_error, post
from fault_server import FaultServer
from mull.run import delivery
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key
from mull.types import Cost

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\n[presets.many]\nstrategy = "majority:n=16"\n'


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}\n{VOTE}'


def of_key(key: str, more: str) -> str:
    return f'[serve.keys.ann]\nsha256 = "{hash_of(key)}"\n{more}\n'


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(str(tmp_path / "accounts.db"))) as opened:
        yield opened


async def all_late(url: str, model: str, seconds: float) -> None:
    """Asks in all forms at once, whole and streamed, for one answer and for two: each is told of its deadline."""
    budget = {"mull": {"budget": {"seconds": seconds}}}
    kinds = [
        (route, is_streamed, n)
        for route in ROUTES
        for is_streamed in (False, True)
        for n in ((1, 2) if route == "chat/completions" else (1,))
    ]
    bodies = [
        asked(route, model, stream=is_streamed, **({"n": n} if n > 1 else {}), **budget)
        for route, is_streamed, n in kinds
    ]
    posts = [post(url, route, body) for (route, *_), body in zip(kinds, bodies, strict=True)]
    for (route, is_streamed, _), (status, headers, text) in zip(kinds, await asyncio.gather(*posts), strict=True):
        is_event = is_streamed and headers["Content-Type"].startswith("text/event-stream")
        error = last_error(route, text) if is_event else error_of(route, text)
        assert is_event or status == 504
        assert error["is"] == ("timeout_error" if route == "messages" else "deadline"), text
        assert "[DONE]" not in text


@pytest.mark.parametrize("is_frozen", [True, False])
async def test_an_end_by_a_deadline_is_told_as_such(
    gateway: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, is_frozen: bool
) -> None:
    """Also where the timer fires while the clock says that the deadline is still to come."""
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        await served.ask("words@vote")
        upstream._script = iter(["hang"] * 99)
        if is_frozen:
            now = time.monotonic()
            monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: now))
        await all_late(served.url, "words@vote", 0.3)
        await all_late(served.url, "words", 0.3)
    assert not [record for record in caplog.records if record.exc_info]


async def test_the_seconds_of_a_request_hold_while_its_server_is_probed(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        upstream._script = iter(["hang"] * 99)
        await all_late(served.url, "words@vote", 0.3)
        await upstream.asked(1)
        assert len(upstream.bodies) == 1  # all have waited for the same probe, which goes on
        upstream._script = iter(())
        upstream._never.set()
        reply = await served.ask("words@vote")
        assert reply.mull["answers"][0]["draws"] == 4


async def test_more_answers_than_calls_are_refused_before_a_draw(gateway: Make, kept: Accounts) -> None:
    key = new_key()
    limits = of_key(key, "tokens_a_day = 1_000_000\ncalls = 10")
    async with FaultServer() as upstream, gateway(table(upstream, limits), accounts=kept) as served:
        await post(served.url, ROUTES[0], asked(ROUTES[0], "words@vote", max_tokens=20), key)
        wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
        n, left = len(upstream.bodies), wallet.left
        for route in ("chat/completions", "completions"):
            for model in ("words", "words@vote"):
                for is_streamed in (False, True):
                    body = asked(route, model, n=11, stream=is_streamed)
                    status, _, reply = await post(served.url, route, body, key)
                    error = error_of(route, reply)
                    assert (status, error["is"], error["param"]) == (400, "budget_too_small", "mull.budget")
                    assert "room for 11 replies (calls: 11 needed, 10 left)" in error["message"]
        assert (len(upstream.bodies), wallet.left) == (n, left)
    async with gateway(VOTE + limits, "nano", accounts=kept) as served:
        for model in ("nano", "nano@vote"):
            status, _, reply = await post(served.url, "chat/completions", asked(ROUTES[0], model, "a:7;a?", n=11), key)
            assert (status, "calls: 11 needed, 10 left" in reply) == (400, True)


async def test_tokens_and_dollars_that_are_too_few_are_named(gateway: Make) -> None:
    prices = "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 10.0"
    async with FaultServer() as upstream, gateway(table(upstream, prices)) as served:
        await served.ask("words@vote", "warm")
        n = len(upstream.bodies)
        for model in ("words", "words@vote"):
            for budget, words in (
                ({"tokens": 2}, "tokens: 3 needed, 2 left"),
                ({"usd": 0.0000012}, "left)"),
                ({"usd": 0.0000012, "calls": 1}, "calls: 3 needed, 1 left; usd: "),
            ):
                body = asked(ROUTES[0], model, n=3, max_tokens=20, mull={"budget": budget})
                status, _, reply = await post(served.url, ROUTES[0], body)
                error = error_of(ROUTES[0], reply)
                assert (status, words in error["message"]) == (400, True), reply
                assert "usd" not in budget or "0.0000012 left" in error["message"]
        assert len(upstream.bodies) == n


async def test_answers_share_what_a_request_may_spend(gateway: Make) -> None:
    """Two votes of 16 in ten calls: each has five, and says that a ceiling ended it. The draws are the same again."""
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        for _ in range(2):
            budget = {"mull": {"budget": {"calls": 10}}}
            reply = await served.ask("words@many", n=2, seed=5, max_tokens=20, extra_body=budget)
            assert [(one["draws"], one["incomplete"]) for one in reply.mull["answers"]] == [(5, True)] * 2
            assert reply.usage.mull["calls"] == 10
    async with gateway(VOTE, "nano") as own:
        budget = {"mull": {"budget": {"tokens": 7}}}
        reply = await own.ask("nano", n=3, seed=5, extra_body=budget)
        assert [choice.finish_reason for choice in reply.choices] == ["length"] * 3
        assert reply.usage.completion_tokens == 6


async def test_a_first_need_above_the_ceilings_is_told_before_a_draw(gateway: Make) -> None:
    """A strategy that keeps room for its last reply makes no draw without it, and one of ideas answers at once."""
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        await served.ask("words@vote", "warm")
        n = len(upstream.bodies)
        for strategy, calls in (("fuse:n=3", 1), ("pdr", 1)):
            body = asked(ROUTES[0], "words", mull={"strategy": strategy, "budget": {"calls": calls}}, max_tokens=20)
            status, _, reply = await post(served.url, ROUTES[0], body)
            assert (status, f"takes more than calls={calls}, tokens=1,000,000" in reply) == (400, True), reply
        assert len(upstream.bodies) == n
        reply = await served.ask("words", extra_body={"mull": {"strategy": "diverse", "budget": {"calls": 1}}})
        assert (reply.mull["answers"][0]["incomplete"], reply.usage.mull["calls"]) == (True, 1)


async def test_only_a_spent_day_is_a_spent_day(gateway: Make, kept: Accounts) -> None:
    key = new_key()
    text = VOTE + of_key(key, "tokens_a_day = 1_000_000\ncalls = 10")
    async with gateway(text, "nano", accounts=kept) as served:
        wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
        wallet.pay(Cost(output_tokens=999_998), Cost(), None)
        for model in ("nano", "nano@vote"):
            for n, told in ((3, 402), (11, 400)):
                status, _, reply = await post(served.url, ROUTES[0], asked(ROUTES[0], model, "a:7;a?", n=n), key)
                error = error_of(ROUTES[0], reply)
                assert status == told
                if told == 402:
                    assert "leaves 2 of 1,000,000 tokens" in error["message"]
                    assert error["left"]["tokens"] == 2
        assert wallet.left.tokens == 2
        wallet.pay(Cost(output_tokens=2), Cost(), None)
        status, _, reply = await post(served.url, ROUTES[0], asked(ROUTES[0], "nano", n=11), key)
        assert (status, "leaves 0 of 1,000,000 tokens" in reply) == (402, True)


@pytest.mark.parametrize("is_known", [True, False])
async def test_when_to_come_back_is_what_the_server_says(gateway: Make, *, is_known: bool) -> None:
    """In every form, passed on and by a preset, also while the server is not asked because of what it said."""
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        if is_known:
            await served.ask("words@vote")
        upstream._script = iter(["429-long"] * 99)
        for model in ("words@vote", "words"):
            for route in ROUTES:
                status, headers, text = await post(served.url, route, asked(route, model))
                assert status == 503
                assert headers["x-should-retry"] == "true"
                assert 80_000 < int(headers["retry-after"]) <= 86_400
                assert json.loads(text)
