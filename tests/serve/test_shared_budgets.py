"""Budgets that several gateways share: the sum of what they spend never passes them, whatever the order of events."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from fault_server import FaultServer
from mull import spec
from mull.catalog import model_of
from mull.config.schema import KeyTable
from mull.errors import BankAwayError
from mull.run import Run
from mull.run.calls import MeteredCalls
from mull.run.events import RunEvent
from mull.run.judging import SPENT
from mull.run.wallet import TakenError, Wallet
from mull.serve import accounts as accounts_module
from mull.serve.accounts import Accounts, KeyWallet
from mull.serve.keys import Key, hash_of, new_key
from mull.types import Ask, Budget, Cost, Params, Problem, Prompt

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\n'
QUESTION = "a:7;b:a*6;c:b-5;c?"


def table(server: FaultServer, key: str, more: str) -> str:
    model = f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{VOTE}'
    return f'{model}[serve.keys.ann]\nsha256 = "{hash_of(key)}"\n{more}\n'


def ann(**budgets: Any) -> Key:
    return Key("ann", KeyTable.model_validate({"sha256": "0" * 64, **budgets}))


async def ask(client: openai.AsyncOpenAI, model: str, text: str, **fields: Any) -> Any:
    turns = [{"role": "user", "content": text}]
    return await client.chat.completions.create(**{"model": model, "messages": turns, "max_tokens": 20, **fields})


@asynccontextmanager
async def served(folder: Path, accounts: str, key: str) -> AsyncIterator[tuple[Any, openai.AsyncOpenAI]]:
    """A process of `mull serve` and a client of it."""
    command = [sys.executable, "-m", "mull", "serve", "--port", "0", "--accounts", accounts]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[0]
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def test_a_server_that_has_restarted_meanwhile_is_asked_again_at_once(postgres: Any, postgres_url: str) -> None:
    """The connection that a gateway keeps is broken then, and says so only when it is used."""
    of_ann = ann(tokens_a_day=100)
    with closing(Accounts(postgres_url)) as opened:
        wallet = opened.wallet(of_ann)
        for spent in (10, 20):
            hold = wallet.hold(Cost(output_tokens=10))
            wallet.settle(Cost(output_tokens=10), hold, is_fresh=True)
            wallet.drop(hold)
            postgres.stop()
            postgres.start()
            opened.elsewhere("ann", wallet.day)
            with closing(Accounts(postgres_url)) as other:
                assert other.wallet(of_ann).left.tokens == 100 - spent
        postgres.stop()
        try:
            with pytest.raises(BankAwayError):
                opened.elsewhere("ann", wallet.day)
        finally:
            postgres.start()


@pytest.mark.parametrize("where", ["file", "postgresql"])
def test_what_another_gateway_has_just_taken_is_not_taken_twice(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    """Both have read what is left when each takes all of it: the database decides, not what they have read."""
    url = str(tmp_path / "both.db") if where == "file" else request.getfixturevalue("postgres_url")
    of_ann = Key("ann", KeyTable.model_validate({"sha256": "0" * 64, "tokens_a_day": 100, "usd_a_day": 1.0}))
    with closing(Accounts(url)) as one, closing(Accounts(url)) as other:
        first, second = one.wallet(of_ann), other.wallet(of_ann)
        assert first.left.tokens == second.left.tokens == 100
        hold = first.hold(Cost(output_tokens=25, usd=0.1), 4)
        with pytest.raises(TakenError):
            second.hold(Cost(output_tokens=1))
        assert second.left.tokens == 0  # read again at once
        second.drop(second.hold(Cost(calls=1)))  # what costs nothing of the budget is not in its way
        first.settle(Cost(output_tokens=5, usd=0.1), hold, is_fresh=True)
        first.drop(hold)
        second.hold(Cost(output_tokens=95, usd=0.9))
        with pytest.raises(TakenError):
            first.hold(Cost(usd=0.001))


async def test_a_run_whose_budget_others_take_ends_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its second draw arrives, another gateway takes all the rest; this one would not read that for an hour."""
    monkeypatch.setattr(accounts_module, "FRESH", 3600.0)
    url, key = str(tmp_path / "both.db"), ann(tokens_a_day=1000)
    with closing(Accounts(url)) as one:
        mine, n_arrived, taken, refused = one.wallet(key), 0, 0, list[Cost]()
        take = one.take

        def took(wallet: KeyWallet, cost: Cost) -> bool:
            is_taken = take(wallet, cost)
            refused.extend([] if is_taken else [cost])
            return is_taken

        monkeypatch.setattr(one, "take", took)

        def watch(event: RunEvent) -> None:
            nonlocal n_arrived, taken
            n_arrived += 1
            if n_arrived == 2:
                with closing(Accounts(url)) as other:
                    taken = other.wallet(key).left.tokens or 0
                    other.wallet(key).hold(Cost(output_tokens=taken))

        run = Run(model_of("nano", 0), within=mine, watch=watch, params=Params(max_tokens=60), seed=1)
        outcome = await run.solve(spec.strategy("revise:n=4,chain=4"), Problem("p", Prompt.user(QUESTION)))
        assert len(outcome.candidates) >= 2
        assert [cost.tokens for cost in refused] == [60]
        assert run.held == Cost()
        assert mine.left.tokens == 1000 - taken - (run.spent.tokens or 0) >= 0


async def test_a_judge_whose_budget_others_take_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "FRESH", 3600.0)
    url, key = str(tmp_path / "both.db"), ann(tokens_a_day=100)
    with closing(Accounts(url)) as one, closing(Accounts(url)) as other:
        calls = MeteredCalls(Wallet(Budget(), one.wallet(key)))
        assert one.wallet(key).left.tokens == 100
        other.wallet(key).hold(Cost(output_tokens=90))
        ask = Ask(Prompt.user(QUESTION), 2, Params(max_tokens=30))
        ((said,),) = await calls.draw(model_of("nano", 0), [[ask]])
        assert (said.samples, said.why) == ((), SPENT)
        assert one.wallet(key).left.tokens == 10


async def test_a_request_that_is_passed_on_gets_what_others_left(
    gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "FRESH", 3600.0)
    url, key = str(tmp_path / "both.db"), new_key()
    async with FaultServer() as upstream:
        with closing(Accounts(url)) as one, closing(Accounts(url)) as other:
            text = table(upstream, key, "tokens_a_day = 300")
            async with gateway(text, accounts=one) as served, served.client_of(key) as client:
                await ask(client, "words", "warm")
                theirs = other.wallet(ann(tokens_a_day=300))
                theirs.hold(Cost(output_tokens=(theirs.left.tokens or 0) - 30))
                reply = await ask(client, "words", "q", max_tokens=100)
                assert upstream.bodies[-1]["max_tokens"] == 30
                assert reply.usage.completion_tokens <= 30


async def test_two_processes_over_one_postgresql_never_pass_a_budget(tmp_path: Path, postgres_url: str) -> None:
    """30 requests at once, to both in turn, for more than the budget has: what was told is what was made, and fits."""
    key = new_key()
    async with FaultServer() as upstream:
        (tmp_path / "mull.toml").write_text(table(upstream, key, "tokens_a_day = 300"))
        async with AsyncExitStack() as stack:
            both = [await stack.enter_async_context(served(tmp_path, postgres_url, key)) for _ in range(2)]
            warm = [await ask(client, "words@vote", "warm", max_tokens=1) for _, client in both]  # probes are nobody's
            start = upstream.counts["words"]
            models = ["words", "words@vote", "words@vote"] * 10
            asked = [ask(both[i % 2][1], model, f"q{i}", seed=i) for i, model in enumerate(models)]
            replies = await asyncio.gather(*asked, return_exceptions=True)
            refused = [reply for reply in replies if isinstance(reply, BaseException)]
            assert {getattr(error, "status_code", error) for error in refused} <= {402, 429}
            told = sum(reply.usage.completion_tokens for reply in replies if not isinstance(reply, BaseException))
            assert told == upstream.counts["words"] - start
            spent = told + sum(reply.usage.completion_tokens for reply in warm)
            assert spent <= 300
            with closing(Accounts(postgres_url)) as books:

                def taken() -> float:
                    return books.elsewhere("ann", accounts_module.today())[0]

                while 300 - taken() >= 8:  # and all of it can be used, but for less than the 8 replies need
                    # What a gateway last read of the other one's holds may be a fifth of a second old.
                    with suppress(openai.APIStatusError):
                        spent += (await ask(both[0][1], "words", "more", n=8)).usage.completion_tokens
                assert taken() == spent
        with closing(Accounts(postgres_url)) as after:
            assert after.wallet(ann(tokens_a_day=300)).left.tokens == 300 - spent


async def test_two_gateways_share_a_budget_and_a_killed_one_gives_nothing_back(tmp_path: Path, gateway: Make) -> None:
    """What a process held when it was killed counts as spent; what ended was counted already."""
    key = new_key()
    async with FaultServer(script=["ok", "hang"]) as upstream:
        text = table(upstream, key, "tokens_a_day = 1000")
        (tmp_path / "mull.toml").write_text(text)
        command = [sys.executable, "-m", "mull", "serve", "--port", "0", "--accounts", "a.db"]
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[0]
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            spent = (await ask(client, "words", "one")).usage.completion_tokens
            hanging = asyncio.ensure_future(ask(client, "words", "two", max_tokens=70))
            await upstream.asked(2)
            with closing(Accounts(str(tmp_path / "a.db"))) as other:
                async with gateway(text, accounts=other) as served:
                    wallet = other.wallet(served.gateway.keys.of({"x-api-key": key}))
                    assert wallet.left.tokens == 1000 - spent - 70
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                    await asyncio.gather(hanging, return_exceptions=True)
                    async with served.client_of(key) as client_of_other:
                        more = (await ask(client_of_other, "words", "three")).usage.completion_tokens
                    assert wallet.left.tokens == 1000 - spent - 70 - more


async def test_what_running_requests_hold_is_told_apart_from_what_is_spent(
    gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a day is held here, by another gateway, and by one that was killed; then it is spent."""
    monkeypatch.setattr(accounts_module, "FRESH", 0.0)
    url, key = str(tmp_path / "both.db"), new_key()
    async with FaultServer() as upstream:
        with closing(Accounts(url)) as one, closing(Accounts(url)) as other:
            text = table(upstream, key, "tokens_a_day = 100")
            async with gateway(text, accounts=one) as served, served.client_of(key) as client:
                of_ann = served.gateway.keys.of({"x-api-key": key})

                async def refused(status: int, model: str, **fields: Any) -> Any:
                    with pytest.raises(openai.APIStatusError) as caught:
                        await ask(client, model, "q", **fields)
                    error = caught.value
                    again = "true" if status == 429 else "false"
                    assert (error.status_code, error.response.headers["x-should-retry"]) == (status, again)
                    assert ("retry-after" in error.response.headers) == (status == 429)
                    return error.body

                for wallet in (one.wallet(of_ann), other.wallet(of_ann)):
                    rest = wallet.left.tokens or 0
                    hold = wallet.hold(Cost(output_tokens=rest))
                    for model, fields in (("words", {}), ("words@vote", {}), ("words", {"stream": True})):
                        body = await refused(429, model, **fields)
                        assert (body["code"], body["left"]["tokens"]) == ("budget_held", 0)
                        assert "running requests hold" in body["message"]
                        assert f"{rest} of 100 tokens" in body["message"]
                    wallet.drop(hold)
                    assert (await ask(client, "words", "q", max_tokens=1)).choices
                left = one.wallet(of_ann).left.tokens
                hold = other.wallet(of_ann).hold(Cost(output_tokens=left - 2))
                await refused(429, "words", n=3)  # there would be room for three
                await refused(402, "words", n=left + 1)  # but not for as many
                monkeypatch.setattr(accounts_module, "RUNNING", 0.0)
                body = await refused(402, "words", n=3)  # of a process that was killed
                assert (body["code"], body["left"]["tokens"]) == ("budget_exceeded", 2)
                other.wallet(of_ann).drop(hold)
                one.wallet(of_ann).pay(Cost(output_tokens=left), Cost(), None)
                body = await refused(402, "words")
                assert (body["code"], body["left"]["tokens"]) == ("budget_exceeded", 0)
