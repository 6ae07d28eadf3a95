"""What comes from the bank costs a request nothing, and counts against its ceilings all the same."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fault_server import FaultServer
from mull.bank import MemoryBank
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key

Make = Callable[..., Any]
PRESETS = """
[judges]
j = "pairwise:model=words"
[presets.vote]
strategy = "majority:n=4"
[presets.judged]
strategy = "tournament:n=4"
judge = "j"
"""
PRICES = "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 10.0\n"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(str(tmp_path / "accounts.db"))) as opened:
        yield opened


@pytest.mark.parametrize("preset", ["vote", "judged"])
async def test_a_request_that_is_answered_again_costs_nothing(gateway: Make, kept: Accounts, preset: str) -> None:
    key = new_key()
    async with FaultServer(texts=("A", "B", "A")) as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n{PRICES}{PRESETS}'
        text += f'[serve.keys.ann]\nsha256 = "{hash_of(key)}"\ntokens_a_day = 100_000\nusd_a_day = 1.0\n'
        async with gateway(text, bank=MemoryBank(), accounts=kept) as served:
            served.client, wallet = served.client_of(key), kept.wallet(served.gateway.keys.of({"x-api-key": key}))
            model, budget = f"words@{preset}", {"extra_body": {"mull": {"budget": {"calls": 32}}}}
            await served.ask(model, "warm")
            first = await served.ask(model, "hello", seed=1, **budget)
            left, n_asked, metrics = (
                wallet.left,
                len(upstream.bodies),
                served.gateway.meters.text().decode().splitlines(),
            )
            again = await served.ask(model, "hello", seed=1, **budget)
            assert len(upstream.bodies) == n_asked
            assert wallet.left == left
            spent = [line for line in served.gateway.meters.text().decode().splitlines() if line not in metrics]
            assert not any(line.startswith(("mull_tokens", "mull_usd_total", "mull_calls")) for line in spent)
            assert again.choices[0].message.content == first.choices[0].message.content
            assert again.mull["answers"] == first.mull["answers"]
            used, was = again.usage.mull, first.usage.mull
            assert (used["calls"], used["banked_calls"], used["usd"]) == (0, was["calls"], 0)
            assert was["banked_calls"] == 0 < was["usd"]
            assert again.usage.completion_tokens == again.usage.prompt_tokens == 0
            assert again.mull["left"]["calls"] == first.mull["left"]["calls"] == 32 - was["calls"]
            more = await served.ask(model, "hello", seed=1, extra_body={"mull": {"strategy": "majority:n=6"}})
            assert (more.usage.mull["calls"], more.usage.mull["banked_calls"]) == (2, 4)
