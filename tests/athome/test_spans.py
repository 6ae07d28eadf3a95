"""OpenTelemetry spans: one a run, a draw and a verification, with names of the conventions and no text of anybody's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fault_server import FaultServer
from mull import MemoryBank, Params, Problem, Prompt, Run
from mull.strategies.parallel import Best, Majority
from mull.testing import FakeModel, FakeVerifier
from mull.testing.fakes import PROBLEM
from span_store import kept_spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture(scope="module")
def exporter() -> Iterator[Any]:
    with kept_spans() as exporter:
        yield exporter


@pytest.fixture
def spans(exporter: Any) -> Callable[[], list[ReadableSpan]]:
    exporter.clear()
    return lambda: list(exporter.get_finished_spans())


async def test_a_run_has_a_span_and_its_draws_and_verifications_are_in_it(spans) -> None:
    outcome = await Run(FakeModel(), verifier=FakeVerifier(), params=Params(max_tokens=48)).solve(Best(3), PROBLEM)
    found = spans()
    (run,) = [span for span in found if span.name == "invoke_workflow Best"]
    draws = [span for span in found if span.name.startswith("chat ")]
    (verified,) = [span for span in found if span.name.startswith("verify ")]
    assert len(found) == 5
    assert run.parent is None
    assert all(span.parent.span_id == run.context.span_id for span in [*draws, verified])
    assert run.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert run.attributes["mull.problem"] == PROBLEM.id
    assert run.attributes["mull.stopped"] == "complete"
    assert run.attributes["mull.draws"] == 3
    made = [sample.cost for sample in outcome.candidates]
    assert sorted(span.attributes["gen_ai.usage.output_tokens"] for span in draws) == sorted(
        cost.output_tokens for cost in made
    )
    assert sorted(span.attributes["mull.draw"] for span in draws) == [0, 1, 2]
    assert {span.attributes["gen_ai.response.finish_reasons"] for span in draws} <= {("stop",), ("length",)}
    assert {span.kind.name for span in draws} == {"INTERNAL"}
    assert (verified.attributes["mull.items"], verified.attributes["mull.known"]) == (3, 3)


async def test_requests_to_a_server_are_client_spans_without_any_text(served, spans) -> None:
    problem = Problem("p", Prompt.user("zebra crossing"))
    async with FaultServer() as server:
        model = served(server, use_n=False)
        await model.prepare()
        await Run(model, params=Params(0.7, 50)).solve(Majority(2), problem)
        port = int(server.url.rpartition(":")[2].removesuffix("/v1"))
    draws = [span for span in spans() if span.name == "chat words"]
    assert len(draws) == 2
    for span in draws:
        assert span.kind.name == "CLIENT"
        told = span.attributes
        assert (told["server.address"], told["server.port"]) == ("127.0.0.1", port)
        assert (told["gen_ai.request.model"], told["gen_ai.provider.name"]) == ("words", "openai")
        assert (told["gen_ai.request.temperature"], told["gen_ai.request.max_tokens"]) == (0.7, 50)
        assert span.end_time > span.start_time
    everything = " ".join(str([span.name, dict(span.attributes), span.events]) for span in spans())
    assert "zebra" not in everything
    assert "answer" not in everything


async def test_a_banked_draw_is_no_request(spans) -> None:
    bank = MemoryBank()
    for _ in range(2):
        await Run(FakeModel(), bank=bank, params=Params(max_tokens=48)).solve(Majority(2), PROBLEM)
    assert sum(span.name.startswith("chat ") for span in spans()) == 2


async def test_failures_have_a_status_and_no_message(served, spans) -> None:
    async with FaultServer() as server:
        model = served(server, use_n=False)
        await model.prepare()
        server._script = iter(["400"])
        await Run(model, params=Params(max_tokens=50)).solve(Majority(1), Problem("p", Prompt.user("hello")))
    (draw,) = [span for span in spans() if span.name == "chat words"]
    assert (draw.status.status_code.name, draw.status.description) == ("ERROR", None)
    assert draw.attributes["error.type"] == "failed_draw"

    class Breaks:
        async def __call__(self, problem: Problem, run: Run) -> None:
            await run.draw(problem.prompt)
            raise ValueError("zebra")

    with pytest.raises(ValueError, match="zebra"):
        await Run(FakeModel(), params=Params(max_tokens=48)).solve(Breaks(), PROBLEM)
    (run,) = [span for span in spans() if span.name == "invoke_workflow " + Breaks.__qualname__]
    assert run.status.status_code.name == "ERROR"
    assert run.attributes["error.type"] == "ValueError"
    assert not run.events


async def test_draws_that_are_cut_off_share_a_span(spans) -> None:
    run = Run(FakeModel(), params=Params(max_tokens=48))
    async with run.sample(PROBLEM.prompt, 5, order="arrival") as draws:
        async for _ in draws:
            break
    made, lost = spans()
    assert "error.type" not in made.attributes
    assert (lost.attributes["error.type"], lost.attributes["mull.draws"]) == ("cancelled", 4)
