"""llama.cpp's own Messages and Responses routes, on a real model: what the client asks is taken, and all is counted."""

import re
import urllib.request
from pathlib import Path

import pytest

from gguf_files import gguf_file
from mull import Finish, Message, Params, Problem, Prompt, Run, spec
from mull.models.gguf import Gguf
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.types.parts import Tool, ToolCall

TALK = Prompt((Message("system", "Answer in one word."), Message("user", "Name a colour.")))
TOOL = Tool("look", '{"type":"object","properties":{"at":{"type":"integer"}}}', "Looks at something.")


@pytest.fixture(scope="module")
def server() -> Gguf:
    return Gguf(str(gguf_file()), slots=4, context=512, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apis")


@pytest.fixture(params=["anthropic", "responses"])
def model(request: pytest.FixtureRequest, server: Gguf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> OpenAIModel:
    monkeypatch.setenv("MULL_BANK", str(folder / "bank.db"))
    return OpenAIModel(Deployment("smol", (server._start(),), "smol", request.param, is_named=False))


def counted(model: OpenAIModel, what: str) -> int:
    with urllib.request.urlopen(model.deployment.urls[0].removesuffix("/v1") + "/metrics") as page:
        found = re.search(rf"^llamacpp:{what} (\d+)", page.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_every_token_is_counted_and_the_probe_knows_the_route(model: OpenAIModel) -> None:
    await model.prepare()
    can = model.capabilities
    assert can is not None
    assert (can.backend, can.n, can.seed, can.stream, can.stream_usage) == ("llama.cpp", False, False, True, True)
    before = counted(model, "tokens_predicted_total")
    run = Run(model, params=Params(max_tokens=6))
    draws = await run.draw(TALK, 5)
    assert run.spent.output_tokens == counted(model, "tokens_predicted_total") - before
    assert {draw.finish for draw in draws} <= {Finish.STOP, Finish.LENGTH}
    assert all(draw.cost.output_tokens == 6 for draw in draws if draw.finish is Finish.LENGTH)
    assert any(draw.finish is Finish.LENGTH for draw in draws)
    assert len({draw.text for draw in draws}) > 1
    assert {draw.cost.prompt_tokens for draw in draws} == {draws[0].cost.prompt_tokens}


async def test_a_stop_string_ends_a_draw(model: OpenAIModel) -> None:
    count = Prompt.user("Count to ten.")
    (greedy,) = await Run(model, params=Params(0.0, 12)).draw(count, 1)
    stop = " " + greedy.text.split(" ")[2]
    (short,) = await Run(model, params=Params(0.0, 12, (stop,))).draw(count, 1)
    assert (short.text, short.finish) == (greedy.text[: greedy.text.index(stop)], Finish.STOP_STRING)


async def test_turns_of_tools_are_taken(model: OpenAIModel) -> None:
    call = ToolCall("c1", "look", '{"at": 1}')
    turns = (Message("user", "What is there?"), Message("assistant", "", (call,)), Message("tool", "a cat", (), "c1"))
    (draw,) = await Run(model, params=Params(max_tokens=6)).draw(Prompt(turns, tools=(TOOL,)), 1)
    assert draw.error is None


async def test_a_vote_over_the_route(model: OpenAIModel) -> None:
    run = Run(model, params=Params(max_tokens=12))
    outcome = await spec.strategy("majority:n=3")(Problem("p", Prompt.user("Is 7 odd? Answer: yes or no.")), run)
    assert [draw.error for draw in outcome.candidates] == [None] * 3
