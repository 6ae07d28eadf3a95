"""A real llama.cpp server on a real model, SmolLM2: what the client finds there is so, and every token is counted.

The server's own counters, at `/metrics`, are the independent count. Skipped where the engine or the model is missing.
"""

import asyncio
import re
import urllib.request
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from gguf_files import gguf_file
from mull import Budget, Finish, Params, Problem, Prompt, Run, Sample, spec
from mull.models.gguf import Gguf
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.testing import FakePurse
from mull.types import Draw

HELLO = Prompt.user("Say hello in one of many ways.")
SLOTS = 4


@pytest.fixture(scope="module")
def server() -> Gguf:
    return Gguf(str(gguf_file()), slots=SLOTS, context=512, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("llama")


@pytest.fixture
def model(server: Gguf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> OpenAIModel:
    """The model behind the server as one that somebody started: nothing is known of it, and it is probed once."""
    monkeypatch.setenv("MULL_BANK", str(folder / "bank.db"))
    return OpenAIModel(Deployment("smol", (server._start(),), "its own name", is_named=False))


def counted(model: OpenAIModel, what: str = "tokens_predicted_total") -> int:
    """A counter of the server."""
    url = model.deployment.urls[0].removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(url) as page:
        found = re.search(rf"^llamacpp:{what} (\d+)", page.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def drawn(model: OpenAIModel, n: int, prompt: Prompt = HELLO, **params: object) -> list[Sample]:
    return await Run(model, params=Params(**params)).draw(prompt, n)


async def test_the_probe_finds_what_the_server_does(model: OpenAIModel) -> None:
    await model.prepare()
    can = model.capabilities
    assert can is not None
    assert (can.backend, can.n, can.slots, can.context) == ("llama.cpp", True, SLOTS, 512)
    assert (can.seed, can.batch_seeds, can.counts_all, can.stream_n) == (True, "counted", False, True)
    assert (can.logprobs, can.stop, can.biases) == (True, "dropped", "ids")
    assert can.continues is not None


async def test_usage_is_the_servers_own_to_the_token(model: OpenAIModel) -> None:
    """More draws than slots, in shared requests: cut ones have all their tokens, ended ones one more than is seen."""
    await model.prepare()
    before = counted(model)
    run = Run(model, params=Params(max_tokens=12))
    draws = await run.draw(HELLO, 11)
    assert run.spent.output_tokens == counted(model) - before
    cut = [draw for draw in draws if draw.finish is Finish.LENGTH]
    assert cut
    assert all(draw.cost.output_tokens == 12 for draw in cut)
    assert max(draw.batch or 1 for draw in draws) > 1


async def test_a_draw_is_the_same_alone_and_with_others(model: OpenAIModel) -> None:
    """Rounding differs between a cached prompt and a new one, so that a few texts may part: most must not."""
    together = await drawn(model, 4, max_tokens=8)
    alone = await drawn(OpenAIModel(replace(model.deployment, use_n=False)), 4, max_tokens=8)
    assert ([draw.batch for draw in together], [draw.batch for draw in alone]) == ([4] * 4, [None] * 4)
    assert [draw.seed for draw in together] == [draw.seed for draw in alone]
    assert sum(one.text == other.text for one, other in zip(together, alone, strict=True)) >= 3
    assert len({draw.text for draw in together}) > 1


async def test_a_ceiling_holds_for_runs_at_once(model: OpenAIModel) -> None:
    await model.prepare()
    before = counted(model)
    runs = [Run(model, budget=Budget(tokens=40), params=Params(max_tokens=8), seed=seed) for seed in range(3)]
    await asyncio.gather(*(run.draw(HELLO, 9) for run in runs))
    assert all(run.spent.output_tokens <= 40 for run in runs)
    assert sum(run.spent.output_tokens for run in runs) == counted(model) - before


async def test_log_probabilities_stop_strings_and_continuation(model: OpenAIModel) -> None:
    (greedy,) = await drawn(model, 1, Prompt.user("Count to ten."), temperature=0.0, max_tokens=12, logprobs=2)
    assert greedy.logprobs is not None
    assert greedy.alternatives is not None
    assert len(greedy.logprobs) == 12
    likeliest = [max(p for _, p in tops) for tops in greedy.alternatives]
    assert list(greedy.logprobs) == pytest.approx(likeliest), "a greedy token is the likeliest"
    words = greedy.text.split(" ")
    stop = " " + words[2]
    (short,) = await drawn(
        model, 1, Prompt.user("Count to ten."), temperature=0.0, max_tokens=12, stop=(stop, "#1", "#2", "#3", "#4")
    )
    assert short.text == greedy.text[: greedy.text.index(stop)]
    assert short.finish is Finish.STOP_STRING
    begun = greedy.text[: greedy.text.index(" ", 8)]
    (rest,) = await drawn(model, 1, Prompt.user("Count to ten.").extend(begun), temperature=0.0, max_tokens=6)
    assert greedy.text.startswith(rest.reply) or rest.reply.startswith(greedy.text)


async def test_what_is_cancelled_ends_on_the_server(model: OpenAIModel) -> None:
    await model.prepare()
    purse = FakePurse()
    draws = [Draw(i, 7 + i) for i in range(4)]
    async with aclosing(model.sample(HELLO, Params(max_tokens=400), draws, purse)) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(stream)
    assert len(purse.losses) == 4
    async with asyncio.timeout(60):
        while await asyncio.to_thread(counted, model, "requests_processing"):
            pass
    (draw,) = await drawn(model, 1, max_tokens=4)
    assert draw.finish is not Finish.ERROR


@pytest.mark.parametrize("plan", ["majority:n=4", "force:at_most=8,n_answer=8"])
async def test_strategies_work_on_the_model_file(server: Gguf, plan: str) -> None:
    run = Run(server, params=Params(max_tokens=16))
    outcome = await spec.strategy(plan)(Problem("p", Prompt.user("Is 7 odd? Answer: yes or no.")), run)
    assert outcome.best is not None
    assert run.spent.output_tokens is not None
    assert run.spent.flops is not None
    assert run.spent.flops > 0


async def test_the_model_file_is_what_its_server_is(server: Gguf, model: OpenAIModel) -> None:
    """Capabilities that the model file takes for granted are those that the probe finds."""
    await model.prepare()
    told, found = server.capabilities, model.capabilities
    assert found is not None
    for name in ("backend", "n", "seed", "logprobs", "stop", "stream", "stream_usage", "stream_n", "slots", "biases"):
        assert getattr(told, name) == getattr(found, name), name
    assert (told.counts_all, told.batch_seeds, told.context) == (found.counts_all, found.batch_seeds, found.context)
    before = counted(model)
    run = Run(server, params=Params(max_tokens=8))
    await run.draw(Prompt.user("Name a colour."), 6)
    assert run.spent.output_tokens == counted(model) - before
    (greedy,) = await Run(server, params=Params(0.0, 8)).draw(HELLO, 1)
    begun = greedy.text[: greedy.text.index(" ", 4)]
    (rest,) = await Run(server, params=Params(0.0, 4)).draw(HELLO.extend(begun), 1)
    assert greedy.text.startswith(rest.reply) or rest.reply.startswith(greedy.text)
