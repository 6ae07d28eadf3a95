"""Draws that share a request before a deadline: those that are finished count, and none counts as less than it cost."""

from pathlib import Path

import pytest

from fault_server import FaultServer
from mull import Budget, Prompt, Run
from mull.bank import open_bank
from mull.cost import Price

HELLO = Prompt.user("hello")
LONG = Budget(seconds=600.0)


async def asked_of(model, budget: Budget | None, n: int, server: FaultServer) -> tuple[Run, list, list[dict]]:
    await model.prepare()
    n_before = len(server.bodies)
    run = Run(model, budget=budget)
    draws = await run.draw(HELLO, n)
    return run, draws, server.bodies[n_before:]


async def test_finished_draws_of_a_shared_request_count_at_the_deadline(served, tmp_path: Path) -> None:
    async with FaultServer() as server:
        model = served(server, most_n=8, price=Price(1.0, 2.0))
        await model.prepare()
        server._script = iter(["stall"])
        with open_bank(str(tmp_path / "bank.db")) as bank:
            run = Run(model, bank=bank, budget=Budget(seconds=3.0, usd=1.0))
            draws = await run.draw(HELLO, 8)
            assert server.counts["stalled"] == 1
            await server.all_gone(1)
            quote = run.priced(HELLO).usd
        assert [draw.draw for draw in draws] == [0, 2, 4, 6]
        assert all("answer:" in draw.text for draw in draws)
        assert run.stopped == "deadline"
        assert run.spent.calls == 8
        # The counts come at the end of a stream, which was cut: they are unknown, and the ceiling counts the most.
        assert run.spent.output_tokens is None
        assert run.left.usd <= 1.0 - 8 * quote + 1e-12
        with open_bank(str(tmp_path / "bank.db")) as bank:
            again = Run(model, bank=bank)
            assert [draw.text for draw in (await again.draw(HELLO, 1))] == [draws[0].text]
            assert again.fresh.calls == 0


async def test_a_shared_stream_that_ends_costs_what_a_whole_reply_costs(served) -> None:
    async with FaultServer() as server:
        run, draws, bodies = await asked_of(served(server, most_n=8), LONG, 20, server)
        words = sum(len(draw.text.split()) for draw in draws)
    assert [(body.get("n", 1), body["stream"]) for body in bodies] == [(8, True), (8, True), (4, True)]
    assert all(body["stream_options"] == {"include_usage": True} for body in bodies)
    assert run.spent.output_tokens == words
    assert run.spent.calls == len(draws) == 20


async def test_without_a_deadline_shared_draws_are_not_streamed(served) -> None:
    async with FaultServer() as server:
        _, _, bodies = await asked_of(served(server, most_n=8), None, 8, server)
    assert [("stream" in body, body["n"]) for body in bodies] == [(False, 8)]


@pytest.mark.parametrize("field", ["stream", "stream_options"])
async def test_before_a_deadline_draws_go_alone_where_the_server_cannot_stream_with_counts(served, field: str) -> None:
    async with FaultServer(rejects=frozenset({field})) as server:
        run, draws, bodies = await asked_of(served(server, most_n=8), LONG, 5, server)
    assert [("n" in body, "stream" in body) for body in bodies] == [(False, False)] * 5
    assert run.spent.output_tokens == sum(len(draw.text.split()) for draw in draws)


async def test_a_server_that_streams_one_reply_alone_is_asked_for_one(served) -> None:
    class One(FaultServer):
        def _reply(self, request, body, fault):
            return super()._reply(request, {**body, "n": 1} if body.get("stream") else body, fault)

    async with One() as server:
        model = served(server, most_n=8)
        _, _, bodies = await asked_of(model, LONG, 5, server)
    assert (model.capabilities.n, model.capabilities.stream, model.capabilities.stream_n) == (True, True, False)
    assert all("n" not in body for body in bodies)


@pytest.mark.parametrize(("stream", "deadline"), [(False, LONG), (True, None)])
async def test_the_deployment_can_say_whether_to_stream(served, stream: bool, deadline: Budget | None) -> None:
    async with FaultServer() as server:
        _, draws, bodies = await asked_of(served(server, most_n=8, stream=stream), deadline, 8, server)
    assert [(body.get("stream", False), body["n"]) for body in bodies] == [(stream, 8)]
    assert len({draw.text for draw in draws}) > 4


async def test_pieces_of_several_replies_are_told_apart_by_index(served) -> None:
    async with FaultServer(has_logprobs=False) as server:
        server.letters = 1
        _, draws, _ = await asked_of(served(server, most_n=8), LONG, 8, server)
    assert all(draw.text.count("answer:") == 1 and draw.text.split()[-2] == "answer:" for draw in draws)
