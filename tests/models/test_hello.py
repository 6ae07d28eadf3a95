"""What a server says of itself may be anything: a look at it ends with what it can do or with an error of mull's."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from fault_server import FaultServer
from mull.errors import ModelError, UsageError
from mull.models.served.deployment import Deployment
from mull.models.served.hello import look, models_at
from mull.models.served.opened import opened

PAGES: dict[str, Any] = {
    "/v1/models": {"object": "list", "data": [{"id": "words", "owned_by": "vllm"}, {"id": "more", "owned_by": "x"}]},
    "/version": {"version": "0.33.0"},
    "/props": {"build_info": "b1", "chat_template": "x", "bos_token": {"content": "<s>"}, "eos_token": None},
    "/openapi.json": {"info": {"title": "llama.cpp Python API", "version": "1"}, "paths": {"/load_model": {}}},
}
ODD: list[Any] = [None, True, 7, 10**400, math.nan, "x\x1b[31m\n", [], [[]], {}, {"a": 1}]
DEEP = "[" * 950 + "]" * 950


def altered(told: Any) -> list[Any]:
    found: list[Any] = list(ODD)
    if isinstance(told, dict):
        for name, value in told.items():
            found += [{**told, name: odd} for odd in altered(value)]
    elif isinstance(told, list):
        for i, value in enumerate(told):
            found += [[*told[:i], odd, *told[i + 1 :]] for odd in altered(value)]
    return found


@asynccontextmanager
async def telling(pages: dict[str, str]) -> AsyncIterator[str]:
    """The address of a server that has these pages, which may change."""

    async def page(request: web.Request) -> web.Response:
        if request.path not in pages:
            return web.Response(status=404)
        return web.Response(text=pages[request.path], content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


async def looked_at(deployment: Deployment) -> str:
    """What a look says, in words."""
    here = await opened(deployment)
    link = here.link
    for endpoint in link.pool.endpoints:
        endpoint.dead = None
    try:
        seen = await look(here)
        names = await models_at(deployment, link)
    except (ModelError, UsageError) as error:
        return str(error)
    return f"{seen.backend} {seen.version} {names}"


async def test_whatever_a_server_says_of_itself_a_look_at_it_ends_well() -> None:
    whole = {path: json.dumps(page) for path, page in PAGES.items()}
    pages = dict(whole)
    async with telling(pages) as url:
        deployment = Deployment("words", (url,), "words")
        assert await looked_at(deployment) == "vllm 0.33.0 ['words', 'more']"
        for path, page in PAGES.items():
            for owner in ("vllm", "llamacpp", "nobody"):
                models = json.dumps({"data": [{"id": "words", "owned_by": owner}]})
                pages |= {**whole, "/v1/models": models}
                for odd in [json.dumps(odd) for odd in altered(page)] + [DEEP, f'{{"data": {DEEP}}}', "[" * 10**5]:
                    pages[path] = odd
                    assert (await looked_at(deployment)).isprintable(), (path, odd[:80])
                if path == "/v1/models":
                    break


async def test_a_model_whose_name_cannot_be_printed_is_no_model(served) -> None:
    async with FaultServer(models=("wor\x1bds", "words")) as server:
        model = served(server)
        assert await models_at(model.deployment, (await opened(model.deployment)).link) == ["words"]
