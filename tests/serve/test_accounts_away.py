"""The accounts' database goes away while requests run: what was held is answered, and settled once it is back."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer
from mull.errors import BankAwayError
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key

Make = Callable[..., Any]
BUDGET = 1_000_000
PRESETS = """
[presets.vote]
strategy = "majority:n=4"
[presets.chain]
strategy = "revise:n=4,chain=4"
"""


class Leaving(FaultServer):
    """The database goes away as its request of number `at` arrives."""

    at = 0

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if len(self.bodies) + 1 == self.at:
            self.leave()
        return await super()._answer(request, body)


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts whose database is away while `is_away` is set."""
    with closing(Accounts(str(tmp_path / "accounts.db"))) as opened:
        opened.is_away = False
        do = opened._database.do

        def may(*args: Any, **more: Any) -> Any:
            if opened.is_away:
                raise BankAwayError("it is away", 9.0)
            return do(*args, **more)

        monkeypatch.setattr(opened._database, "do", may)
        yield opened


def table(server: FaultServer, key: str) -> str:
    text = f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\nuse_n = false\n{PRESETS}'
    return f'{text}[serve.keys.ann]\nsha256 = "{hash_of(key)}"\ntokens_a_day = {BUDGET}\n'


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", ["words", "words@vote"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_held_is_answered_and_settled_once_the_database_is_back(
    gateway: Make, accounts: Any, tmp_path: Path, route: str, model: str, stream: bool
) -> None:
    key = new_key()
    async with Leaving() as upstream, gateway(table(upstream, key), accounts=accounts) as served:

        async def ask(model: str, text: str, **fields: Any) -> tuple[int, str]:
            status, _, told = await post(served.url, route, asked(route, model, text, **fields), key)
            return status, told

        def spent() -> float:
            """As another gateway reads it, which counts what is held."""
            with closing(Accounts(str(tmp_path / "accounts.db"))) as other:
                return BUDGET - (other.wallet(served.gateway.keys.of({"x-api-key": key})).left.tokens or 0)

        assert (await ask("words@vote", "warm"))[0] == 200
        before, n_words = spent(), upstream.counts["words"]
        upstream.leave = lambda: setattr(accounts, "is_away", True)
        upstream.at = len(upstream.bodies) + 1
        status, told = await ask(model, "hello", stream=stream)
        assert accounts.is_away
        assert status == 200, told
        assert "answer:" in told.replace("answer: ", "answer:")
        assert "bank_away" not in told
        assert not stream or ("error" not in told.replace('"error":null', ""))
        assert spent() - before > upstream.counts["words"] - n_words  # it still has what was held
        status, told = await ask(model, "again")
        code = "overloaded_error" if route == "messages" else "bank_away"
        assert (status, error_of(route, told)["is"]) == (503, code)
        accounts.is_away = False
        assert (await served.gateway._ready(None)).status_code == 200
        assert spent() - before == upstream.counts["words"] - n_words


async def test_a_strategy_that_would_draw_more_ends_with_the_best_so_far(gateway: Make, accounts: Any) -> None:
    key = new_key()
    async with Leaving() as upstream, gateway(table(upstream, key), accounts=accounts) as served:
        served.client = served.client_of(key)
        assert (await served.ask("words@chain", "warm")).usage.mull["calls"] == 4
        upstream.leave = lambda: setattr(accounts, "is_away", True)
        upstream.at = len(upstream.bodies) + 2
        reply = await served.ask("words@chain", "hello")
        assert accounts.is_away
        assert reply.usage.mull["calls"] == 2
        assert reply.mull["answers"][0]["incomplete"]
        assert reply.choices[0].message.content
