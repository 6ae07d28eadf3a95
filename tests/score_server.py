"""A local HTTP server that gives scores in the shapes of vLLM 0.33 and SGLang 0.5.

It has a tokenizer and a model: words, punctuation and special tokens are the tokens, and what the model thinks of a
text is decided by the words in it. So a reply that is rendered wrongly, read at the wrong place or with the wrong sign
gets another score than the test works out from the text.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

SPECIAL = ("<extra_0>", "<|im_start|>", "<|im_end|>", "ки", "+", "-", "\n\n", "\n")
_TOKENS = re.compile("|".join(map(re.escape, SPECIAL)) + r"|\w+|[^\w\s]|\s")


def tokens(text: str) -> list[str]:
    return [token for token in _TOKENS.findall(text) if token != " "]


def number(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=3).digest(), "big")


def goodness(told: list[str]) -> float:
    """What the model thinks of a text: a logit that each `wrong` lowers and each `right` raises, and that depends on
    how long the text is.
    """
    return 2.0 * told.count("right") - 3.0 * told.count("wrong") + 0.01 * (len(told) % 7)


def chatml(messages: list[dict[str, str]]) -> str:
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(x - max(row)) for x in row]
    return [power / sum(powers) for power in powers]


class Fake:
    """The server's state: what it was asked, and what it is to do wrong."""

    def __init__(self, step_tag: str | None = "<extra_0>", n_labels: int = 2, is_raw_only: bool = False) -> None:
        self.step_tag, self.n_labels, self.is_raw_only = step_tag, n_labels, is_raw_only
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.vocabulary: dict[int, str] = {}
        self.trouble: Callable[[str, dict[str, Any]], web.Response | None] = lambda path, body: None
        self.alter: Callable[[Any], Any] = lambda reply: reply
        """What becomes of a reply before it is sent."""
        self.padding = 0
        """Spaces before a reply, which then comes in many pieces."""
        self.clients: set[object] = set()
        """The connections that requests came by."""
        self.say: Callable[[list[dict[str, str]]], list[tuple[str, float]]] = lambda messages: []
        """The likeliest next tokens after a conversation."""
        self.tasks: tuple[str, ...] = ("token_classify",)
        """What `/pooling` can do: one value of a sequence (`classify`), or one of each token."""
        self.goodness = goodness
        self.decide: Callable[[str, dict[str, Any]], float] = lambda text, question: 0.5

    # The engine.

    def _ids(self, told: list[str]) -> list[int]:
        self.vocabulary |= {number(token): token for token in told}
        return [number(token) for token in told]

    def _read(self, body: dict[str, Any]) -> list[str]:
        """The tokens of a vLLM request: a text, token ids, or messages put through the chat template."""
        if "messages" in body:
            return tokens(chatml(body["messages"]))
        if isinstance(body["input"], list):
            return [self.vocabulary[i] for i in body["input"]]
        return tokens(body["input"])

    def _logits(self, told: list[str]) -> list[float]:
        value = self.goodness(told)
        return [value] if self.n_labels == 1 else [-value, value] if self.n_labels == 2 else [value, -value]

    def _activated(self, row: list[float], body: dict[str, Any]) -> list[float]:
        if self.is_raw_only or body.get("use_activation") is False:
            return row
        return [1 / (1 + math.exp(-row[0]))] if len(row) == 1 else softmax(row)

    # vLLM.

    async def pooling(self, body: dict[str, Any]) -> dict[str, Any]:
        told = self._read(body)
        if body["task"] not in self.tasks:
            tasks = ", ".join(self.tasks)
            words = f"Unsupported task: {body['task']!r} Supported tasks: [{tasks}]"
            raise web.HTTPBadRequest(text=json.dumps({"error": {"message": words}}))
        if body["task"] == "classify":
            row = self._activated(self._logits(told), body)
            usage = {"prompt_tokens": len(told), "total_tokens": len(told)}
            return {"data": [{"index": 0, "object": "pooling", "data": row}], "usage": usage}
        ends = [i for i, token in enumerate(told) if self.step_tag in (None, token)]
        rows = [self._activated(self._logits(told[: end + 1]), body) for end in ends]
        usage = {
            "prompt_tokens": len(told),
            "total_tokens": len(told),
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        }
        data = [{"index": 0, "object": "pooling", "data": rows}]
        return {"id": "pool-1", "object": "list", "created": 1, "model": body["model"], "data": data, "usage": usage}

    async def classify(self, body: dict[str, Any]) -> Any:
        if "text" in body:  # SGLang's own
            told = tokens(body["text"])
            return {
                "embedding": self._logits(told),
                "meta_info": {"id": "1", "prompt_tokens": len(told), "e2e_latency": 0.1},
            }
        told = self._read(body)
        probs = self._activated(self._logits(told), body)
        data = [{"index": 0, "label": "LABEL_0", "probs": probs, "num_classes": len(probs)}]
        usage = {
            "prompt_tokens": len(told),
            "total_tokens": len(told),
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        }
        return {
            "id": "classify-1",
            "object": "list",
            "created": 1,
            "model": body["model"],
            "data": data,
            "usage": usage,
        }

    async def score(self, body: dict[str, Any]) -> dict[str, Any]:
        told = tokens(body["queries"]) + tokens(body["documents"])
        data = [{"index": 0, "object": "score", "score": self._activated([goodness(told)], body)[0]}]
        usage = {"prompt_tokens": len(told), "total_tokens": len(told), "completion_tokens": 0}
        return {"id": "embd-1", "object": "list", "created": 1, "model": body["model"], "data": data, "usage": usage}

    async def tokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = self._ids(tokens(body["prompt"]))
        return {"count": len(ids), "max_model_len": 4096, "tokens": ids, "token_strs": None}

    # SGLang.

    async def sglang_score(self, body: dict[str, Any]) -> dict[str, Any]:
        scores: list[Any] = []
        n = 0
        for item in body["items"]:
            told = tokens(body["query"]) + tokens(item)
            n += len(told)
            tag = body.get("score_extraction_token")
            ends = [i for i, token in enumerate(told) if token == tag] if tag else [len(told) - 1]
            rows = []
            for end in ends:
                row = self._logits(told[: end + 1])
                if body.get("label_token_ids"):
                    value = self.goodness(told[: end + 1])
                    row = [value, -value]
                rows.append(softmax(row) if body.get("apply_softmax") else row)
            scores.append(rows if tag else rows[0])
        usage = {"prompt_tokens": n, "total_tokens": n, "completion_tokens": 0, "prompt_tokens_details": None}
        return {
            "scores": scores, "pooled_hidden_states": None, "token_logprobs": None, "model": body["model"],
            "usage": usage, "object": "scoring",
        }  # fmt: skip

    # Both.

    async def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        top = self.say(body["messages"])
        content = [
            {
                "token": top[0][0],
                "logprob": top[0][1],
                "bytes": None,
                "top_logprobs": [
                    {"token": t, "logprob": p, "bytes": None} for t, p in top[: body.get("top_logprobs", 0)]
                ],
            }
        ]
        n = len(tokens(chatml(body["messages"])))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": top[0][0]},
            "logprobs": {"content": content} if body.get("logprobs") else None,
            "finish_reason": "length",
        }
        usage = {"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }

    async def decisions(self, body: dict[str, Any]) -> dict[str, Any]:
        """vLLM and SGLang give this path different forms; each refuses what the other takes."""
        usage = {"input_tokens": 90, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
        if "instructions" in body["questions"][0]:
            answers: Any = [self._vllm_answer(body["input"], question) for question in body["questions"]]
            usage |= {"output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 91}
            return {"model": body["model"], "answers": answers, "usage": usage}
        answers = {question["id"]: self._sglang_answer(body["input"], question) for question in body["questions"]}
        usage = {"prompt_tokens": 90, "total_tokens": 90, "completion_tokens": 0}
        return {
            "object": "decisions",
            "model": body["model"],
            "prompt_format_version": 1,
            "answers": answers,
            "usage": usage,
        }

    def _vllm_answer(self, text: str, question: dict[str, Any]) -> dict[str, Any]:
        p = self.decide(text, question)
        if question["type"] == "predicate":
            return {"type": "predicate", "name": question.get("name"), "probability": p}
        values = [choice["value"] for choice in question["choices"]]
        probabilities = [{"value": v, "probability": q} for v, q in zip(values, (p, 1 - p), strict=True)]
        best = values[0] if p >= 0.5 else values[1]
        return {
            "type": "choice", "name": None, "choice": best, "probabilities": probabilities, "confidence": max(p, 1 - p)
        }  # fmt: skip

    def _sglang_answer(self, text: str, question: dict[str, Any]) -> dict[str, Any]:
        p = self.decide(text, question)
        names = ["yes", "no"] if question["type"] == "yes_no" else [option["name"] for option in question["options"]]
        return {
            "type": question["type"], "probabilities": dict(zip(names, (p, 1 - p), strict=True)), "label_mass": 0.99
        }  # fmt: skip


@asynccontextmanager
async def serving(fake: Fake, *, key: str | None = None) -> AsyncIterator[str]:
    """The address of a running server."""
    routes = {
        "/pooling": fake.pooling, "/classify": fake.classify, "/score": fake.score, "/tokenize": fake.tokenize,
        "/v1/score": fake.sglang_score, "/v1/chat/completions": fake.chat, "/v1/decisions": fake.decisions,
    }  # fmt: skip

    def handler(path: str) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if key is not None and request.headers.get("Authorization") != f"Bearer {key}":
                return web.json_response(
                    {"error": {"message": "Unauthorized", "type": "auth", "code": 401}}, status=401
                )
            body = await request.json()
            fake.seen.append((path, body))
            assert request.transport is not None
            fake.clients.add(request.transport.get_extra_info("peername"))
            if (trouble := fake.trouble(path, body)) is not None:
                return trouble
            raw = json.dumps(fake.alter(await routes[path](body)))
            if not fake.padding:
                return web.Response(text=raw, content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            await response.write(b" " * fake.padding)
            await response.write(raw.encode())
            return response

        return handle

    async def models(request: web.Request) -> web.Response:
        row = {"id": "judge", "object": "model", "created": 1, "owned_by": "openai"}
        return web.json_response({"object": "list", "data": [row]})

    app = web.Application(client_max_size=2**26)
    app.router.add_get("/v1/models", models)
    for path in routes:
        app.router.add_post(path, handler(path))
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
