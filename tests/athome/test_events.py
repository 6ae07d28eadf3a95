"""A run tells what happens as it happens, in any event loop, and leaves nothing behind when it is cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from fault_server import FaultServer
from mull import Budget, Cost, MemoryBank, Outcome, Params, Problem, Prompt, Run, Sample, Stopped, UsageError
from mull.bank import open_bank
from mull.bank.sql import SqlBank
from mull.models.served.model import OpenAIModel
from mull.run.events import DrawArrived, RunEnded, RunEvent, VerdictsArrived
from mull.strategies.parallel import Best, Majority
from mull.testing import FakeModel, FakeVerifier
from mull.testing.fakes import PROBLEM

Served = Callable[..., OpenAIModel]
HELLO = Problem("hello", Prompt.user("hello"))


async def events_of(run: Run, strategy: object, problem: Problem = PROBLEM) -> list[RunEvent]:
    return [event async for event in run.events(strategy, problem)]


async def test_the_events_of_a_run_add_up_to_its_outcome() -> None:
    run = Run(FakeModel(), verifier=FakeVerifier(), params=Params(max_tokens=48))
    events = await events_of(run, Best(5))
    draws = [event for event in events if isinstance(event, DrawArrived)]
    verdicts = [event for event in events if isinstance(event, VerdictsArrived)]
    end = events[-1]
    assert isinstance(end, RunEnded)
    in_order = sorted((event.sample for event in draws), key=lambda sample: sample.draw)
    assert in_order == list(end.outcome.candidates)
    assert [score for event in verdicts for score in event.verdicts] == list(end.outcome.scores)
    assert [item for event in verdicts for item in event.items] == list(end.outcome.candidates)
    assert {event.by for event in verdicts} == {run.verifier.name}
    assert end.problem == PROBLEM
    assert (end.spent, end.fresh, end.stopped) == (run.spent, run.fresh, Stopped.COMPLETE)
    assert len(events) == len(draws) + len(verdicts) + 1


async def test_costs_are_those_so_far_and_a_banked_draw_is_told_apart() -> None:
    bank = MemoryBank()
    first = await events_of(Run(FakeModel(), bank=bank, params=Params(max_tokens=48)), Majority(4))
    paid = [(event.spent.calls, event.spent.output_tokens) for event in first if isinstance(event, DrawArrived)]
    samples = [event.sample for event in first if isinstance(event, DrawArrived)]
    assert paid == [(i, sum(one.cost.output_tokens for one in samples[:i])) for i in range(1, 5)]
    again = await events_of(Run(FakeModel(), bank=bank, params=Params(max_tokens=48)), Majority(4))
    banked = [event for event in again if isinstance(event, DrawArrived)]
    assert {event.sample for event in banked} == set(samples)
    assert all(event.is_banked and event.fresh == Cost() for event in banked)
    assert not any(event.is_banked for event in first if isinstance(event, DrawArrived))


async def test_draws_are_told_of_before_the_run_is_over(served: Served) -> None:
    """The second request hangs: an event that waits for the end of the run would never come."""
    async with FaultServer() as server:
        model = served(server, use_n=False)
        await model.prepare()
        server._script = iter(["ok", "hang"])
        async with aclosing(Run(model, params=Params(max_tokens=50)).events(Majority(2), HELLO)) as events:
            first = await anext(events)
            assert isinstance(first, DrawArrived)
        await server.all_gone(1)


async def test_watch_sees_the_same_events() -> None:
    seen: list[RunEvent] = []
    run = Run(FakeModel(), params=Params(max_tokens=48), watch=seen.append)
    assert await events_of(run, Majority(3)) == seen
    assert isinstance(seen[-1], RunEnded)


async def test_an_error_comes_out_after_the_events_before_it() -> None:
    class Breaks:
        async def __call__(self, problem: Problem, run: Run) -> Outcome:
            await run.draw(problem.prompt, 2)
            raise UsageError("it breaks")

    seen: list[RunEvent] = []
    run = Run(FakeModel(), params=Params(max_tokens=48), watch=seen.append)
    with pytest.raises(UsageError, match="it breaks"):
        await events_of(run, Breaks())
    assert [type(event) for event in seen] == [DrawArrived, DrawArrived]


@pytest.mark.parametrize(
    ("strategy", "problem", "said"),
    [
        (Majority, PROBLEM, "strategy=Majority is a class, not an object of it"),
        ("majority:n=4", PROBLEM, "strategy must be an object with __call__"),
        (Majority(2), "a:1;a?", "problem must be a Problem"),
    ],
)
async def test_what_cannot_be_run_is_told_before_anything_is_drawn(strategy, problem, said: str) -> None:
    run = Run(FakeModel())
    with pytest.raises(UsageError, match=said):
        await run.solve(strategy, problem)
    assert run.spent == Cost()


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.parametrize("how", ["cancel", "break", "close", "timeout"])
async def test_a_run_that_is_cancelled_leaves_nothing_behind_and_loses_nothing(
    how: str, served: Served, tmp_path: Path
) -> None:
    """Two of four requests are answered, two hang. What was answered is banked and paid for, and no request, task or
    held budget is left; the next run draws only the other two.
    """
    two = asyncio.Event()

    def watch(event: RunEvent) -> None:
        if isinstance(event, DrawArrived) and event.spent.calls == 2:
            two.set()

    async def taken(run: Run) -> None:
        """Takes events until two draws are there; then leaves, or waits for more."""
        async for _ in run.events(Majority(4), HELLO):
            if how == "break" and two.is_set():
                break

    async def closed(run: Run) -> None:
        async with aclosing(run.events(Majority(4), HELLO)) as events:
            async for _ in events:
                if two.is_set():
                    break

    async def late(run: Run) -> None:
        async with asyncio.timeout(None) as limit:
            waiting = asyncio.ensure_future(two.wait())
            waiting.add_done_callback(lambda _: limit.reschedule(0))
            await run.solve(Majority(4), HELLO)

    async with FaultServer() as server:
        model = served(server, use_n=False)
        await model.prepare()
        server._script = iter(["ok", "ok", "hang", "hang"])
        with open_bank(str(tmp_path / "draws.db")) as bank:
            params = Params(max_tokens=50)
            run = Run(model, bank=bank, budget=Budget(tokens=1000), params=params, watch=watch)
            before = asyncio.all_tasks()
            task = asyncio.create_task({"close": closed, "timeout": late}.get(how, taken)(run))
            await two.wait()
            if how == "cancel":
                task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
            assert type(ended) is {"cancel": asyncio.CancelledError, "timeout": TimeoutError}.get(how, type(None))
            await server.all_gone(2)
            left = {one for one in asyncio.all_tasks() - before if "web_protocol" not in repr(one)}
            assert left == set(), "the server's own tasks for its connections are not the run's"
            assert run.held == Cost()
            assert run.fresh.calls == run.spent.calls == 4, "two that arrived, two that may have been computed"
            server._script = iter(())
            n_before = len(server.bodies)
            outcome = await Run(model, bank=bank, params=params).solve(Majority(4), HELLO)
            assert len(outcome.candidates) == 4
            assert len(server.bodies) - n_before == 2, "what was answered is not asked for again"


async def test_a_cancelled_judgement_leaves_no_request_and_keeps_the_draws(served: Served, tmp_path: Path) -> None:
    """The draws are there; a language model that judges them hangs."""
    from mull.verifiers.judge import GenRM

    async with FaultServer() as server, FaultServer() as judging:
        model, judge = served(server), served(judging)
        await model.prepare()
        await judge.prepare()
        judging._script = iter(["hang"] * 8)
        n_before = len(judging.bodies)
        with open_bank(str(tmp_path / "draws.db")) as bank:
            run = Run(model, verifier=GenRM(judge, k=1), bank=bank, params=Params(max_tokens=50))
            before = asyncio.all_tasks()
            task = asyncio.create_task(run.solve(Best(2), HELLO))
            await judging.asked(n_before + 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await judging.all_gone(1)
            assert {one for one in asyncio.all_tasks() - before if "web_protocol" not in repr(one)} == set()
            assert run.held == Cost()
            n_drawn = len(server.bodies)
            await Run(model, bank=bank, params=Params(max_tokens=50)).solve(Majority(2), HELLO)
            assert len(server.bodies) == n_drawn, "both draws are in the bank"


async def test_a_pilot_is_drawn_into_a_bank_while_a_loop_runs(tmp_path: Path) -> None:
    from mull.advice import pilots
    from mull.tasks.synthetic import ChainTask

    def make(bank: SqlBank) -> pilots.Made:
        params, size = Params(max_tokens=48), pilots.Size(2, 3)
        return pilots.make(
            ChainTask(2),
            FakeModel(),
            size,
            verifier=None,
            strategies={},
            tokens=None,
            params=params,
            seed=0,
            bank=bank,
            tick=lambda: None,
        )

    with open_bank(str(tmp_path / "pilot.db")) as bank:
        made = make(bank)
        assert made.pilot.draws == 6
        assert make(bank) == made


async def test_functions_without_await_work_while_a_loop_runs() -> None:
    """As in a notebook: `asyncio.run` would refuse to."""
    from mull.testing import check_deterministic, solve

    check_deterministic(Majority(3))
    run = Run(FakeModel(), params=Params(max_tokens=48))
    outcome = solve(Majority(3), run)
    assert isinstance(outcome, Outcome)
    assert all(isinstance(sample, Sample) for sample in outcome.candidates)
