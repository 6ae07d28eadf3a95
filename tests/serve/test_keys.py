"""Keys: who may use the gateway, for what, how often, and how much of it in a day, whatever happens to the process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from fault_server import FaultServer
from mull.bank import MemoryBank, open_bank
from mull.errors import UsageError
from mull.serve import accounts as accounts_module
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key
from mull.types import Cost

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\n'


def of_key(name: str, key: str, more: str = "") -> str:
    return f'[serve.keys.{name}]\nsha256 = "{hash_of(key)}"\n{more}\n'


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}\n{VOTE}'


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(str(tmp_path / "accounts" / "kept.db"))) as opened:
        yield opened


async def test_only_known_keys_are_let_in(gateway: Make) -> None:
    ann, bob = new_key(), new_key()
    text = VOTE + of_key("ann", ann) + of_key("bob", bob, 'models = ["nano@vote"]')
    async with gateway(text, "nano") as served:
        for wrong in ("none", ann[:-1], hash_of(ann)):
            async with served.client_of(wrong) as client:
                with pytest.raises(openai.AuthenticationError) as caught:
                    await client.models.list()
                assert caught.value.code == "invalid_api_key"
                assert wrong not in str(caught.value.body) or wrong == "none"
        async with served.client_of(ann) as client:
            assert [model.id async for model in await client.models.list()] == ["nano", "nano@vote"]
        async with served.client_of(bob) as client:
            assert [model.id async for model in await client.models.list()] == ["nano@vote"]
            turns = [{"role": "user", "content": "a:7;b:a*6;b?"}]
            assert (await client.chat.completions.create(model="nano@vote", messages=turns)).choices
            with pytest.raises(openai.NotFoundError, match="'nano@vote'"):
                await client.chat.completions.create(model="nano", messages=turns)


async def test_a_key_has_so_many_requests_in_a_minute(gateway: Make) -> None:
    key = new_key()
    async with gateway(of_key("ann", key, "requests_a_minute = 2"), "nano") as served, served.client_of(key) as client:
        turns = [{"role": "user", "content": "a:7;b:a*6;b?"}]
        for _ in range(2):
            await client.chat.completions.create(model="nano", messages=turns)
        with pytest.raises(openai.RateLimitError, match="2 requests in a minute") as caught:
            await client.chat.completions.create(model="nano", messages=turns)
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 30
        assert caught.value.response.headers["x-should-retry"] == "true"


async def ask(client: openai.AsyncOpenAI, model: str, text: str, **fields: Any) -> Any:
    turns = [{"role": "user", "content": text}]
    return await client.chat.completions.create(**{"model": model, "messages": turns, "max_tokens": 20, **fields})


async def test_a_days_tokens_are_never_passed_and_outlive_the_process(
    gateway: Make, kept: Accounts, tmp_path: Path
) -> None:
    """Passed on and voted on, five at once: no request gets more than is left, and a restart gives nothing back."""
    key = new_key()
    async with FaultServer() as upstream:
        text = table(upstream) + of_key("ann", key, "tokens_a_day = 300")
        async with gateway(text, accounts=kept) as served, served.client_of(key) as client:
            await ask(client, "words@vote", "warm")  # what the probe costs is nobody's
            start = upstream.counts["words"]
            spent = 300 - kept.wallet(served.gateway.keys.of({"x-api-key": key})).left.tokens
            models = ["words", "words@vote"] * 12
            replies = await asyncio.gather(
                *(ask(client, model, f"q{i}", seed=i) for i, model in enumerate(models)), return_exceptions=True
            )
            refused = [reply for reply in replies if isinstance(reply, openai.APIStatusError)]
            assert {error.status_code for error in refused} <= {402, 429}
            told = sum(reply.usage.completion_tokens for reply in replies if not isinstance(reply, BaseException))
            assert told == upstream.counts["words"] - start
            assert spent + told <= 300
            assert 300 - spent - told == kept.wallet(served.gateway.keys.of({"x-api-key": key})).left.tokens
            with pytest.raises(openai.APIStatusError) as caught:
                await ask(client, "words", "more", n=300 - spent - told + 1)
            assert caught.value.body["code"] == "budget_exceeded"
            assert caught.value.body["renews_in_seconds"] <= 86_400
            assert caught.value.response.headers["x-should-retry"] == "false"
        with closing(Accounts(str(tmp_path / "accounts" / "kept.db"))) as again:
            async with gateway(text, accounts=again) as served, served.client_of(key) as client:
                left = again.wallet(served.gateway.keys.of({"x-api-key": key})).left.tokens
                assert left == 300 - spent - told
                with pytest.raises(openai.APIStatusError, match=f"leaves {left} of 300 tokens|leaves no room|402"):
                    await ask(client, "words", "more", n=left + 1)


async def test_dollars_of_a_day(gateway: Make, kept: Accounts) -> None:
    key = new_key()
    prices = "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 10.0"
    async with FaultServer() as upstream:
        text = table(upstream, prices) + of_key("ann", key, "usd_a_day = 0.002")
        async with gateway(text, accounts=kept) as served, served.client_of(key) as client:
            usd, n = 0.0, 0

            async def spend() -> None:
                nonlocal usd, n
                while True:
                    usage = (await ask(client, "words", "hello")).usage
                    usd, n = usd + usage.prompt_tokens * 1e-6 + usage.completion_tokens * 1e-5, n + 1

            with pytest.raises(openai.APIStatusError, match=r"of 0\.002 usd") as caught:
                await spend()
            assert caught.value.status_code == 402
            assert caught.value.body["left"]["usd"] == pytest.approx(0.002 - usd, abs=1e-12)
            assert n >= 3
        with pytest.raises(UsageError, match="a ceiling on usd cannot be kept"):
            gateway(table(upstream) + of_key("ann", key, "usd_a_day = 1"), accounts=kept)
        with pytest.raises(UsageError, match="need accounts"):
            async with gateway(text):
                pass


async def test_a_new_day_has_a_new_budget(gateway: Make, kept: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    async with gateway(of_key("ann", key, "tokens_a_day = 50"), "nano", accounts=kept) as served:
        found = served.gateway.keys.of({"authorization": f"bearer {key}"})
        wallet = kept.wallet(found)
        wallet.pay(Cost(output_tokens=50), Cost(), None)
        wallet.drop()
        with pytest.raises(Exception, match="leaves 0 of 50 tokens"):
            wallet.check()
        monkeypatch.setattr(accounts_module, "today", lambda: "2999-01-01")
        assert kept.wallet(found).left.tokens == 50


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_keys_share_no_draws(gateway: Make, tmp_path: Path, where: str) -> None:
    ann, bob = new_key(), new_key()
    bank: Any = MemoryBank() if where == "memory" else open_bank(str(tmp_path / "draws.db"))
    async with FaultServer() as upstream:
        text = table(upstream) + of_key("ann", ann) + of_key("bob", bob)
        async with gateway(text, bank=bank) as served:
            first, second = served.client_of(ann), served.client_of(bob)
            await ask(first, "words@vote", "warm", seed=1)
            counts = []
            for client in (first, first, second, second):
                await ask(client, "words@vote", "hello", seed=1)
                counts.append(len(upstream.bodies))
            await first.close()
            await second.close()
    assert counts[0] == counts[1] < counts[2] == counts[3]
    if where == "file":
        bank.close()


def test_a_key_is_made_by_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mull", "serve", "--new-key", "ann"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    key, _, lines = done.stdout.partition("\n\n")
    (tmp_path / "mull.toml").write_text(lines)
    from mull.config import settings

    read = settings.read(tmp_path / "mull.toml").serve
    assert read is not None
    assert read.keys["ann"].sha256 == hash_of(key)
    assert key not in lines


async def test_heads_without_end_and_slow_ones_are_hung_up_on(gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from mull.serve import listen

    async with gateway("", "nano") as served:
        port = int(served.url.rpartition(":")[2])

        async def said(data: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(data)
                await writer.drain()
                return await asyncio.wait_for(reader.read(), 60)
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

        endless = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + b"x: " + b"y" * 400_000
        assert (await said(endless))[:12] in (b"HTTP/1.1 431", b"")
        two = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        smuggled = await said(two + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n")
        assert smuggled.startswith(b"HTTP/1.1 400")
        assert smuggled.count(b"HTTP/1.1") == 1
        monkeypatch.setattr(listen, "HEAD_SECONDS", 0.2)
        assert await said(b"GET /v1/models HTTP/1.1\r\nHost: loc") == b""
        assert await said(b"") == b""


def test_nothing_that_is_printed_has_a_key(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "mull.toml").write_text(of_key("ann", key, "tokens_a_day = 9"))
    command = [sys.executable, "-m", "mull", "serve", "--port", "0", "--accounts", "a.db"]
    environment = {**os.environ, "MULL_CONFIG": str(tmp_path / "mull.toml")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        body = json.dumps({"model": "nano", "messages": [{"role": "user", "content": "Grüße, secret-question"}]})
        for told in (key, "wrong-key-of-mine"):
            words = ["curl", "-s", f"{url}/chat/completions", "-H", "Content-Type: application/json", "-d", body]
            subprocess.run([*words, "-H", f"Authorization: Bearer {told}"], capture_output=True, check=True)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    for secret in (key, hash_of(key), "wrong-key-of-mine", "secret-question"):
        assert secret not in rest
