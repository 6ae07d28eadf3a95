"""Why replies end, in the words of many servers: each client gets a reason that its API has, and no preset fails."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from asking import ROUTES, asked, error_of, last_error, post
from fault_server import FaultServer
from mull.wire.finishes import finish_name

Make = Callable[..., Any]
TABLE = 'backoff = 0.001\nretries = 1\n[presets.vote]\nstrategy = "majority:n=3"\nanswer = "number"\n'
TEXTS = ("answer: 7", "so 7", "answer: 8")
ENDS = {
    "stop": ("stop", "end_turn", ("completed", None)),
    "length": ("length", "max_tokens", ("incomplete", "max_output_tokens")),
    "content_filter": ("content_filter", "refusal", ("incomplete", "content_filter")),
}
"""How a reply ended, in a chat, in Anthropic's messages and in responses."""


def table(upstream: FaultServer, preset: str = "") -> str:
    return f'[models.words]\nbase_url = "{upstream.url}"\n{TABLE}{preset}'


class Ending(FaultServer):
    """Says of each reply that it ended for `reason`."""

    reason = "stop"

    def _choice(self, body: dict[str, Any], place: int) -> dict[str, Any]:
        return {**super()._choice(body, place), "finish_reason": self.reason}


def told_end(route: str, text: str) -> Any:
    """Why a reply ended, as its form tells it; the last word of a stream counts."""
    if not text.startswith("{"):
        rows = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        events = [json.loads(row) for row in rows if row != "[DONE]"]
        if route == "messages":
            return next(event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta")
        if route == "responses":
            told = events[-1]["response"]
        else:
            ends = [one.get("finish_reason") for event in events for one in event["choices"]]
            return next(end for end in ends if end)
    else:
        told = json.loads(text)
    if route == "messages":
        return told["stop_reason"]
    if route == "responses":
        return told["status"], (told["incomplete_details"] or {}).get("reason")
    return told["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("eos_token", "stop"),
        ("weird_reason", "stop"),
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("insufficient_system_resource", "length"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
    ],
)
async def test_every_reason_is_told_in_the_words_of_the_client(gateway: Make, reason: str, means: str) -> None:
    """Where the gateway passes a chat on, its reason is the server's own."""
    forms = dict(zip(("chat/completions", "messages", "responses"), ENDS[means], strict=True))
    async with Ending(texts=TEXTS) as upstream, gateway(table(upstream)) as served:
        await post(served.url, "messages", asked("messages", "words@vote"))  # finds out what it can
        upstream.reason = reason
        for route, end in forms.items():
            for model in ("words", "words@vote"):
                for stream in (False, True):
                    status, _, text = await post(served.url, route, asked(route, model, seed=0, stream=stream))
                    assert status == 200, text
                    is_own = route == "chat/completions" and model == "words"
                    assert told_end(route, text) == (reason if is_own else end), (model, stream, text)


@pytest.mark.parametrize("reason", [7, True, {"a": 1}, ["stop"]])
async def test_a_reason_that_is_no_text_is_a_fault_of_the_server(gateway: Make, reason: Any) -> None:
    """On pass-through too: what clients read there is a name."""
    async with Ending(texts=TEXTS) as upstream, gateway(table(upstream)) as served:
        upstream.reason = reason
        status, _, text = await post(served.url, "chat/completions", asked("chat/completions", "words"))
        assert (status, error_of("chat/completions", text)["is"]) == (502, "upstream_failed")
        _, _, text = await post(served.url, "chat/completions", asked("chat/completions", "words", stream=True))
        assert last_error("chat/completions", text)["is"] == "upstream_failed"
        assert "[DONE]" not in text


async def test_a_refused_reply_says_so_and_has_no_vote(gateway: Make) -> None:
    class Refusing(FaultServer):
        def _choice(self, body: dict[str, Any], place: int) -> dict[str, Any]:
            told = super()._choice(body, place)
            is_refused = self.texts and told.get("message", {}).get("content") == self.texts[-1]
            return {**told, "finish_reason": "content_filter"} if is_refused else told

    async with Refusing(texts=TEXTS) as upstream, gateway(table(upstream, "abstain = 0.1")) as served:
        reply = await served.ask("words@vote", seed=0)
        (told,) = reply.mull["answers"]
        assert (told["answer"], told["confidence"], told["draws"]) == ("7", 1.0, 3)
        upstream.texts = ("no",)
        reply = await served.ask("words@vote", seed=1, n=2)
        for choice, told in zip(reply.choices, reply.mull["answers"], strict=True):
            words = "the server's content filter blocked the reply"
            assert (choice.message.content, choice.message.refusal) == (None, words)
            assert choice.finish_reason == "content_filter"
            assert (told["incomplete"], told["abstained"], told["why"]) == (True, False, words)
        _, _, text = await post(served.url, "messages", asked("messages", "words@vote"))
        assert json.loads(text)["content"][0]["text"] == words


async def test_a_stream_without_a_reply_is_an_error(gateway: Make) -> None:
    """Whether nothing at all came before its end or token counts alone, and for a whole reply it is the same."""

    class Silent(FaultServer):
        usage_of: Any = None

        async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            if not body.get("stream"):
                return web.json_response({"choices": [], "usage": self.usage_of})
            told = f"data: {json.dumps({'choices': [], 'usage': self.usage_of})}\n\n" if self.usage_of else ""
            return web.Response(text=f"{told}data: [DONE]\n\n", content_type="text/event-stream")

    async with Silent() as upstream, gateway(table(upstream)) as served:
        for route in ROUTES:
            for stream in (False, True):
                status, _, text = await post(served.url, route, asked(route, "words", stream=stream))
                assert (status, error_of(route, text)["is"]) == (
                    502,
                    "api_error" if route == "messages" else "upstream_failed",
                )
        upstream.usage_of = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
        more = {"stream": True, "stream_options": {"include_usage": True}}
        status, _, text = await post(served.url, "chat/completions", asked("chat/completions", "words", **more))
        assert "[DONE]" not in text
        assert last_error("chat/completions", text)["is"] == "upstream_failed"


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("end_turn", "stop"),
        ("COMPLETE", "stop"),
        ("model_context_window_exceeded", "length"),
        ("function_call", "tool_calls"),
        ("tool-calls", "tool_calls"),
        ("content-filter", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("network_error", "error"),
        ("abort", "error"),
        ("", "stop"),
    ],
)
def test_names_of_many_servers_are_those_of_a_chat(told: str, name: str) -> None:
    assert finish_name(told) == name
