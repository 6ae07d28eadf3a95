"""No request makes its server generate more than the gateway holds and counts, and no server is believed to have."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key

Make = Callable[..., Any]
CHAT, COMPLETIONS = ROUTES[:2]
VOTE = '[presets.vote]\nstrategy = "majority:n=2"\n'
PRICES = "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 10.0\n"


def table(server: FaultServer, more: str = "", serve: str = "") -> str:
    return f'{serve}\n[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{PRICES}{more}\n{VOTE}'


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(str(tmp_path / "accounts.db"))) as opened:
        yield opened


LONGER: list[tuple[dict[str, Any], str, str]] = [
    ({"n_predict": 100_000}, "n_predict", "max"),
    ({"n_predict": -1}, "n_predict", "max"),
    ({"num_predict": 7}, "num_predict", "max"),
    ({"options": {"num_predict": 99, "temperature": 1}}, "options.num_predict", "max"),
    ({"max_new_tokens": 5}, "max_new_tokens", "max"),
    ({"parameters": {"max_new_tokens": 5}}, "parameters.max_new_tokens", "max"),
    ({"maxTokens": 5}, "maxTokens", "max"),
    ({"generationConfig": {"maxOutputTokens": 5}}, "generationConfig.maxOutputTokens", "max"),
    ({"sampling_params": {"max_tokens": 5}}, "sampling_params.max_tokens", "max"),
    ({"extra_body": {"options": {"n": 3}}}, "extra_body.options.n", "use n"),
    ({"generation_config": '{"num_beams": 4}'}, "generation_config", "an object"),
    ({"best_of": 5}, "best_of", "use n"),
    ({"n_cmpl": 3}, "n_cmpl", "use n"),
    ({"num_return_sequences": 3}, "num_return_sequences", "use n"),
    ({"use_beam_search": True}, "use_beam_search", "use n"),
    ({"auto_max_new_tokens": True}, "auto_max_new_tokens", "use n"),
    ({"prompt_embeds": ["AA", "AA"]}, "prompt_embeds", "use "),
    ({"models": ["larger"]}, "models", "use model"),
]


@pytest.mark.parametrize("route", ROUTES)
async def test_other_names_of_length_and_number_are_refused_with_the_one_to_use(gateway: Make, route: str) -> None:
    length = {CHAT: "max_tokens", COMPLETIONS: "max_tokens", "responses": "max_output_tokens", "messages": "max_tokens"}
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        for model in ("words", "words@vote"):
            for fields, path, use in LONGER:
                status, _, text = await post(served.url, route, asked(route, model, **fields))
                message = error_of(route, text)["message"]
                assert (status, message.startswith(f"{path}: ")) == (400, True), text
                assert (f"use {length[route]}" if use == "max" else use) in message
        assert upstream.bodies == []
        for fields in ({"n_predict": None, "best_of": 1, "use_beam_search": False}, {"n_probs": 3, "ignore_eos": True}):
            status, _, text = await post(served.url, route, asked(route, "words", **fields))
            assert status == 200, text


DEARER: list[tuple[dict[str, Any], str]] = [
    ({"web_search_options": {}}, "web_search_options"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"plugins": [{"id": "web"}]}, "plugins"),
    ({"extra_body": {"provider": {"order": ["a"]}}}, "extra_body.provider"),
]
NOT_IN = {"responses": 1, "messages": 2}
"""How many of these an API has under other names, or not at all."""


@pytest.mark.parametrize("route", ROUTES)
async def test_what_has_another_price_is_refused_where_dollars_have_a_ceiling(gateway: Make, route: str) -> None:
    async with FaultServer() as upstream:
        async with gateway(table(upstream, serve="[serve]\nusd = 1.0")) as served:
            for fields, path in DEARER[NOT_IN.get(route, 0) :]:
                for model in ("words", "words@vote"):
                    status, _, text = await post(served.url, route, asked(route, model, **fields))
                    assert (status, error_of(route, text)["message"].startswith(f"{path}: ")) == (400, True), text
            assert upstream.bodies == []
            status, _, text = await post(served.url, route, asked(route, "words", service_tier="flex", provider=None))
            assert status == 200, text
        async with gateway(table(upstream)) as served:
            status, _, text = await post(served.url, route, asked(route, "words", service_tier="priority"))
            assert status == 200, text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
async def test_every_reply_is_bounded_at_its_server(gateway: Make, route: str, stream: bool) -> None:
    async with FaultServer() as upstream, gateway(table(upstream, serve="[serve]\nmax_tokens = 40")) as served:

        async def limits(**fields: Any) -> dict[str, int]:
            status, _, text = await post(served.url, route, asked(route, "words", stream=stream, **fields))
            assert status == 200, text
            return {name: value for name, value in upstream.bodies[-1].items() if name.startswith("max_")}

        if route == "messages":
            assert await limits() == {"max_tokens": 30}
        elif route == "responses":
            assert await limits() == {"max_tokens": 40}
            assert await limits(max_output_tokens=9) == {"max_completion_tokens": 9}
        else:
            assert await limits() == {"max_tokens": 40}
            assert await limits(max_tokens=50) == {"max_tokens": 50}
            # A server may go by either of two names, so that both say the same.
            both = {"max_tokens": 5, "max_completion_tokens": 5}
            assert await limits(max_tokens=100_000, max_completion_tokens=5) == both
            least = {"mull": {"budget": {"tokens": 3}}}
            assert await limits(max_tokens=9, max_completion_tokens=9, **least) == dict.fromkeys(both, 3)
    assert len(upstream.bodies) <= 5


async def test_a_least_length_is_within_the_most(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        for model in ("words", "words@vote"):
            status, _, text = await post(served.url, CHAT, asked(CHAT, model, max_tokens=9, min_tokens=10))
            assert (status, "min_tokens: must be at most 9" in text) == (400, True), text
        assert upstream.bodies == []
        assert (await post(served.url, CHAT, asked(CHAT, "words", max_tokens=9, min_tokens=9)))[0] == 200


def counts(text: str) -> dict[str, Any]:
    """The token counts of a whole reply, or the last of a stream."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")] or [text]
    return [told["usage"] for told in map(json.loads, lines) if told.get("usage")][-1]


USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("more", [{}, USAGE])
@pytest.mark.parametrize("tokens_a_day", [None, 100_000])
async def test_no_server_is_believed_to_have_generated_more_than_was_asked(
    gateway: Make, kept: Accounts, more: dict[str, Any], tokens_a_day: int | None
) -> None:
    key = new_key()
    limit = "" if tokens_a_day is None else f"tokens_a_day = {tokens_a_day}"
    keys = f'[serve.keys.ann]\nsha256 = "{hash_of(key)}"\n{limit}\n'
    async with FaultServer() as upstream, gateway(table(upstream, keys), accounts=kept) as served:
        charged = 0
        for told in (4097, 30_000, 1_000_000_000):
            upstream.usage = {"prompt_tokens": 5, "completion_tokens": told, "completion_tokens_details": {"x": told}}
            _, headers, text = await post(served.url, CHAT, asked(CHAT, "words", **more), key)
            usage = counts(text)
            assert usage == {
                "prompt_tokens": 5,
                "completion_tokens": 4096,
                "total_tokens": 4101,
                "mull": {"is_bound": True},
            }
            charged += 4096
            if not more:
                assert headers["x-mull-tokens"] == "4096"
                assert float(headers["x-mull-usd"]) == pytest.approx(5e-6 + 4096e-5, rel=1e-9)
        if tokens_a_day is not None:
            wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
            assert wallet.left.tokens == tokens_a_day - charged
        upstream.usage = {"prompt_tokens": 1_000_000_000, "completion_tokens": 4096}
        _, _, text = await post(served.url, CHAT, asked(CHAT, "words", **more), key)
        assert counts(text)["prompt_tokens"] < 1000  # no more than it has bytes
        upstream.usage = {"prompt_tokens": 5, "completion_tokens": 4096}
        _, _, text = await post(served.url, CHAT, asked(CHAT, "words", **more), key)
        assert "mull" not in counts(text)


@pytest.mark.parametrize("more", [{}, USAGE])
async def test_a_reply_that_was_lost_counts_in_body_and_headers_alike(gateway: Make, more: dict[str, Any]) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        for n in (1, 2):
            upstream._script = iter(["500"])
            words = upstream.counts["words"]
            budget = {"mull": {"budget": {"tokens": 1000}}}
            body = asked(CHAT, "words", n=n, max_tokens=20, **more, **budget)
            _, headers, text = await post(served.url, CHAT, body)
            usage, made = counts(text), upstream.counts["words"] - words
            assert usage["mull"] == {"is_bound": True}
            assert usage["completion_tokens"] == 20 * n + made
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            if not more:
                assert headers["x-mull-tokens"] == str(usage["completion_tokens"])
                assert headers["x-mull-left-tokens"] == str(1000 - usage["completion_tokens"])
                usd = usage["prompt_tokens"] * 1e-6 + usage["completion_tokens"] * 1e-5
                assert float(headers["x-mull-usd"]) == pytest.approx(usd, rel=1e-9)
        metrics = served.gateway.meters.text().decode()
        assert f'mull_tokens_total{{kind="generated",model="words"}} {60 + upstream.counts["words"]}.0' in metrics


class Picky(FaultServer):
    """Refuses requests as `refuses` says."""

    refuses: Callable[[dict[str, Any]], str | None]

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if (why := self.refuses(body)) is not None:
            self.bodies.append(body)
            return self._error(400, why)
        return await super()._answer(request, body)


@pytest.mark.parametrize("more", [{}, USAGE])
async def test_a_server_gets_the_limit_by_the_name_that_it_takes(gateway: Make, more: dict[str, Any]) -> None:
    """As reasoning models of OpenAI do. A name that the client chose is the client's."""
    why = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    upstream = Picky()
    upstream.refuses = lambda body: why if "max_tokens" in body else None
    async with upstream, gateway(table(upstream)) as served:
        for _ in range(2):
            assert (await post(served.url, CHAT, asked(CHAT, "words", **more)))[0] == 200
        sent = [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in upstream.bodies]
        assert sent == [(4096, None), (None, 4096), (None, 4096)]  # it is found out once
        status, _, text = await post(served.url, CHAT, asked(CHAT, "words", max_tokens=9, **more))
        assert (status, why in text) == (400, True)


async def test_a_limit_that_nobody_asked_for_fits_the_context(gateway: Make) -> None:
    why = "'max_tokens' or 'max_completion_tokens' is too large. This model's maximum context length is 1500 tokens"
    upstream = Picky()
    upstream.refuses = lambda body: why if body["max_tokens"] > 1400 else None
    async with upstream, gateway(table(upstream)) as served:
        status, headers, _ = await post(served.url, CHAT, asked(CHAT, "words"))
        assert (status, [body["max_tokens"] for body in upstream.bodies]) == (200, [4096, 2048, 1024])
        assert headers["x-mull-calls"] == "1"
        assert (await post(served.url, CHAT, asked(CHAT, "words", max_tokens=1401)))[0] == 400
        upstream.refuses = lambda body: why  # the prompt alone is too long
        n = len(upstream.bodies)
        assert (await post(served.url, CHAT, asked(CHAT, "words")))[0] == 400
        assert len(upstream.bodies) - n <= 5
