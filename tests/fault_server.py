"""An OpenAI-compatible server that answers from seeds, and fails in every way on demand. Words are its tokens.

In a test: `async with FaultServer(script=["429", "reset"]) as server`. As a process of its own:
`python tests/fault_server.py --mixed 0.1`; it prints its URL.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

WORDS = [
    "add", "sub", "mul", "div", "take", "then", "so", "thus", "hence", "now", "first", "last",
    "next", "left", "right", "top", "low", "mid", "odd", "even",
]  # fmt: skip
MIXED = (
    "429", "429-after", "500", "503", "truncated", "not-json", "wrong-n", "duplicate", "empty", "reset", "no-finish",
)  # fmt: skip
"""Faults that come and go: what a mixture is drawn from."""


def says(prompt: str, seed: int | None, prefix: str = "") -> str:
    """The whole reply: the same for the same prompt and seed; it ends with an answer, `a` in half of all cases."""
    rng = random.Random(f"{prompt}/{seed}")
    words = " ".join(rng.choices(WORDS, k=rng.randint(4, 12)))
    text = f"{words} answer: {rng.choices('abc', [5, 3, 2])[0]}"
    return text[len(prefix) :] if text.startswith(prefix) else "Hello! " + text


def _words(content: Any) -> str:
    """The text of a turn; images and files count as a word each."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] if part["type"] == "text" else part["type"] for part in content)


@dataclass
class FaultServer:
    """What it can do, and what goes wrong. `script` are faults of the next requests, "ok" among them; `mixed` is the
    share of requests that fail in ways that their prompt, seed and repetition decide, each draw twice at most.
    """

    script: Iterable[str] = ()
    mixed: float = 0.0
    models: tuple[str, ...] = ("words",)
    owned_by: str = "vllm"
    version: str = "1"
    key: str | None = None
    n: str = "yes"
    """`yes`, `ignored`, `rejected` or `copies`."""
    has_seed: bool = True
    batch_seeds: str = "counted"
    """What a seed does to several replies: `counted` (reply i has the seed plus i), `first` (only the first has it) or
    `copied` (all are the same)."""
    slots: int | None = None
    """Replies made at once, as told at `/props` of llama.cpp: more in one request are refused."""
    most_n: int | None = None
    """The most replies to one request, told by a refusal alone."""
    covers: str = "all"
    """The replies that the counts of a request cover: `all`, or the `first`; then a stream counts each as it ends."""
    most_stops: int | None = None
    echoes: bool = False
    """A reply to a partial reply begins with it."""
    parts: bool = False
    """Content is a list of parts."""
    has_logprobs: bool = True
    stop: str = "told"
    """`told`, `kept`, `dropped` or `ignored`."""
    continues: str | None = "flag"
    """`flag`, `trailing`, `prefix` or `None`."""
    template: str | None = None
    """The chat template behind plain completions, told at `/props`."""
    thinks_as: str | None = None
    """The name of the field that a thought is in."""
    latency: float = 0.0
    capacity: int | None = None
    """Requests at once; beyond that it answers 429."""
    context: int | None = None
    cached: int | None = None
    rejects: frozenset[str] = frozenset()
    thinks_for: int = 2
    """Words of a thought."""
    budget: str | None = None
    """The field that it keeps them to; `None`: it takes any, and minds none."""
    hides_thoughts: bool = False
    """Only the count of reasoning tokens is told."""
    title: str | None = None
    """What it calls itself at `/openapi.json`."""
    falls_over: frozenset[str] = frozenset()
    """Fields at which it answers 500."""
    biases: str | None = "ids"
    """Goes by the numbers of tokens that `/tokenize` tells, or by `texts`; `None`: ignores logit_bias."""

    usage: Mapping[str, Any] | None = None
    """What it tells of tokens in place of the truth."""
    letters: int | None = None
    """Characters of an event of a stream; `None`: a word."""
    texts: tuple[str, ...] = ()
    """What its replies say, by their seeds in turn, whatever was asked."""
    calls: tuple[tuple[str, str], ...] = ()
    """The tools that its model calls, by name and arguments, instead of saying anything where tools are offered."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Requests by what became of them; also `words` made, `peak` of requests at once, and `gone` clients."""
    seen: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    """Replies that were made in full, by prompt and seed."""
    unseeded: Counter[str] = field(default_factory=Counter)
    """Replies without a seed, by prompt: each differs from the one before, and all are the same in every run."""

    async def __aenter__(self) -> FaultServer:
        self._script = iter(self.script)
        self._active = 0
        self._never, self._went, self._asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/version", self._version)
        app.router.add_get("/props", self._props)
        app.router.add_post("/v1/chat/completions", self._post)
        app.router.add_post("/v1/completions", self._post)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_get("/openapi.json", self._openapi)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._never.set()
        await self._runner.cleanup()

    async def all_gone(self, n: int) -> None:
        """Waits until `n` clients have left before their reply."""
        while self.counts["gone"] < n:
            self._went.clear()
            await self._went.wait()

    async def asked(self, n: int) -> None:
        """Waits until there have been `n` requests."""
        while len(self.bodies) < n:
            self._asked.clear()
            await self._asked.wait()

    def _is_allowed(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"

    def _refuse_key(self, request: web.Request) -> web.Response:
        return self._error(
            401, f"Incorrect API key provided: {request.headers.get('Authorization')}", "invalid_api_key"
        )

    async def _list(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request):
            return self._refuse_key(request)
        rows = [{"id": name, "object": "model", "owned_by": self.owned_by} for name in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self.version}) if self.owned_by == "vllm" else web.Response(status=404)

    async def _props(self, request: web.Request) -> web.Response:
        if self.owned_by != "llamacpp":
            return web.Response(status=404)
        told: dict[str, Any] = {"total_slots": self.slots} if self.slots else {}
        if self.context:
            told["default_generation_settings"] = {"n_ctx": self.context}
        told |= {"build_info": self.version, "chat_template": self.template, "bos_token": "<s>", "eos_token": "</s>"}
        return web.json_response(told)

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response({"info": {"title": self.title}}) if self.title else web.Response(status=404)

    async def _tokenize(self, request: web.Request) -> web.Response:
        words = (await request.json())["prompt"].split()
        if self.biases != "ids" or not set(words) <= set(WORDS):
            return web.Response(status=404)
        return web.json_response({"tokens": [WORDS.index(word) for word in words]})

    def _biased(self, words: list[str], body: dict[str, Any]) -> list[str]:
        """Words with those made unlikely left out, another in their place."""
        told = body.get("logit_bias") or {}
        if self.biases is None or (self.biases == "texts") != (body.get("logit_bias_type") == "tokens"):
            return words
        out = {WORDS[int(name)] if self.biases == "ids" else name for name, bias in told.items() if bias <= -50}
        return [word.replace(word.strip(), "instead") if word.strip() in out else word for word in words]

    @staticmethod
    def _error(status: int, words: str, code: str = "", headers: dict[str, str] | None = None) -> web.Response:
        return web.json_response({"error": {"message": words, "code": code}}, status=status, headers=headers)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if not self._is_allowed(request):
            return self._refuse_key(request)
        self._active += 1
        self.counts["peak"] = max(self.counts["peak"], self._active)
        try:
            return await self._answer(request, await request.json())
        except asyncio.CancelledError:
            self.counts["gone"] += 1
            self._went.set()
            raise
        finally:
            self._active -= 1

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.bodies.append(body)
        self._asked.set()
        if body.get("model") not in self.models:
            return self._error(404, f"The model {body.get('model')!r} does not exist.", "model_not_found")
        if self.capacity is not None and self._active > self.capacity:
            self.counts["429"] += 1
            return self._error(429, "too many requests")
        if bad := sorted(self.rejects & set(body)) or (["n"] if self.n == "rejected" and body.get("n", 1) > 1 else []):
            return self._error(400, f"Unexpected field: {bad[0]}")
        n = body.get("n", 1)
        if (most := self.slots or self.most_n) is not None and n > most:
            return self._error(400, f"Field 'n': Value must be between 1 <= value <= {most}")
        if n > 1 and body.get("temperature") == 0:
            return self._error(400, "n must be 1 when using greedy sampling.")
        if self.most_stops is not None and len(body.get("stop") or ()) > self.most_stops:
            return self._error(400, f"stop must have at most {self.most_stops} strings")
        if self.falls_over & set(body):
            return self._error(500, "it fell over")
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = next(self._script, None) or self._drawn(request, body)
        self.counts[fault] += 1
        if fault != "ok" and (response := await self._fail(request, body, fault)) is not None:
            return response
        if self.context is not None and len(str(body.get("messages") or body["prompt"]).split()) > self.context:
            return self._error(400, f"This model's maximum context length is {self.context} tokens.")
        reply = self._reply(request, body, fault)
        return await self._stream(request, reply, fault) if body.get("stream") else web.json_response(reply)

    def _drawn(self, request: web.Request, body: dict[str, Any]) -> str:
        """A fault that depends on what is asked and how often it was, and on nothing else."""
        if not self.mixed or (retry := int(request.headers.get("X-Retry-Count", "0"))) >= 2:
            return "ok"
        told_apart = body["seed"] if "seed" in body else len(self.bodies)
        asked = json.dumps([body.get("messages"), told_apart, body.get("temperature"), retry])
        rng = random.Random(hashlib.sha256(asked.encode()).digest())
        if rng.random() >= self.mixed:
            return "ok"
        usable = [fault for fault in MIXED if body.get("n", 1) > 1 or fault not in ("wrong-n", "duplicate")]
        return rng.choice(usable)

    async def _fail(self, request: web.Request, body: dict[str, Any], fault: str) -> web.StreamResponse | None:
        transport = request.transport
        assert transport is not None
        match fault:
            case "429" | "503":
                return self._error(int(fault), "busy")
            case "429-after":
                return self._error(429, "busy", headers={"Retry-After": "0.02"})
            case "429-long":
                return self._error(429, "busy", headers={"Retry-After": "86400"})
            case "quota":
                return self._error(429, "You exceeded your current quota", "insufficient_quota")
            case "500" | "502" | "400" | "422":
                return self._error(int(fault), f"it said {fault}")
            case "redirect":
                raise web.HTTPTemporaryRedirect("http://127.0.0.1:9/v1/elsewhere?token=secret")
            case "redirect-key":
                key = request.headers.get("Authorization", "").removeprefix("Bearer ")
                place = f"http://user:{key}@127.0.0.1:9/v1/{quote(key, safe='')}/elsewhere"
                return web.Response(status=307, headers={"Location": place})
            case "redirect-nowhere":
                return web.Response(status=307, headers={"Location": "http://[::1/v1"})
            case "deep":
                return web.Response(text='{"choices": ' + "[" * 100_000, content_type="application/json")
            case "choices":
                return web.json_response({"choices": 5})
            case "html":
                return web.Response(text="<html>hello</html>", content_type="text/html")
            case "not-json":
                return web.Response(text='{"choices": [{"mess', content_type="application/json")
            case "no-choices":
                return web.json_response({"object": "chat.completion"})
            case "reset":
                transport.abort()
                return web.Response()
            case "hang":
                await self._never.wait()
                return web.Response()
            case "truncated" | "trickle" | "huge":
                return await self._piecemeal(request, self._reply(request, body, fault), fault)
        return None

    async def _piecemeal(self, request: web.Request, reply: dict[str, Any], fault: str) -> web.StreamResponse:
        raw = json.dumps(reply).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if fault == "truncated":
            response.content_length = len(raw)
        await response.prepare(request)
        if fault == "truncated":
            await response.write(raw[: len(raw) // 2])
            assert request.transport is not None
            request.transport.close()
        elif fault == "trickle":
            for i in range(len(raw)):
                await response.write(raw[i : i + 1])
                await asyncio.sleep(0.01)
        else:
            for _ in range(100):
                await response.write(b" " * (1 << 20))
                self.counts["megabytes"] += 1
        return response

    def _reply(self, request: web.Request, body: dict[str, Any], fault: str) -> dict[str, Any]:
        n = body.get("n", 1) if self.n in ("yes", "copies") else 1
        choices = [self._choice(body, i) for i in range(n)]
        if self.n == "copies":
            choices = [{**choices[0], "index": i} for i in range(n)]
        each = [choice.pop("n_words") for choice in choices]
        n_words = sum(each)
        n_thought = sum(choice.pop("n_thought", 0) for choice in choices)
        self.counts["words"] += n_words
        if fault == "wrong-n":
            choices = choices[: n // 2]
        if fault == "duplicate":
            choices = [{**choice, "index": choice["index"] // 2} for choice in choices]
        for choice in choices:
            where = choice.get("message", choice)
            name = "content" if "message" in choice else "text"
            if fault in ("empty", "null"):
                where[name] = "" if fault == "empty" else None
            if fault == "no-finish":
                choice["finish_reason"] = None
            if fault == "filter":
                choice["finish_reason"] = "content_filter"
            if fault == "echo":
                where[name] = f"you said {request.headers.get('Authorization')} answer: a"
            if fault == "surrogate":
                where[name] = "\ud800 and \0 answer: a"
        n_prompt = len(json.dumps(body.get("messages") or body["prompt"]).split())
        told = n_words if self.covers == "all" else each[0]
        usage: dict[str, Any] = {"prompt_tokens": n_prompt, "completion_tokens": told}
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        if self.thinks_as:
            usage["completion_tokens_details"] = {"reasoning_tokens": n_thought}
        usage |= self.usage or {}
        if self.parts and not body.get("stream"):
            for choice in choices:
                choice["message"]["content"] = [{"type": "text", "text": choice["message"]["content"]}]
        for choice, n_own in zip(choices, each, strict=False):
            choice["usage"] = {**usage, "completion_tokens": n_own}
        return {"id": "1", "model": body["model"], "choices": choices, "usage": usage}

    def _choice(self, body: dict[str, Any], place: int) -> dict[str, Any]:
        messages, prefix = body.get("messages"), ""
        if messages is None:
            prompt = str(body["prompt"])
            if self.template is not None and "[/I]" in prompt:
                prompt, _, prefix = prompt.removeprefix("<s>").removeprefix("[I]").partition("[/I]")
        else:
            prompt = "/".join(_words(m["content"]) for m in messages if m["role"] == "user")
            if messages[-1]["role"] == "assistant" and self._may_continue(body, messages[-1]):
                prefix = messages[-1]["content"]
        seed = body.get("seed") if self.has_seed else None
        if seed is not None and place:
            seed = {"counted": seed + place, "first": None, "copied": seed}[self.batch_seeds]
        if body.get("temperature") == 0:
            seed = 0
        self.seen[prompt, seed] += 1
        if seed is None:
            self.unseeded[prompt] += 1
            seed = -self.unseeded[prompt]
        said = self.texts[seed % len(self.texts)] if self.texts else says(prompt, seed, prefix)
        words = self._biased(re.findall(r"\s*\S+", said), body)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 16
        finish = "length" if len(words) > limit else "stop"
        text, stopped_at = "".join(words[:limit]), None
        found = [s for s in body.get("stop") or () if s in text] if self.stop != "ignored" else []
        if found:
            stopped_at, finish = min(found, key=text.index), "stop"
            keeps = self.stop == "kept" or body.get("include_stop_str_in_output")
            text = text[: text.index(stopped_at) + (len(stopped_at) if keeps else 0)]
        words = re.findall(r"\s*\S+", text)
        text = prefix + text if self.echoes else text
        choice: dict[str, Any] = {"index": place, "finish_reason": finish, "n_words": len(words)}
        if self.calls and body.get("tools"):
            called = [
                {"id": f"call{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
                for i, (name, arguments) in enumerate(self.calls)
            ]
            message = {"role": "assistant", "content": None, "tool_calls": called}
            return {**choice, "finish_reason": "tool_calls", "message": message}
        if self.stop == "told":
            choice["stop_reason"] = stopped_at
        if messages is None:
            choice["text"] = text
        else:
            choice["message"] = {"role": "assistant", "content": text}
            if self.thinks_as:
                self._think(choice, body, prompt, limit)
        if body.get("logprobs") not in (None, False) and self.has_logprobs:
            choice["logprobs"] = self._logprobs(words, body, messages is not None)
        return choice

    def _think(self, choice: dict[str, Any], body: dict[str, Any], prompt: str, limit: int) -> None:
        """Puts a thought before the text, which has only what the thought leaves of the limit."""
        message, name = choice["message"], str(self.thinks_as)
        n = self.thinks_for
        if self.budget in body:
            told = body[self.budget]
            n = min(n, told if isinstance(told, int) else next((v for v in told.values() if type(v) is int), n))
        if self.thinks_for == 2:
            message[name] = f"thinking of {prompt[:5]}"
        else:
            n = min(n, limit)
            words = re.findall(r"\s*\S+", message["content"])[: limit - n]
            message[name], message["content"] = " ".join(["hm"] * n), "".join(words)
            choice["n_words"] = len(words)
            if n == limit:
                choice["finish_reason"] = "length"
        choice["n_words"] += n
        choice["n_thought"] = n
        if self.hides_thoughts:
            del message[name]

    def _may_continue(self, body: dict[str, Any], last: dict[str, Any]) -> bool:
        told = {"flag": body.get("continue_final_message"), "prefix": last.get("prefix"), "trailing": True}
        return bool(self.continues and told[self.continues])

    @staticmethod
    def _logprobs(words: list[str], body: dict[str, Any], is_chat: bool) -> dict[str, Any]:
        if not is_chat:
            return {"token_logprobs": [-0.25] * len(words), "top_logprobs": [{w: -0.25, "?": -2.0} for w in words]}
        tops = [{"token": "?", "logprob": -2.0}] * body.get("top_logprobs", 0)
        return {"content": [{"token": word, "logprob": -0.25, "top_logprobs": tops} for word in words]}

    async def _stream(self, request: web.Request, reply: dict[str, Any], fault: str) -> web.StreamResponse:
        """The reply as events, one of each choice in turn; at `stall` every second choice never ends."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": a comment\n\n")
        body = self.bodies[-1]
        events = [list(self._events(choice)) for choice in reply["choices"]]
        if fault == "stall":
            events = [some[: -1 if i % 2 else None] for i, some in enumerate(events)]
        for row in itertools.zip_longest(*events):
            for choice, event in zip(reply["choices"], row, strict=True):
                if event is not None:
                    await self._event(response, event)
                    if self.covers == "first" and event["choices"][0].get("finish_reason"):
                        await self._event(response, {"choices": [], "usage": choice["usage"]})
        if fault == "stall":
            self.counts["stalled"] += 1
            await self._never.wait()
        if (body.get("stream_options") or {}).get("include_usage") and self.covers == "all":
            await self._event(response, {"choices": [], "usage": reply["usage"]})
        await response.write(b"data: [DONE]\n\n")
        return response

    def _events(self, choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
        message = choice.get("message")
        text = choice["text"] if message is None else message["content"] or ""
        for i, call in enumerate((message or {}).get("tool_calls") or ()):
            whole = call["function"]["arguments"]
            for at in range(0, len(whole), 3):
                piece: dict[str, Any] = {"index": i, "function": {"arguments": whole[at : at + 3]}}
                if at == 0:
                    piece |= {"id": call["id"], "type": "function"}
                    piece["function"]["name"] = call["function"]["name"]
                yield {"choices": [{"index": choice["index"], "delta": {"tool_calls": [piece]}}]}
        pieces = rf"(?s:.{{1,{self.letters}}})" if self.letters else r"\s*\S+"
        for word in re.findall(pieces, text):
            delta = {"text": word} if message is None else {"delta": {"content": word}}
            yield {"choices": [{"index": choice["index"], **delta}]}
        last = {"text": ""} if message is None else {"delta": {}}
        end = {name: choice[name] for name in ("finish_reason", "stop_reason") if name in choice}
        yield {"choices": [{"index": choice["index"], **last, **end}]}

    @staticmethod
    async def _event(response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


async def _serve(server: FaultServer) -> None:
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixed", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--key")
    parser.add_argument("--n", default="yes")
    options = parser.parse_args()
    asyncio.run(_serve(FaultServer(mixed=options.mixed, latency=options.latency, key=options.key, n=options.n)))
