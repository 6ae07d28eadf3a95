"""A real llama.cpp server on a real model, SmolLM2: what the client finds there is so, and every token is counted.

The server's own counters, at `/metrics`, are the independent count. Skipped where the engine or the model is missing.
"""

from pathlib import Path

import pytest

import server_contract as contract
import server_table
from gguf_files import gguf_file
from mull import Params, Prompt, Run
from mull.models.gguf import Gguf
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from server_contract import HELLO, Live

SLOTS = 4


@pytest.fixture(scope="module")
def server() -> Gguf:
    return Gguf(str(gguf_file()), slots=SLOTS, context=512, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("llama")


@pytest.fixture
def live(server: Gguf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """The model behind the server as one that somebody started: nothing is known of it, and it is probed once."""
    monkeypatch.setenv("MULL_BANK", str(folder / "bank.db"))
    model = OpenAIModel(Deployment("smol", (server._start(),), "its own name", bank_as="smol", is_named=False))
    return Live(model, "llama.cpp", "llamacpp:tokens_predicted_total", "llamacpp:requests_processing")


async def test_the_probe_finds_what_the_server_does(live: Live) -> None:
    await live.model.prepare()
    can = live.model.capabilities
    assert can is not None
    assert (can.backend, can.n, can.slots, can.context) == ("llama.cpp", True, SLOTS, 512)
    assert (can.seed, can.batch_seeds, can.counts_all, can.stream_n) == (True, "counted", False, True)
    assert (can.logprobs, can.stop, can.biases) == (True, "dropped", "ids")
    assert can.continues is not None
    server_table.check_row(can, "llama.cpp")


@pytest.mark.parametrize("check", [check for check in contract.CHECKS if check not in contract.JUDGED])
async def test_the_contract(live: Live, check: str) -> None:
    server_table.check_cell(check, live.kind, await contract.observed(contract.CHECKS[check], live))


async def test_a_reward_model_is_not_there(live: Live) -> None:
    server_table.check_cell(contract.REWARDS, live.kind, await contract.check_unrewarded(live))


async def test_strategies_on_the_model_file_cost_flops(server: Gguf) -> None:
    run = await contract.solved(server, "force:at_most=8,n_answer=8")
    assert run.spent.flops is not None
    assert run.spent.flops > 0


async def test_the_model_file_is_what_its_server_is(server: Gguf, live: Live) -> None:
    """Capabilities that the model file takes for granted are those that the probe finds."""
    await live.model.prepare()
    told, found = server.capabilities, live.model.capabilities
    assert found is not None
    for name in ("backend", "n", "seed", "logprobs", "stop", "stream", "stream_usage", "stream_n", "slots", "biases"):
        assert getattr(told, name) == getattr(found, name), name
    assert (told.counts_all, told.batch_seeds, told.context) == (found.counts_all, found.batch_seeds, found.context)
    before = live.count(live.generated)
    run = Run(server, params=Params(max_tokens=8))
    await run.draw(Prompt.user("Name a colour."), 6)
    assert run.spent.output_tokens == live.count(live.generated) - before
    (greedy,) = await Run(server, params=Params(0.0, 8)).draw(HELLO, 1)
    begun = greedy.text[: greedy.text.index(" ", 4)]
    (rest,) = await Run(server, params=Params(0.0, 4)).draw(HELLO.extend(begun), 1)
    assert greedy.text.startswith(rest.reply) or rest.reply.startswith(greedy.text)
