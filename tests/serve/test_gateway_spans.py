"""Spans of requests to the gateway: they belong to the trace of the client that asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fault_server import FaultServer
from span_store import kept_spans

Make = Callable[..., Any]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
PRESETS = '[presets.vote]\nstrategy = "majority:n=3"\n[presets.scored]\nstrategy = "best:n=2"\nverifier = "nano-orm"\n'


@pytest.fixture(scope="module")
def exporter() -> Iterator[Any]:
    with kept_spans() as exporter:
        yield exporter


@pytest.fixture
def spans(exporter: Any) -> Callable[[], list[Any]]:
    exporter.clear()
    return lambda: list(exporter.get_finished_spans())


def ids(span: Any) -> tuple[str, str]:
    """The trace of a span, and its parent in it."""
    return f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}"


@pytest.mark.parametrize("stream", [False, True])
async def test_run_draws_and_verifications_are_in_the_clients_trace(gateway: Make, spans, stream: bool) -> None:
    async with gateway(PRESETS, "nano") as served:
        reply = await served.ask("nano@scored", seed=1, max_tokens=24, stream=stream, extra_headers=HEADER)
        if stream:
            async with reply:
                _ = [chunk async for chunk in reply]
    found = spans()
    (run,) = [span for span in found if span.name == "invoke_workflow Best"]
    inner = [span for span in found if span is not run]
    assert sorted(span.name.partition(" ")[0] for span in inner) == ["chat", "chat", "verify"]
    assert ids(run) == (TRACE, PARENT)
    assert {ids(span) for span in inner} == {(TRACE, f"{run.context.span_id:016x}")}
    assert run.attributes["mull.draws"] == 2


async def test_a_request_that_passes_through_has_a_span_with_its_costs_and_no_text(gateway: Make, spans) -> None:
    async with FaultServer() as upstream, gateway(f'[models.words]\nbase_url = "{upstream.url}"') as served:
        reply = await served.ask("words", "zebra", temperature=0.5, max_tokens=30, extra_headers=HEADER)
    (span,) = spans()
    told = span.attributes
    assert (span.name, span.kind.name, ids(span)) == ("chat words", "CLIENT", (TRACE, PARENT))
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.max_tokens"]) == (0.5, 30)
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "openai")
    assert told["server.address"] == "127.0.0.1"
    assert told["gen_ai.usage.output_tokens"] == reply.usage.completion_tokens
    assert "zebra" not in str(dict(told))


async def test_requests_without_a_trace_begin_their_own(gateway: Make, spans) -> None:
    async with gateway(PRESETS, "nano") as served:
        await served.ask("nano@vote", seed=1, max_tokens=8)
        await served.ask("nano@vote", seed=1, max_tokens=8, extra_headers={"traceparent": "00-zebra"})
    runs = [span for span in spans() if span.name == "invoke_workflow Majority"]
    assert [run.parent for run in runs] == [None, None]
    assert len({run.context.trace_id for run in runs}) == 2
