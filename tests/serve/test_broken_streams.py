"""A stream of a model's server that breaks off: it is told in the form of the API, paid for, and not begun again."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web

from asking import ROUTES, asked, last_error, pieces, post
from fault_server import FaultServer
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key

Make = Callable[..., Any]
WORDS = ["one", " two", " three", " four"]
BREAKS = ("closed", "ended", "error", "not-json")


class Breaking(FaultServer):
    """Its streams break off after two pieces of each reply, in the way that `breaks` says.

    With `late` unset, they do so before the first piece. As `whole` they end as they should, but for `[DONE]`.
    """

    breaks = "closed"
    late = True

    async def _stream(self, request: web.Request, reply: dict[str, Any], fault: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        n, is_chat = len(reply["choices"]), "messages" in self.bodies[-1]
        for word in WORDS if self.breaks in ("whole", "silent") else WORDS[: 2 * self.late]:
            for i in range(n):
                piece = {"delta": {"content": word}} if is_chat else {"text": word}
                await self._event(response, {"id": "1", "choices": [{"index": i, **piece, "finish_reason": None}]})
        match self.breaks:
            case "closed":
                assert request.transport is not None
                request.transport.close()
            case "error":
                await self._event(response, {"error": {"message": "out of memory", "code": 500}})
                await response.write(b"data: [DONE]\n\n")
            case "not-json":
                await response.write(b'data: {"choices": [{"del\n\ndata: [DONE]\n\n')
            case "whole":
                for i in range(n):
                    last = {"delta": {}} if is_chat else {"text": ""}
                    await self._event(response, {"choices": [{"index": i, **last, "finish_reason": "stop"}]})
            case "silent":
                await response.write(b"data: [DONE]\n\n")
        return response


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}'


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(str(tmp_path / "accounts.db"))) as opened:
        yield opened


@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("route", ROUTES)
async def test_a_stream_that_breaks_off_ends_with_an_error(gateway: Make, route: str, breaks: str) -> None:
    async with Breaking() as upstream, gateway(table(upstream)) as served:
        upstream.breaks = breaks
        n = {"n": 2} if route.endswith("completions") else {}
        status, _, text = await post(served.url, route, asked(route, "words", stream=True, **n))
        assert status == 200
        assert pieces(route, text) == [word for word in WORDS[:2] for _ in range(n.get("n", 1))]
        error = last_error(route, text)
        assert error["is"] == ("api_error" if route == "messages" else "upstream_failed")
        assert error["message"] == "the model's server broke the stream off"
        assert "[DONE]" not in text
        assert len(upstream.bodies) == 1


@pytest.mark.parametrize("breaks", BREAKS)
async def test_before_its_first_piece_a_stream_is_asked_for_again(gateway: Make, breaks: str) -> None:
    async with Breaking() as upstream, gateway(table(upstream, "retries = 1\n")) as served:
        upstream.breaks, upstream.late = breaks, False
        for route in ("completions", "messages"):
            n = len(upstream.bodies)
            status, _, text = await post(served.url, route, asked(route, "words", stream=True))
            assert (status, "[DONE]" in text) == (502, False)
            assert len(upstream.bodies) == n + 2


async def test_what_was_streamed_is_paid(gateway: Make, kept: Accounts) -> None:
    """At least a token for each piece; without a limit of its own, a reply of this length counts as a draw's."""
    key = new_key()
    text = f'[serve]\nmax_tokens = 40\n[serve.keys.ann]\nsha256 = "{hash_of(key)}"\ntokens_a_day = 1_000_000\n'
    async with Breaking() as upstream, gateway(table(upstream, text), accounts=kept) as served:
        wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
        left = 1_000_000
        for limit in (None, 9):
            body = asked("chat/completions", "words", stream=True, max_tokens=limit)
            await post(served.url, "chat/completions", body, key)
            left -= limit or 40
            assert wallet.left.tokens == left


@pytest.mark.parametrize("route", ROUTES)
async def test_a_stream_is_whole_if_it_says_so_in_one_way(gateway: Make, route: str) -> None:
    """Without `[DONE]` if every reply says why it ended, and without that if `[DONE]` comes."""
    async with Breaking() as upstream, gateway(table(upstream)) as served:
        for breaks in ("whole", "silent"):
            upstream.breaks = breaks
            _, _, text = await post(served.url, route, asked(route, "words", stream=True))
            assert pieces(route, text) == WORDS
            ends = {"responses": "response.completed", "messages": "message_stop"}
            assert ends.get(route, "[DONE]") in text.rstrip("\n").split("\n\n")[-1]
            assert "error" not in text.replace('"error":null', "")


async def test_a_stream_with_fewer_replies_than_were_asked_for_is_not_whole(gateway: Make) -> None:
    async with Breaking(n="ignored") as upstream, gateway(table(upstream)) as served:
        upstream.breaks = "whole"
        for route in ("chat/completions", "completions"):
            _, _, text = await post(served.url, route, asked(route, "words", stream=True, n=3))
            assert pieces(route, text) == WORDS
            assert last_error(route, text)["message"] == "the model's server broke the stream off"
            assert "[DONE]" not in text


async def read(stream: Any, texts: list[str]) -> None:
    async for chunk in stream:
        texts.append(chunk.choices[0].delta.content)


async def test_clients_of_each_api_read_the_error(gateway: Make) -> None:
    async with Breaking() as upstream, gateway(table(upstream)) as served:
        texts: list[str] = []
        async with await served.ask("words", stream=True) as stream:
            with pytest.raises(openai.APIError, match="broke the stream off") as caught:
                await read(stream, texts)
        assert (texts, caught.value.code) == (WORDS[:2], "upstream_failed")
        async with await served.client.responses.create(model="words", input="hello", stream=True) as events:
            last = [event async for event in events][-1]
        assert (last.type, last.response.status) == ("response.failed", "failed")
        assert (last.response.error.code, last.response.error.type) == ("server_error", "upstream_failed")
        (item,), usage = last.response.output, last.response.usage
        assert (item.status, item.content[0].text) == ("incomplete", "".join(WORDS[:2]))
        assert (usage.output_tokens, usage.mull["is_bound"]) == (4096, True)
        client = anthropic.AsyncAnthropic(base_url=served.url, api_key="none", max_retries=0)
        async with client:
            turns: Any = [{"role": "user", "content": "hello"}]
            with pytest.raises(anthropic.APIStatusError, match="broke the stream off"):
                async with client.messages.stream(model="words", max_tokens=9, messages=turns) as told:
                    await told.get_final_message()


@pytest.mark.parametrize("route", ROUTES)
async def test_a_preset_whose_server_fails_tells_it_in_the_form_of_its_stream(gateway: Make, route: str) -> None:
    preset = '[presets.vote]\nstrategy = "majority:n=2"\n'
    async with FaultServer() as upstream, gateway(table(upstream, "retries = 0\n" + preset)) as served:
        await served.ask("words@vote")
        upstream._script = iter(["500"] * 9)
        status, _, text = await post(served.url, route, asked(route, "words@vote", stream=True))
        error = last_error(route, text)
        assert (status, error["is"]) == (200, "api_error" if route == "messages" else "upstream_failed")
        assert "HTTP 500" in error["message"]


@pytest.mark.parametrize("route", ROUTES)
async def test_events_of_odd_shapes_break_no_stream(gateway: Make, route: str) -> None:
    """Such as servers send: without choices, with `null` in their place, and an end without a piece of text."""

    class Odd(FaultServer):
        async def _stream(self, request: web.Request, reply: dict[str, Any], fault: str) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            piece = {"delta": {"content": "one"}} if "messages" in self.bodies[-1] else {"text": "one"}
            for told in (
                {"id": "1", "choices": [], "prompt_filter_results": []},
                {"id": "1"},
                {"id": "1", "choices": None},
                {"id": "1", "choices": [{"index": 0, **piece}], "error": None},
                {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "delta": None}]},
            ):
                await self._event(response, told)
            return response

    async with Odd() as upstream, gateway(table(upstream)) as served:
        _, _, text = await post(served.url, route, asked(route, "words", stream=True))
        assert '"one"' in text
        ends = {"responses": "response.completed", "messages": "message_stop"}
        assert ends.get(route, "[DONE]") in text.rstrip("\n").split("\n\n")[-1]


async def test_a_fault_of_the_gateway_is_told_in_the_stream(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mull.serve.shapes.logprobs", broken)
    async with gateway("", "nano") as served:
        async with await served.ask("nano", "a:7;a?", stream=True) as stream:
            with pytest.raises(openai.APIError, match="the gateway failed") as caught:
                await read(stream, [])
        assert caught.value.code == "internal_error"


@pytest.mark.parametrize("usage", [{"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": None}])
async def test_counts_that_cannot_be_true_count_as_the_most(gateway: Make, kept: Accounts, usage: Any) -> None:
    """Whole and streamed, passed on and by a preset: what the client is told is what its key pays."""
    key = new_key()
    preset = '[presets.one]\nstrategy = "single"\n'
    text = preset + f'[serve.keys.ann]\nsha256 = "{hash_of(key)}"\ntokens_a_day = 1_000_000\n'
    told_as = {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage.get("completion_tokens")}
    async with FaultServer(usage=told_as) as upstream, gateway(table(upstream, text), accounts=kept) as served:
        wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
        for model in ("words@one", "words"):
            for is_streamed in (False, True):
                before = wallet.left.tokens
                more = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
                body = asked("chat/completions", model, "hello there", max_tokens=25, **more)
                _, _, reply = await post(served.url, "chat/completions", body, key)
                told = json.loads(reply.rstrip("\n").split("\n\n")[-2][6:] if is_streamed else reply)["usage"]
                assert (told["completion_tokens"], before - wallet.left.tokens) == (25, 25)
                assert told["prompt_tokens"] >= len("hello there")
                assert told["total_tokens"] == told["prompt_tokens"] + 25
                assert told["mull"]["is_bound"] is True
        _, _, reply = await post(served.url, "messages", asked("messages", "words"), key)
        assert json.loads(reply)["usage"]["mull"] == {"is_bound": True}
