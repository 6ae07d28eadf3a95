"""A server of hosted models with the Messages, Responses and chat APIs, and what they refuse. Words are its tokens."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = "one two three four five six seven eight nine ten so then thus".split()
Refusal = Callable[[Mapping[str, Any]], str | None]


def says(prompt: str, rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(6, 12))) + f" answer: {rng.choice('ab')}"


@dataclass
class HostedServer:
    """`refuses` returns the words of a refusal of a request, or `None`. A thought has `n_thought` words, which are
    told apart if `shows_thoughts`; a reply continues the assistant's text if `continues`.
    """

    refuses: Refusal = lambda body: None
    n_thought: int = 0
    shows_thoughts: bool = True
    continues: bool = False
    stop_reason: str | None = None
    explanation: str | None = None
    n_cached: int = 0
    models: tuple[str, ...] = ("big",)
    key: str | None = None

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    n_output: int = 0
    """Tokens made by all requests."""

    async def __aenter__(self) -> HostedServer:
        self._rng = random.Random(5)
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/messages", self._post)
        app.router.add_post("/v1/responses", self._post)
        app.router.add_post("/v1/chat/completions", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        if "anthropic-version" in request.headers:
            rows = [{"type": "model", "id": name, "display_name": name, "created_at": ""} for name in self.models]
            return web.json_response({"data": rows, "has_more": False, "first_id": "", "last_id": ""})
        rows = [{"id": name, "object": "model", "owned_by": "openai"} for name in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers)
        key = request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key is not None and key != self.key:
            error = {"type": "authentication_error", "message": f"invalid x-api-key {key}"}
            return web.json_response({"type": "error", "error": error}, status=401)
        body = await request.json()
        self.bodies.append(body)
        route = request.path.rpartition("/")[2]
        no_stream = "no streams here" if route == "completions" and body.get("stream") else None
        if words := self.refuses(body) or no_stream:
            error = {"type": "invalid_request_error", "message": words}
            return web.json_response({"type": "error", "error": error}, status=400)
        made = self._made(body, {"messages": "max_tokens", "responses": "max_output_tokens"}.get(route, "max_tokens"))
        reply = {"messages": self._message, "responses": self._response, "completions": self._chat}[route](body, made)
        if not body.get("stream"):
            return web.json_response(reply)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        events = {"messages": message_events, "responses": response_events}[route](reply)
        for event in events:
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    def _made(self, body: Mapping[str, Any], limit: str) -> dict[str, Any]:
        """A reply: its thought and text, why it ended, and how many tokens it has."""
        turns = body.get("messages") or body["input"]
        is_greedy = body.get("temperature") == 0
        rng = random.Random(json.dumps(turns[0])) if is_greedy else self._rng
        most = body.get(limit) or body["max_completion_tokens"]
        whole = says(str(turns), rng)
        if turns[-1]["role"] == "assistant" and self.continues:
            begun = turns[-1]["content"]
            whole = whole[len(begun) :] if whole.startswith(begun) else "no " + whole
        n_thought = min(self.n_thought, most)
        words = re.findall(r"\s*\S+", whole)[: most - n_thought]
        text, stopped_at = "".join(words), None
        is_cut = n_thought + len(re.findall(r"\s*\S+", whole)) > most
        for stop in body.get("stop_sequences") or ():
            if stop in text:
                text, stopped_at, is_cut = text[: text.index(stop)], stop, False
        words = text.split()
        self.n_output += n_thought + len(words)
        usage = {"prompt": len(str(turns).split()), "output": n_thought + len(words), "n_thought": n_thought}
        return {
            "text": text, "thought": " ".join(["hm"] * n_thought), "is_cut": is_cut, "stopped_at": stopped_at, **usage,
        }  # fmt: skip

    def _message(self, body: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if made["thought"]:
            content.append({"type": "thinking", "thinking": made["thought"] * self.shows_thoughts, "signature": "x"})
        if made["text"]:
            content.append({"type": "text", "text": made["text"], "citations": None})
        reason = "stop_sequence" if made["stopped_at"] else "max_tokens" if made["is_cut"] else "end_turn"
        details = {"type": "refusal", "category": "bio", "explanation": self.explanation} if self.explanation else None
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": self.stop_reason or reason, "stop_sequence": made["stopped_at"], "stop_details": details,
            "usage": {
                "input_tokens": made["prompt"], "output_tokens": made["output"],
                "cache_read_input_tokens": self.n_cached, "cache_creation_input_tokens": 0,
                "output_tokens_details": {"thinking_tokens": made["n_thought"]},
            },
        }  # fmt: skip

    def _response(self, body: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        output: list[dict[str, Any]] = []
        status = "incomplete" if made["is_cut"] else "completed"
        if made["thought"]:
            told = [{"type": "reasoning_text", "text": made["thought"]}] if self.shows_thoughts else None
            output.append({"type": "reasoning", "id": "rs_1", "summary": [], "content": told, "status": status})
        if made["text"]:
            part = {"type": "output_text", "text": made["text"], "annotations": [], "logprobs": None}
            kind = {"type": "message", "id": "msg_1", "role": "assistant", "status": status}
            output.append({**kind, "content": [part]})
        return {
            "id": "resp_1", "object": "response", "created_at": 0.0, "model": body["model"], "status": status,
            "error": None, "incomplete_details": {"reason": "max_output_tokens"} if made["is_cut"] else None,
            "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": {
                "input_tokens": made["prompt"] + self.n_cached, "output_tokens": made["output"],
                "total_tokens": made["prompt"] + self.n_cached + made["output"],
                "input_tokens_details": {"cached_tokens": self.n_cached, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": made["n_thought"]},
            },
        }  # fmt: skip

    def _chat(self, body: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": made["text"]}
        if made["thought"] and self.shows_thoughts:
            message["reasoning_content"] = made["thought"]
        finish = "length" if made["is_cut"] else "stop"
        details = {"reasoning_tokens": made["n_thought"]}
        usage = {"prompt_tokens": made["prompt"], "completion_tokens": made["output"]}
        return {
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {**usage, "completion_tokens_details": details},
        }  # fmt: skip


def message_events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A message as the events of its stream."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**begun, "usage": {**usage, "output_tokens": 1}}}
    yield {"type": "ping"}
    for i, block in enumerate(message["content"]):
        name = "thinking" if block["type"] == "thinking" else "text"
        yield {"type": "content_block_start", "index": i, "content_block": {**block, name: ""}}
        for word in re.findall(r"\s*\S+", block[name]):
            yield {"type": "content_block_delta", "index": i, "delta": {"type": f"{name}_delta", name: word}}
        yield {"type": "content_block_stop", "index": i}
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def response_events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A response as the events of its stream."""
    yield {"type": "response.created", "response": {**response, "output": [], "status": "in_progress", "usage": None}}
    for i, item in enumerate(response["output"]):
        yield {"type": "response.output_item.added", "output_index": i, "item": {**item, "content": []}}
        kind = "response.output_text.delta" if item["type"] == "message" else "response.reasoning_text.delta"
        for word in re.findall(r"\s*\S+", "".join(part["text"] for part in item["content"] or ())):
            yield {"type": kind, "output_index": i, "content_index": 0, "item_id": item["id"], "delta": word}
        yield {"type": "response.output_item.done", "output_index": i, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}
