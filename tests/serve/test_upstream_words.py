"""What a model's server says of itself, or repeats of a prompt, goes neither to clients nor into the log."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fault_server import FaultServer

Make = Callable[..., Any]
PROMPT = "my secret is hunter2 b?"
TOLD = {"model": "words", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 20}
PRESET = '[presets.vote]\nstrategy = "majority:n=2"\n'
QUICK = "backoff = 0.01\nretries = 1\n"


class Echoing(FaultServer):
    """Answers with a status, and words that repeat the prompt and name what is behind it."""

    status = 500
    place = ""
    """Where it sends a client."""

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self.status == 200:
            return await super()._answer(request, body)
        words = f"failed at http://10.0.0.5:8000 on {json.dumps(body)}"
        return web.json_response(
            {"error": {"message": words}}, status=self.status, headers={"Location": self.place, "Retry-After": "86400"}
        )


async def asked(url: str, model: str, **more: Any) -> tuple[int, Any, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json={**TOLD, "model": model, **more}) as response,
    ):
        return response.status, response.headers, await response.text()


def check_clean(text: str, *odd: str) -> None:
    for word in ("hunter2", "10.0.0.5", "127.0.0.1", "vllm", "WORDS_KEY", "base_url", "api_key_env", *odd):
        assert word not in text, text


OPERATORS, BROKEN, AWAY = (502, "false"), (502, "false"), (503, "true")
STATUSES = {
    401: OPERATORS, 402: OPERATORS, 403: OPERATORS, 404: OPERATORS, 405: OPERATORS, 302: OPERATORS, 308: OPERATORS,
    500: BROKEN, 429: AWAY, 503: AWAY, 529: AWAY,
}  # fmt: skip
"""What a client gets for each status of the server, and whether it is told to ask again."""


async def test_only_what_a_client_can_mend_is_told_to_it(gateway: Make, caplog: pytest.LogCaptureFixture) -> None:
    async with Echoing(models=tuple(f"m{status}" for status in STATUSES)) as upstream:
        text = f'{PRESET}models = ["m401", "m302", "m500", "m503"]\n[serve]\npatience = 0\n'
        text += "".join(f'[models.{name}]\nbase_url = "{upstream.url}"\n{QUICK}' for name in upstream.models)
        async with gateway(text) as served:
            upstream.status = 200
            for name in ("m401", "m302", "m500", "m503"):  # what the server can do is known from here on
                assert (await asked(served.url, f"{name}@vote"))[0] == 200
            caplog.clear()
            with caplog.at_level(logging.INFO):
                for status, expected in STATUSES.items():
                    upstream.status, upstream.place = status, "http://10.0.0.5:9/v2?token=x"
                    for model in (f"m{status}", f"m{status}@vote"):
                        got, headers, body = await asked(served.url, model, seed=5)
                        if got == 404:
                            assert "@vote" in model
                            continue
                        assert (got, headers["x-should-retry"]) == expected, (status, body)
                        check_clean(body)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) > len(STATUSES)
    assert not any("hunter2" in line or "8000" in line for line in told)


async def test_an_operator_finds_in_the_log_what_clients_are_not_told(
    gateway: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = Echoing()
    server.status = 401
    async with server as upstream, gateway(f'[models.words]\nbase_url = "{upstream.url}"\n{QUICK}') as served:
        with caplog.at_level(logging.DEBUG):
            await asked(served.url, "words")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{upstream.url}: no key was sent; name its variable with api_key_env (HTTP 401)" in warning
    words = [record for record in caplog.records if "hunter2" in record.getMessage()]
    assert words
    assert all(record.levelno == logging.DEBUG for record in words)


async def test_retries_are_logged_without_words_of_the_server(gateway: Make, caplog: pytest.LogCaptureFixture) -> None:
    async with Echoing() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n{QUICK}{PRESET}'
        async with gateway(text) as served:
            upstream.status = 200
            assert (await asked(served.url, "words@vote"))[0] == 200
            upstream.status = 500
            caplog.clear()
            with caplog.at_level(logging.INFO):
                for model in ("words", "words@vote"):
                    await asked(served.url, model, seed=7)
    told = [record.getMessage() for record in caplog.records]
    assert sum("is asked again" in line and line.endswith("HTTP 500") for line in told) >= 2
    assert not any("hunter2" in line or "10.0.0.5" in line for line in told)


async def test_a_key_that_is_not_set_is_the_operators(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "WORDS_KEY", "k")
    async with FaultServer() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\napi_key_env = "WORDS_KEY"\n{QUICK}{PRESET}'
        async with gateway(text) as served:
            monkeypatch.delitem(os.environ, "WORDS_KEY")
            for model in ("words", "words@vote"):
                status, headers, body = await asked(served.url, model)
                assert (status, headers["x-should-retry"]) == (502, "false")
                check_clean(body)
        assert not upstream.bodies


@pytest.mark.parametrize("odd", ["other-model", "page", "nothing"])
async def test_a_server_that_is_none_is_told_without_hints(gateway: Make, odd: str) -> None:
    async with FaultServer(models=("secret-model",)) as upstream:
        url = {
            "other-model": upstream.url,
            "page": upstream.url.removesuffix("/v1"),
            "nothing": "http://127.0.0.1:9/v1",
        }
        text = f'[models.words]\nbase_url = "{url[odd]}"\nmodel = "words"\n{QUICK}{PRESET}[serve]\npatience = 0\n'
        async with gateway(text) as served:
            for model in ("words", "words@vote"):
                status, headers, body = await asked(served.url, model)
                is_away = odd == "nothing"
                assert (status, headers["x-should-retry"]) == ((503, "true") if is_away else (502, "false")), body
                check_clean(body, "secret-model", "llama-server")


async def test_what_a_server_says_of_the_request_is_told(gateway: Make) -> None:
    async with (
        FaultServer(script=["400"]) as upstream,
        gateway(f'[models.words]\nbase_url = "{upstream.url}"\n') as served,
    ):
        status, headers, body = await asked(served.url, "words")
    assert (status, headers["x-should-retry"]) == (400, "false")
    assert "it said 400" in body
