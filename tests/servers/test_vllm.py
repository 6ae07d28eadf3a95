"""vLLM on the CPU, on a real open model: what it has beside the contract of every server."""

import asyncio

import pytest

import server_contract as contract
from mull import Params, Prompt, Run
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from server_contract import Live


def test_the_probe_finds_what_the_server_does(vllm: Live) -> None:
    async def found() -> None:
        await vllm.model.prepare()

    asyncio.run(found())
    can = vllm.model.capabilities
    assert can is not None
    assert (can.backend, can.n, can.slots, can.context) == ("vllm", True, None, 512)
    assert (can.seed, can.batch_seeds, can.counts_all, can.stream_n) == (True, "counted", True, True)
    assert (can.logprobs, can.stop, can.biases, can.continues) == (True, "told", "ids", "flag")


def test_a_prompt_that_leaves_too_little_room_is_clipped_and_said(vllm: Live, caplog: pytest.LogCaptureFixture) -> None:
    """Prompt and max_tokens fit the context of 512, and their sum does not: vLLM shortens the reply without a word."""
    prompt = Prompt.user("Go on: " + "one two three " * 120)

    async def drawn() -> list[int | None]:
        draws = await Run(vllm.model, params=Params(max_tokens=400)).draw(prompt, 2)
        assert all(draw.cost.output_tokens is None or draw.cost.output_tokens < 400 for draw in draws)
        return [draw.cost.output_tokens for draw in draws]

    counts = asyncio.run(drawn())
    assert all(counts)
    assert any("leaves room for" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("api", ["anthropic", "responses"])
def test_the_other_apis(vllm: Live, api: str) -> None:
    """vLLM has these routes, too: every token is counted there."""
    model = OpenAIModel(Deployment(f"vllm-{api}", vllm.model.deployment.urls, "smol", api))  # type: ignore[arg-type]
    live = Live(model, vllm.kind, vllm.generated, vllm.running)

    async def run() -> None:
        await model.prepare()
        before = live.count(live.generated)
        run = Run(model, params=Params(max_tokens=12))
        draws = await run.draw(contract.HELLO, 4)
        assert [draw.error for draw in draws] == [None] * 4
        await live.generates(before, run.spent.output_tokens)

    asyncio.run(run())
