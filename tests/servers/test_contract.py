"""The same contract for every real server, each on SmolLM2: what is held to, and what is not there, is in the docs."""

import asyncio

import pytest

import server_contract as contract
import server_table
from server_contract import Live

SERVED = ["llama_cpp", "vllm", "transformers_smol", "litellm_smol"]


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Live:
    made: Live = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize("live", SERVED, indirect=True, scope="session")
def test_the_probe_finds_what_the_docs_say(live: Live) -> None:
    asyncio.run(live.model.prepare())
    assert live.model.capabilities is not None
    server_table.check_row(live.model.capabilities, live.kind)


@pytest.mark.parametrize("live", SERVED, indirect=True, scope="session")
@pytest.mark.parametrize("check", contract.CHECKS)
def test_the_contract(live: Live, check: str) -> None:
    outcome = asyncio.run(contract.observed(contract.CHECKS[check], live))
    server_table.check_cell(check, live.kind, outcome)


@pytest.mark.parametrize("live", SERVED, indirect=True, scope="session")
def test_a_server_without_pooling_routes_gives_no_reward(live: Live) -> None:
    """vLLM serves reward models when it is started for them, which `test_rewards.py` does."""
    outcome = asyncio.run(contract.check_unrewarded(live))
    if live.kind != "vLLM":
        server_table.check_cell(contract.REWARDS, live.kind, outcome)
