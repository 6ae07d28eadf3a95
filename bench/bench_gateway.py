"""What the gateway adds to a server that answers after 50 ms, at 50 concurrent clients; both sides in one run.

`python bench/bench_gateway.py` prints requests a second, the median latency and the gateway's processor time for each
request, of the server alone and through `mull serve`, in turns; then votes of 8, of its_hub's gateway as installed and
with its limit raised, and of mull in three ways: each draw a request of its own, all in one where the server takes `n`,
and as mull asks a server that also streams `n`, such as vLLM; and whether the answer is the same for a fixed seed.
its_hub lives in an environment of its own: `MULL_PEER` names its Python. Server, gateways and clients are processes of
their own on the same processors, so that the ratios count and not the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench_openai import PEER, TEXT, Server

DELAY = 0.05
CONCURRENCY = 50
ROUNDS, SECONDS = 3, 3.0
ADDED_MS, SHARE = 2.0, 850 / 980
"""The targets: the median latency added, and the share of the server's own requests a second."""
VOTES = 2.0
"""The target: votes a second, in units of its_hub's."""
RAISED = """
import sys, its_hub.core.orchestrator as o
if sys.argv[2] == "raised":
    import aiohttp
    o.LMOrchestrator.__init__.__defaults__ = (-1,)
    aiohttp.TCPConnector.__init__.__kwdefaults__["limit"] = 0
import uvicorn
from its_hub.integration.iaas.app import app
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""
"""its_hub's gateway, with as many requests at once as it is asked for, or as installed."""
CHAT = {"model": "m", "messages": [{"role": "user", "content": "What is 6 times 7?"}], "max_tokens": 64}


class LateServer(Server):
    """Answers each request after `DELAY`, also as a stream: an event for each reply, since only the gateway counts."""

    def _answer(self, head: bytes, body: bytes) -> None:
        wait = DELAY if head.startswith(b"post") else 0.0
        asyncio.get_running_loop().call_later(wait, self._answer_now, head, body)

    def _answer_now(self, head: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        if b'"stream":true' not in body:
            super()._answer(head, body)
            return
        n = json.loads(body).get("n", 1)
        told = [{"choices": [{"index": i, "delta": {"content": TEXT}, "finish_reason": "stop"}]} for i in range(n)]
        usage = {"prompt_tokens": 14, "completion_tokens": 12 * n, "total_tokens": 14 + 12 * n}
        lines = [json.dumps(one) for one in [*told, {"choices": [], "usage": usage}]]
        raw = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
        )


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(LateServer, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


class Connection:
    """One client: as little HTTP as can be, over a connection that stays open."""

    def __init__(self, url: str, path: str = "/chat/completions") -> None:
        self._parts, self._path = urlsplit(url), path

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, body: bytes) -> bytes:
        head = f"POST {self._parts.path}{self._path} HTTP/1.1\r\nHost: localhost\r\n"
        told = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write((head + told).encode() + body)
        head_back = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head_back.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        reply = await self._reader.readexactly(length)
        assert head_back.startswith(b"HTTP/1.1 200"), (head_back, reply)
        return reply


async def load(url: str, body: dict[str, Any], seconds: float, n: int | None = None) -> tuple[float, float]:
    """Requests a second, and the median latency in milliseconds, for so long or for `n` requests."""
    raw, taken = json.dumps(body).encode(), list[float]()
    end = time.perf_counter() + seconds

    async def work() -> None:
        async with Connection(url) as connection:
            while (time.perf_counter() < end) if n is None else (len(taken) < n):
                start = time.perf_counter()
                await connection.post(raw)
                taken.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return len(taken) / (time.perf_counter() - start), 1e3 * statistics.median(taken)


@contextmanager
def process(*words: str, cwd: Path) -> Iterator[tuple[str, int]]:
    """A process that prints its URL, and its number."""
    with subprocess.Popen([sys.executable, *words], cwd=cwd, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            yield started.stdout.readline().split()[0], started.pid
        finally:
            started.terminate()


def spent(pid: int) -> float:
    """Seconds of processor time that all threads of a process have taken."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def measured(url: str, pid: int, body: dict[str, Any], seconds: float = SECONDS) -> tuple[float, float, float]:
    """Requests a second, the median latency and the processor time of a request, both in milliseconds."""
    before = spent(pid)
    rate, median = asyncio.run(load(url, body, seconds))
    return rate, median, 1e3 * (spent(pid) - before) / max(1.0, rate * seconds)


async def answers(url: str, n: int) -> set[str]:
    """The answers of one vote with a fixed seed, asked for `n` times."""
    raw = json.dumps({**CHAT, "model": "m@vote", "seed": 7}).encode()
    async with Connection(url) as connection:
        return {json.loads(await connection.post(raw))["choices"][0]["message"]["content"] for _ in range(n)}


@contextmanager
def its_hub(upstream: str, how: str) -> Iterator[tuple[str, int]]:
    """its_hub's gateway, set to votes of 8 on numbers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([PEER, "-c", RAISED, str(port), how], stderr=subprocess.DEVNULL) as started:
        try:
            told = {"endpoint": upstream, "api_key": "none", "model": "m", "alg": "self-consistency", "budget": 8}
            asyncio.run(_configured(port, {**told, "regex_patterns": [r"answer: (\d+)"]}))
            yield f"http://127.0.0.1:{port}/v1", started.pid
        finally:
            started.terminate()


async def _configured(port: int, told: dict[str, Any]) -> None:
    """Configures its_hub's gateway as soon as it listens."""
    for _ in range(600):
        try:
            async with Connection(f"http://127.0.0.1:{port}", "/configure") as connection:
                await connection.post(json.dumps(told).encode())
                return
        except OSError:
            await asyncio.sleep(0.1)
    raise TimeoutError("its_hub's gateway does not listen")


TOML = """
[models.m]
base_url = "{upstream}"
concurrency = 1000
use_n = false
[models.shared]
base_url = "{upstream}"
model = "m"
concurrency = 1000
stream = false
[models.usual]
base_url = "{upstream}"
model = "m"
concurrency = 1000
[presets.vote]
strategy = "majority:n=8"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name, process(__file__, "--serve", cwd=Path(name)) as (upstream, _):
        folder = Path(name)
        os.environ["MULL_BANK"] = str(folder / "bank.db")  # what is found out about the server is kept there
        (folder / "mull.toml").write_text(TOML.format(upstream=upstream))
        words = ("-m", "mull", "serve", "--port", "0", "--config", "mull.toml")
        with process(*words, cwd=folder) as (gateway, pid):
            passed(upstream, gateway, pid)
            votes(upstream, gateway, pid)


def passed(upstream: str, gateway: str, pid: int) -> None:
    """Prints what passing on costs."""
    asyncio.run(load(gateway, CHAT, 1.0))  # warm
    rows: dict[str, list[tuple[float, float, float]]] = {"server alone": [], "through mull": []}
    for _ in range(ROUNDS):
        for who, url in (("server alone", upstream), ("through mull", gateway)):
            rows[who].append(measured(url, pid, CHAT))
    # Other work on the machine only takes away: of several rounds the best counts, on both sides.
    best = {who: (max(r for r, _, _ in row), *(min(r[i] for r in row) for i in (1, 2))) for who, row in rows.items()}
    for who, (rate, median, used) in best.items():
        print(f"{who}: {rate:.0f} requests a second, median {median:.1f} ms, gateway's processor {used:.2f} ms each")
    alone, through = best["server alone"], best["through mull"]
    print(
        f"added median {through[1] - alone[1]:.1f} ms (target {ADDED_MS}), "
        f"share of requests {through[0] / alone[0]:.2f} (target {SHARE:.2f})"
    )


def votes(upstream: str, gateway: str, pid: int) -> None:
    """Prints votes of 8 a second, of its_hub and of mull."""
    rows: dict[str, list[tuple[float, float, float]]] = {}

    def row(who: str, url: str, pid: int, model: str) -> None:
        body = {**CHAT, "model": model, "max_tokens": 64}
        measured(url, pid, body, 1.0)
        rows.setdefault(who, []).append(measured(url, pid, body))

    for _ in range(ROUNDS):
        if Path(PEER).exists():
            for how in ("as installed", "raised"):
                with its_hub(upstream, how) as (peer, peer_pid):
                    row(f"its_hub {how}", peer, peer_pid, "m")
        row("mull, a request for each draw", gateway, pid, "m@vote")
        row("mull, one request for all", gateway, pid, "shared@vote")
        row("mull, one stream for all", gateway, pid, "usual@vote")
    best = {who: (max(r for r, _, _ in row), *(min(r[i] for r in row) for i in (1, 2))) for who, row in rows.items()}
    for who, (rate, median, used) in best.items():
        print(f"votes of 8, {who}: {rate:.0f} a second, median {median:.0f} ms, processor {used:.2f} ms each")
    if "its_hub raised" in best:
        for who in (who for who in best if who.startswith("mull")):
            ratios = [best[who][0] / best[f"its_hub {how}"][0] for how in ("as installed", "raised")]
            print(
                f"{who}, in units of its_hub's: {ratios[0]:.1f} as installed, {ratios[1]:.1f} raised (target {VOTES})"
            )
    print(f"answers of one seed: {len(asyncio.run(answers(gateway, 5)))} (target 1)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    else:
        main()
