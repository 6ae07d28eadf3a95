"""CPU that a client takes to draw 2,000 samples, 64 at once, from a server that answers at once.

`python bench/bench_openai.py` prints ratios: mull (a vote of 2,000 draws through `Run`) against a bare aiohttp loop
that does the same requests, and against its_hub's self-consistency. The server and each client are processes of
their own; the clients take turns and of several rounds the least counts. its_hub lives in an environment of its
own: `MULL_PEER` names its Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

N = 2000
CONCURRENCY = 64
ROUNDS = 5
PEER = os.environ.get("MULL_PEER", ".peers/its_hub/bin/python")
BARE_TARGET, PEER_TARGET, N_TARGET = 1.6, 0.75, 0.2
MESSAGE = {"role": "user", "content": "What is 6 times 7?"}
TEXT = "six times seven is 42\nanswer: 42"


class Server(asyncio.Protocol):
    """HTTP as far as these clients speak it, with as little work as can be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            _, _, told = head.partition(b"content-length:")
            length = int(told.split(b"\r\n", 1)[0]) if told else 0
            if len(self._waiting) < end + 4 + length:
                return
            body, self._waiting = self._waiting[end + 4 : end + 4 + length], self._waiting[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        reply: dict[str, Any]
        if head.startswith(b"post"):
            n = json.loads(body).get("n", 1)
            choice = {"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 14, "completion_tokens": 12 * n, "total_tokens": 14 + 12 * n}
            reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
            reply["choices"] = [{"index": i, **choice} for i in range(n)]
        else:
            reply = {"object": "list", "data": [{"id": "m", "object": "model"}]}
        raw = json.dumps(reply).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
        )


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def bare(url: str) -> float:
    """The least that can be done with aiohttp: workers that post and read JSON."""
    import aiohttp

    body = {"model": "m", "messages": [MESSAGE], "temperature": 1.0, "top_p": 1.0, "max_tokens": 512}

    async def work(session: aiohttp.ClientSession, todo: list[int]) -> int:
        n_right = 0
        while todo:
            asked = {**body, "seed": todo.pop()}
            async with session.post(url + "/chat/completions", json=asked) as response:
                reply = await response.json()
                n_right += "42" in reply["choices"][0]["message"]["content"]
        return n_right

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await work(session, list(range(64)))
        todo = list(range(N))
        start = time.process_time()
        n_right = sum(await asyncio.gather(*(work(session, todo) for _ in range(CONCURRENCY))))
        spent = time.process_time() - start
    assert n_right == N
    return spent


async def mull(url: str, use_n: bool) -> float:
    from mull import AnswerKind, Problem, Prompt, Run
    from mull.models.served import known
    from mull.models.served.capabilities import Capabilities
    from mull.models.served.deployment import Deployment
    from mull.models.served.model import OpenAIModel
    from mull.strategies.parallel import Majority
    from mull.wire.endpoints import Limits

    deployment = Deployment("m", (url,), "m", limits=Limits(concurrency=CONCURRENCY), use_n=use_n)
    model = OpenAIModel(deployment)
    known.save(deployment, Capabilities(n=True, seed=True))
    problem = Problem("p", Prompt.user(str(MESSAGE["content"])), AnswerKind.NUMBER)
    await Majority(64)(problem, Run(model))
    run = Run(model)
    start = time.process_time()
    outcome = await Majority(N)(problem, run)
    spent = time.process_time() - start
    assert outcome.tally == (("42", float(N)),)
    assert run.spent.output_tokens == 12 * N
    return spent


async def its_hub(url: str) -> float:
    from its_hub.core.algorithms.self_consistency import SelfConsistency  # type: ignore[import-not-found]
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel  # type: ignore[import-not-found]
    from its_hub.core.orchestrator import LMOrchestrator  # type: ignore[import-not-found]

    async with OpenAICompatibleLanguageModel(url, "none", "m", temperature=1.0, max_completion_tokens=512) as model:
        vote = SelfConsistency(lambda text: text.rpartition("answer: ")[2], orchestrator=LMOrchestrator(CONCURRENCY))
        await vote.ainfer(model, str(MESSAGE["content"]), 64, return_response_only=False)
        start = time.process_time()
        result = await vote.ainfer(model, str(MESSAGE["content"]), N, return_response_only=False)
        spent = time.process_time() - start
    assert dict(result.response_counts) == {"42": N}
    return spent


def measure(client: str, url: str) -> float:
    """CPU seconds of one client in a process of its own."""
    python = PEER if client == "its_hub" else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MULL_BANK": str(Path(folder) / "bank.db")}
        done = subprocess.run(
            [python, __file__, "--client", client, url], capture_output=True, text=True, env=environment
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU a draw of clients of OpenAI-compatible servers.")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--client", nargs=2, metavar=("NAME", "URL"))
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    if options.client:
        name, url = options.client
        clients: dict[str, Callable[[str], Coroutine[Any, Any, float]]] = {
            "bare": bare,
            "its_hub": its_hub,
            "mull": lambda place: mull(place, False),
            "mull-n": lambda place: mull(place, True),
        }
        print(asyncio.run(clients[name](url)))
        return
    names = ["bare", "mull", "mull-n"]
    if Path(PEER).exists():
        names.append("its_hub")
    else:
        print(f"no {PEER}: its_hub is left out")
    least = dict.fromkeys(names, float("inf"))
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for _ in range(ROUNDS):
            for name in names:
                least[name] = min(least[name], measure(name, url))
        server.terminate()
    for name, seconds in least.items():
        print(f"{name:8} {1e6 * seconds / N:7.1f} us of CPU a draw")
    ratios = [("mull / bare", least["mull"] / least["bare"], BARE_TARGET)]
    if "its_hub" in least:
        ratios.append(("mull / its_hub", least["mull"] / least["its_hub"], PEER_TARGET))
        ratios.append(("mull with n / its_hub", least["mull-n"] / least["its_hub"], N_TARGET))
    for what, ratio, target in ratios:
        print(f"{what:22} {ratio:5.2f} (target: at most {target}, {'met' if ratio <= target else 'missed'})")


if __name__ == "__main__":
    main()
