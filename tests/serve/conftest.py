"""A gateway that listens on a port of its own, in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from uvicorn import Server

from mull.bank import Bank
from mull.serve.accounts import Accounts
from mull.serve.app import Gateway
from mull.serve.listen import bound, server
from mull.serve.offer import Offer


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out about a server is kept in the test's own folder; no configuration of the user is read."""
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


class Served:
    """A running gateway and a client of it."""

    def __init__(self, url: str, gateway: Gateway, server: Server) -> None:
        self.url, self.gateway, self._server = url, gateway, server
        self.client = self.client_of("none")

    def client_of(self, key: str) -> AsyncOpenAI:
        """A client with this key."""
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def stop(self) -> None:
        """Tells the gateway to stop, as a signal does."""
        self._server.should_exit = True

    async def ask(self, model: str, text: str = "a:7;b:a*6;b?", **fields: Any) -> Any:
        turns = [{"role": "user", "content": text}]
        return await self.client.chat.completions.create(**{"model": model, "messages": turns, **fields})


@asynccontextmanager
async def serving(offer: Offer, bank: Bank | None = None, accounts: Accounts | None = None) -> AsyncIterator[Served]:
    """The gateway of an offer, until the block is left."""
    with bound("127.0.0.1", 0) as listening:
        gateway = Gateway(offer, bank, accounts)
        uvicorn = server(gateway)
        running = asyncio.ensure_future(uvicorn.serve([listening]))
        served = Served(f"http://127.0.0.1:{listening.getsockname()[1]}", gateway, uvicorn)
        try:
            yield served
        finally:
            await served.client.close()
            served.stop()
            await running


@pytest.fixture
def gateway(tmp_path: Path) -> Callable[..., Any]:
    """The gateway of a configuration's text, or of models by name."""

    def make(text: str = "", *names: str, bank: Bank | None = None, accounts: Accounts | None = None) -> Any:
        (tmp_path / "mull.toml").write_text(text)
        return serving(Offer(names, tmp_path / "mull.toml"), bank, accounts)

    return make
