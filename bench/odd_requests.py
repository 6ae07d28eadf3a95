"""Requests that no client means, for tests and benchmarks of the gateway, and a server that takes them all."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}
MULL = {
    "strategy": "majority:n=3",
    "verifier": "nano-orm",
    "answer": "number",
    "budget": {"calls": 3, "tokens": 60, "usd": 1.0, "seconds": 9},
    "return": ["samples", "tally", "progress"],
    "abstain": 0.1,
}
COMPARED = {"compare": ["vote", "one"], "budget": {"calls": 4}, "return": ["tally"]}
TURNS: list[Any] = [
    {"role": "user", "content": "a:7;b:a*6;b?"},
    {"role": "assistant", "content": "42", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "1", "tool_call_id": "c"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "b?"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
    },
]
COMMON = {"max_tokens": 8, "temperature": 1, "top_p": 0.9, "seed": 3, "stream": True, "mull": MULL}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        **COMMON,
        "messages": [TURNS[0]],
        "n": 2,
        "stop": ["z"],
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": SCHEMA,
        "logprobs": True,
        "top_logprobs": 2,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
        "max_completion_tokens": 8,
    },
    "/v1/completions": {**COMMON, "prompt": "a:7;b:a*6;b?", "n": 2, "echo": False, "logprobs": 1},
    "/v1/responses": {
        **COMMON,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "b?"}]}, {"type": "function_call"}],
        "instructions": "x",
        "max_output_tokens": 8,
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low"},
        "tool_choice": {"type": "function", "name": "f"},
    },
    "/v1/messages": {
        **COMMON,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "b?"}]}],
        "system": "x",
        "stop_sequences": ["z"],
        "tools": [{"name": "f", "input_schema": {}}],
        "tool_choice": {"type": "any"},
        "top_k": 4,
    },
}
NEEDED = ("messages", "prompt", "input", "max_tokens")
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 3.5, 1e300, 10**30, "", "x", "\ud800", "\0", "nano", "42", [], {}, [[]], [None], [1],
    {"a": 1}, {"type": "text"}, {"type": []}, [{"type": "text"}], ["x"] * 30, "majority:n=2", "best:n=2", "beam:n=2",
    "cascade:stages=(single,(majority:n=2))", "(((((", "auto:policy=x", "on:model=nano,strategy=single", "nano-orm",
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value inside another, however deep."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def mutated(body: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A body with some fields left out and some values replaced, at any depth."""
    body = copy.deepcopy(body)
    if body.get("messages") == TURNS[:1] and rng.random() < 0.3:
        body["messages"] = copy.deepcopy(TURNS)
    if rng.random() < 0.2:
        body["mull"] = copy.deepcopy(COMPARED)
    for name in sorted(body):
        if rng.random() < (0.03 if name in NEEDED else 0.7):
            body.pop(name)
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        place = rng.choice(places(body))
        if not place:
            body[rng.choice(["best_of", "user", "min_p", "logit_bias", "functions", "x"])] = copy.deepcopy(
                rng.choice(ODD)
            )
            continue
        at: Any = body
        for key in place[:-1]:
            at = at[key]
        if rng.random() < 0.3:
            at.pop(place[-1])
        else:
            at[place[-1]] = copy.deepcopy(rng.choice(ODD))
    return body


async def fuzzed(url: str, seed: int, n: int) -> Counter[int]:
    """The statuses of so many requests; each reply is checked."""
    rng, statuses = random.Random(seed), Counter[int]()
    async with aiohttp.ClientSession() as session:
        for _ in range(n):
            path = rng.choice(list(BODIES))
            body = {"model": rng.choice(["nano", "nano@vote", "words", "words@vote"]), **mutated(BODIES[path], rng)}
            if rng.random() < 0.02:
                body["model"] = copy.deepcopy(rng.choice(ODD))
            raw = json.dumps(body).encode()
            if rng.random() < 0.05:
                raw = raw[: rng.randrange(len(raw))]
            headers = {"Content-Type": "application/json"}
            async with session.post(url + path, data=raw, headers=headers) as response:
                text = await response.text()
            statuses[response.status] += 1
            told = (response.status, path, raw)
            assert response.status in (200, 400, 404, 502), (told, text)
            if response.status == 200:
                assert text.startswith(("{", "data: ", ": ", "event: ")), (told, text)
                assert "internal_error" not in text, (told, text)
            else:
                assert json.loads(text)["error"]["message"], (told, text)
    return statuses


async def _calm(request: web.Request) -> web.StreamResponse:
    """Answers whatever is asked with the same words."""
    body = json.loads(await request.text())
    n = body["n"] if isinstance(body.get("n"), int) and 0 < body["n"] < 200 else 1
    text = {"message": {"role": "assistant", "content": "answer: 42"}, "text": "answer: 42"}
    choices: list[dict[str, Any]] = [{"index": i, "finish_reason": "stop", **text} for i in range(n)]
    usage = {"prompt_tokens": 5, "completion_tokens": 3 * n}
    if body.get("stream") is True:
        deltas = [{**choice, "delta": {"content": "answer: 42"}} for choice in choices]
        told = [{"choices": deltas}, {"choices": [], "usage": usage}]
        lines = [f"data: {json.dumps(one)}\n\n" for one in told]
        return web.Response(text="".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream")
    return web.json_response({"id": "1", "choices": choices, "usage": usage})


async def _models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "words", "object": "model"}]})


@asynccontextmanager
async def calm_server() -> AsyncIterator[str]:
    """The URL of a server that answers every request, until the block is left."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_get("/v1/models", _models)
    for path in ("chat/completions", "completions"):
        app.router.add_post(f"/v1/{path}", _calm)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()
