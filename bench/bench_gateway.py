"""What the gateway adds to a server that answers after 50 ms, at 50 concurrent clients; both sides in one run.

`python bench/bench_gateway.py` prints requests a second and the median latency of the server alone and through
`mull serve`, in turns; votes of 8 a second, and whether the answer is the same for a fixed seed; and with
`--memory 50000` the resident memory of the gateway before and after so many requests. Server, gateway and clients are
processes of their own on the same processors, so that the ratio counts and not the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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

from bench_openai import Server

DELAY = 0.05
CONCURRENCY = 50
ROUNDS, SECONDS = 3, 3.0
ADDED_MS, SHARE = 2.0, 850 / 980
"""The targets: the median latency added, and the share of the server's own requests a second."""
CHAT = {"model": "m", "messages": [{"role": "user", "content": "What is 6 times 7?"}], "max_tokens": 64}


class LateServer(Server):
    """Answers each request after `DELAY`."""

    def _answer(self, head: bytes, body: bytes) -> None:
        wait = DELAY if head.startswith(b"post") else 0.0
        asyncio.get_running_loop().call_later(wait, self._answer_now, head, body)

    def _answer_now(self, head: bytes, body: bytes) -> None:
        if not self._transport.is_closing():
            super()._answer(head, body)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(LateServer, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


class Connection:
    """One client: as little HTTP as can be, over a connection that stays open."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, body: bytes) -> bytes:
        head = f"POST {self._parts.path}/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
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


def resident(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def answers(url: str, n: int) -> set[str]:
    """The answers of one vote with a fixed seed, asked for `n` times."""
    raw = json.dumps({**CHAT, "model": "m@vote", "seed": 7}).encode()
    async with Connection(url) as connection:
        return {json.loads(await connection.post(raw))["choices"][0]["message"]["content"] for _ in range(n)}


def main(memory: int) -> None:
    with tempfile.TemporaryDirectory() as name, process(__file__, "--serve", cwd=Path(name)) as (upstream, _):
        folder = Path(name)
        text = f'[models.m]\nbase_url = "{upstream}"\nconcurrency = 1000\n[presets.vote]\nstrategy = "majority:n=8"\n'
        (folder / "mull.toml").write_text(text)
        words = ("-m", "mull", "serve", "--port", "0", "--config", "mull.toml")
        with process(*words, cwd=folder) as (gateway, pid):
            asyncio.run(load(gateway, CHAT, 1.0))  # warm
            alone, through = [], []
            for _ in range(ROUNDS):
                alone.append(asyncio.run(load(upstream, CHAT, SECONDS)))
                through.append(asyncio.run(load(gateway, CHAT, SECONDS)))
            # Other work on the machine only takes away: of several rounds the best counts, on both sides.
            rates = [max(row[0] for row in rows) for rows in (alone, through)]
            medians = [min(row[1] for row in rows) for rows in (alone, through)]
            added, share = medians[1] - medians[0], rates[1] / rates[0]
            print(f"server alone: {rates[0]:.0f} requests a second, median {medians[0]:.1f} ms")
            print(f"through mull: {rates[1]:.0f} requests a second, median {medians[1]:.1f} ms")
            print(
                f"added median {added:.1f} ms (target {ADDED_MS}), share of requests {share:.2f} (target {SHARE:.2f})"
            )
            same = asyncio.run(answers(gateway, 5))
            votes, late = asyncio.run(load(gateway, {**CHAT, "model": "m@vote"}, SECONDS))
            print(
                f"majority of 8: {votes:.0f} requests a second, median {late:.0f} ms; answers of one seed: {len(same)}"
            )
            if memory:
                asyncio.run(load(gateway, CHAT, 0.0, memory // 10))
                before = resident(pid)
                asyncio.run(load(gateway, CHAT, 0.0, memory))
                print(f"memory: {before:.1f} MiB, and after {memory:,} more requests {resident(pid):.1f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--memory", type=int, default=0)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    else:
        main(options.memory)
