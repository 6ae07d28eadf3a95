"""What the gateway does under load and when things break, over servers in this process.

`python bench/bench_gateway_load.py [PART ...]` runs all parts, or those named: `memory` (resident memory before and
after 50,000 requests that pass through), `streams` (1,000 streams held open for two minutes), `faults` (a tenth of the
server's replies fail, over 500 requests), `kill` (`kill -9` and restart under load, with a key's budget), `leave`
(clients that disconnect) and `fuzz` (20,000 odd requests). `--share 0.1` does a tenth of each. It ends with an error
where a part misses its target.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench_gateway import CHAT, load
from mull.serve.keys import hash_of
from odd_requests import calm_server, fuzzed

REQUESTS, STREAMS, HELD, FAULTY, LEAVING, ODD = 50_000, 1000, 120.0, 500, 60, 20_000
GROWTH, LEFT = 1.02, 1.0
"""The targets: resident memory after, in units of that before, and seconds until a server sees that its client left."""
N_TOKENS, TEXT = 12, "six times seven is 42\nanswer: 42"
USAGE = {"prompt_tokens": 14, "completion_tokens": N_TOKENS, "total_tokens": 14 + N_TOKENS}
KEY, BUDGET, MOST, KILLS, REFUSED = "mull-bench", 60_000, 64, 4, 1000
CALM = '[presets.vote]\nstrategy = "majority:n=3"\n'


class Upstream:
    """A server of chats. It counts the tokens that it sends, by the request's `user`, and what breaks off apart."""

    def __init__(self, wait: float = 0.0, faults: int = 0, tokens: int = 0) -> None:
        self.wait, self.faults, self.tokens = wait, faults, tokens
        self.sent, self.lost = Counter[str](), Counter[str]()
        self.left: list[float] = []
        self.went = asyncio.Event()
        self._n = itertools.count(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        user, fault = str(body.get("user")), None
        if self.faults and (n := next(self._n)) % self.faults == 0:
            fault = ("500", "429", "half", "reset")[n // self.faults % 4]
        try:
            await asyncio.sleep(self.wait)
            if body.get("stream") and self.tokens:
                return await self._stream(request)
        except (asyncio.CancelledError, ConnectionError):
            self.left.append(time.monotonic())
            self.went.set()
            raise
        if fault in ("500", "429"):
            told = {"retry-after": "0"} if fault == "429" else {}
            return web.json_response({"error": {"message": "a fault"}}, status=int(fault), headers=told)
        choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
        raw = json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE})
        if fault is not None:
            self.lost[user] += N_TOKENS
            half = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(raw))})
            await half.prepare(request)
            await half.write(raw[: len(raw) // 2].encode() if fault == "half" else b"")
            assert request.transport is not None
            request.transport.abort()
            return half
        self.sent[user] += N_TOKENS
        return web.Response(text=raw, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for i in range(self.tokens):
            choice = {
                "index": 0,
                "delta": {"content": f"{i} "},
                "finish_reason": "stop" if i == self.tokens - 1 else None,
            }
            told: dict[str, Any] = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
            if i == self.tokens - 1:
                told["usage"] = {**USAGE, "completion_tokens": self.tokens}
            await reply.write(b"data: " + json.dumps(told).encode() + b"\n\n")
            await asyncio.sleep(1.0)
        await reply.write(b"data: [DONE]\n\n")
        return reply

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Its URL."""
        app = web.Application()
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()


class Gateway:
    """`mull serve` as a process of its own, in a folder that outlives it."""

    def __init__(self, upstream: str, more: str = "") -> None:
        self._folder = Path(tempfile.mkdtemp())
        table = f'[models.m]\nbase_url = "{upstream}"\nconcurrency = 3000\nuse_n = false\nbackoff = 0.01\n'
        (self._folder / "mull.toml").write_text(f"{table}{CALM}{more}")

    def start(self) -> str:
        """Starts it; returns its URL."""
        words = [
            sys.executable,
            "-m",
            "mull",
            "serve",
            "--port",
            "0",
            "--config",
            "mull.toml",
            "--accounts",
            "spent.db",
        ]
        surroundings = {**os.environ, "MULL_BANK": str(self._folder / "bank.db")}
        self._process = subprocess.Popen(words, cwd=self._folder, env=surroundings, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()[0]

    async def __aenter__(self) -> tuple[str, Gateway]:
        return await asyncio.to_thread(self.start), self

    async def __aexit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def end(self, how: signal.Signals) -> None:
        """Ends it by a signal."""
        self._process.send_signal(how)
        self._process.wait()

    @property
    def resident(self) -> float:
        """Its resident memory in MiB."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def written(self) -> tuple[float, float]:
        """The tokens that its accounts say were spent, and those that are held."""
        with sqlite3.connect(self._folder / "spent.db") as on:
            row = on.execute("select sum(tokens), sum(held_tokens) from gateway_accounts").fetchone()
        return float(row[0]), float(row[1])


def session(**more: Any) -> aiohttp.ClientSession:
    """A client with as many connections as it asks for."""
    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, **more)


def say(part: str, told: str, is_met: bool) -> bool:
    """Prints a part's figures, and returns whether it reached its target."""
    print(f"{part}: {told}" + ("" if is_met else " - MISSED"), flush=True)
    return is_met


async def memory(share: float) -> bool:
    n = int(REQUESTS * share)
    async with Upstream().running() as upstream, Gateway(upstream) as (url, gateway):
        await load(url, CHAT, 0.0, n // 5)
        before = gateway.resident
        await load(url, CHAT, 0.0, n)
        after = gateway.resident
    told = f"{before:.1f} MiB before, {after:.1f} MiB after {n:,} requests"
    return say("memory", told, after <= before * GROWTH)


async def streams(share: float) -> bool:
    n, seconds = int(STREAMS * share), int(HELD)
    server = Upstream(tokens=seconds)
    async with server.running() as upstream, Gateway(upstream) as (url, gateway), session() as client:

        async def one() -> int:
            asked = {**CHAT, "stream": True, "max_tokens": 500}
            async with client.post(f"{url}/chat/completions", json=asked) as response:
                lines = [line async for line in response.content if line.startswith(b"data: ")]
            assert response.status == 200
            assert lines[-1] == b"data: [DONE]\n"
            return sum(b'"content"' in line for line in lines)

        running = [asyncio.ensure_future(one()) for _ in range(n)]
        sizes = []
        for _ in range(4):
            await asyncio.sleep(seconds / 5)
            sizes.append(gateway.resident)
        found = await asyncio.gather(*running, return_exceptions=True)
    errors = [one for one in found if isinstance(one, BaseException)]
    whole = sum(one == seconds for one in found if isinstance(one, int))
    grown = ", ".join(f"{size:.1f}" for size in sizes)
    told = f"{n} for {seconds} s, {whole} whole, {len(errors)} errors, {grown} MiB every {seconds / 5:.0f} s"
    # In the first fifth some streams have not begun yet.
    return say("streams", told + (f"; {errors[0]!r}" if errors else ""), whole == n and sizes[3] <= sizes[1] * GROWTH)


async def faults(share: float) -> bool:
    n, server = int(FAULTY * share), Upstream(faults=0)
    statuses, wrong, bounds = Counter[int](), list[str](), 0
    async with server.running() as upstream, Gateway(upstream) as (url, _), session() as client:

        async def one(i: int) -> None:
            nonlocal bounds
            model, user = ("m@vote", f"v{i}") if i % 2 else ("m", f"p{i}")
            body = {**CHAT, "model": model, "user": user, "seed": i}
            async with client.post(f"{url}/chat/completions", json=body) as response:
                told = await response.json()
            statuses[response.status] += 1
            if response.status != 200:
                if not told["error"]["message"]:
                    wrong.append(f"{user}: an error that says nothing")
                return
            if not told["choices"][0]["message"]["content"].endswith("42"):
                wrong.append(f"{user}: a wrong answer")
            used, sent, lost = told["usage"], server.sent[user], server.lost[user]
            is_bound = bool(used.get("mull", {}).get("is_bound"))
            bounds += is_bound
            # A reply that broke off was counted by the server alone; a vote says that it has a bound for it.
            if (used["completion_tokens"] < sent + lost) if is_bound else (used["completion_tokens"] != sent):
                wrong.append(f"{user}: told {used['completion_tokens']}, sent {sent}, lost {lost}")
            if not is_bound and lost and model == "m@vote":
                wrong.append(f"{user}: {lost} lost tokens are not told")

        await one(-1)  # finds out what the server can do
        server.faults = 10
        room = asyncio.Semaphore(50)

        async def next_one(i: int) -> None:
            async with room:
                await one(i)

        await asyncio.gather(*(next_one(i) for i in range(n)))
    told = f"{n} requests, {dict(statuses)}, {bounds} votes with a bound, {sum(server.lost.values())} tokens lost"
    return say("faults", told + (f"; {wrong[:3]}" if wrong else ", all others add up"), not wrong)


async def kill(share: float) -> bool:
    more = f'[serve.keys.ann]\nsha256 = "{hash_of(KEY)}"\ntokens_a_day = {BUDGET}\n'
    server, statuses, is_over, n_refused = Upstream(wait=0.02), Counter[int](), False, 0
    async with server.running() as upstream, session(headers={"Authorization": f"Bearer {KEY}"}) as client:
        gateway = Gateway(upstream, more)
        url = await asyncio.to_thread(gateway.start)

        async def work() -> None:
            nonlocal is_over, n_refused
            while not is_over:
                try:
                    body = {**CHAT, "max_tokens": MOST}
                    async with client.post(f"{url}/chat/completions", json=body) as response:
                        await response.read()
                    statuses[response.status] += 1
                    n_refused = n_refused + 1 if response.status in (402, 429) else 0
                    # What the dead hold is refused as held by others (429) for a while, then as spent (402).
                    is_over = is_over or response.status == 402 or n_refused > REFUSED
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

        running = [asyncio.ensure_future(work()) for _ in range(50)]
        for _ in range(KILLS):
            await asyncio.sleep(1.0)
            gateway.end(signal.SIGKILL)
            url = await asyncio.to_thread(gateway.start)
        await asyncio.wait(running, timeout=240.0)
        is_over = True
        await asyncio.gather(*running)
        spent, held = gateway.written()
        gateway.end(signal.SIGTERM)
    sent = sum(server.sent.values())
    told = (
        f"{KILLS} kills, {sent:,} tokens sent of {BUDGET:,}; accounts: {spent:,.0f} spent, {held:,.0f} held by the dead"
    )
    is_kept = sent <= min(BUDGET, spent + held) and spent + held > BUDGET - MOST
    return say("kill", f"{told}, {dict(statuses)}", is_kept)


async def leave(share: float) -> bool:
    n, late = max(3, int(LEAVING * share)), list[float]()
    server = Upstream()
    async with server.running() as upstream, Gateway(upstream) as (url, _), session() as client:
        async with client.post(f"{url}/chat/completions", json={**CHAT, "model": "m@vote"}) as response:
            assert response.status == 200  # it has found out what the server can do
        server.wait = 60.0
        for i in range(n):
            body = {**CHAT, **({"model": "m@vote"}, {"stream": True}, {})[i % 3]}
            n_calls, server.left = (3 if i % 3 == 0 else 1), []
            asked = asyncio.ensure_future(client.post(f"{url}/chat/completions", json=body).__aenter__())
            await asyncio.sleep(0.3)
            asked.cancel()
            left = time.monotonic()
            await asyncio.gather(asked, return_exceptions=True)
            async with asyncio.timeout(10.0):
                while len(server.left) < n_calls:
                    server.went.clear()
                    await server.went.wait()
            late.append(max(server.left) - left)
    return say("leave", f"{n} clients, seen by the server after at most {1e3 * max(late):.0f} ms", max(late) <= LEFT)


async def fuzz(share: float) -> bool:
    n, at_once = int(ODD * share), 10
    more = '[serve]\ncalls = 4\ntokens = 200\nmodels = ["nano", "words"]\n'
    async with calm_server() as upstream:
        gateway = Gateway(upstream, f'[models.words]\nbase_url = "{upstream}"\n{more}')
        async with gateway as (url, _):
            rows = await asyncio.gather(
                *(fuzzed(url.removesuffix("/v1"), seed, n // at_once) for seed in range(at_once))
            )
    statuses = sum(rows, Counter[int]())
    return say("fuzz", f"{statuses.total():,} requests, {dict(sorted(statuses.items()))}", statuses[500] == 0)


PARTS: dict[str, Callable[[float], Awaitable[bool]]] = {
    "memory": memory, "streams": streams, "faults": faults, "kill": kill, "leave": leave, "fuzz": fuzz,
}  # fmt: skip


async def main(names: list[str], share: float) -> bool:
    return all([await PARTS[name](share) for name in names])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(main(options.parts or list(PARTS), options.share)) else 1)
