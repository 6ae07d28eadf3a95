"""The laws that every strategy must keep, as functions that raise `AssertionError`."""

from __future__ import annotations

import asyncio
from dataclasses import fields, is_dataclass, replace
from typing import Any

from mull.bank import Bank, MemoryBank
from mull.errors import ModelError
from mull.run import Run, Strategy
from mull.testing.fakes import PROBLEM, FakeExecutor, FakeJudge, FakeModel, FakeVerifier
from mull.types import Budget, Cost, Executor, Judge, Model, Outcome, Params, Problem, Prompt, Verifier


def solve(strategy: Strategy, run: Run, problem: Problem = PROBLEM) -> Outcome:
    """Runs a strategy to its end in an event loop of its own."""

    async def call() -> Outcome:
        return await strategy(problem, run)

    return asyncio.run(call())


def like(value: Any, run: Run) -> Any:
    """A strategy with the fakes inside it made like the run's: as alive, and with one list of what they have seen."""
    if isinstance(value, FakeModel) and isinstance(run.model, FakeModel):
        return replace(run.model, label=value.label)
    for fake in (run.verifier, run.judge, run.executor):
        if isinstance(fake, FakeVerifier | FakeJudge | FakeExecutor) and isinstance(value, type(fake)):
            return fake
    if isinstance(value, tuple):
        return tuple(like(part, run) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: like(getattr(value, f.name), run) for f in fields(value) if f.init})
    return value


def fake_run(
    model: Model | None = None,
    verifier: Verifier | None = None,
    judge: Judge | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Run:
    """A run on the fakes, unless others are given."""
    model, verifier, judge = model or FakeModel(), verifier or FakeVerifier(), judge or FakeJudge()
    executor, params = executor or FakeExecutor(), Params(max_tokens=48)
    return Run(model, verifier=verifier, judge=judge, executor=executor, params=params, **options)


BUDGETS = (
    *(Budget(calls=n) for n in (0, 1, 2, 7, 30)),
    *(Budget(tokens=n) for n in (0, 1, 9, 100, 600)),
    *(Budget(usd=x) for x in (0.0, 3e-5, 5e-4)),
    *(Budget(flops=x) for x in (0.0, 100.0, 900.0)),
    Budget(calls=9, tokens=70),
)


def _solve(strategy: Strategy, run: Run) -> Outcome:
    return solve(like(strategy, run), run)


def check_deterministic(strategy: Strategy) -> None:
    """The same seed gives the same outcome and the same spend, whatever order the draws arrive in."""
    first, second = fake_run(), fake_run(FakeModel(is_shuffled=False))
    assert _solve(strategy, first) == _solve(strategy, second)
    assert first.spent == second.spent


def check_ceiling(strategy: Strategy, budget: Budget) -> None:
    """No ceiling is ever exceeded, and nothing stays held."""
    run = fake_run(budget=budget)
    _solve(strategy, run)
    assert_within(run)


def check_ceiling_of_five(strategy: Strategy, budget: Budget) -> None:
    """Five calls of the strategy at once on one run keep its ceilings too."""
    run = fake_run(budget=budget)
    strategy = like(strategy, run)

    async def five() -> None:
        problems = [replace(PROBLEM, id=str(i), prompt=Prompt.user(f"Which letter? {i}")) for i in range(5)]
        await asyncio.gather(*(strategy(problem, run) for problem in problems))

    asyncio.run(five())
    assert_within(run)


def assert_within(run: Run) -> None:
    """What a run spent is within its budget, and it holds nothing."""
    for name, spent in (
        ("calls", run.spent.calls), ("tokens", run.spent.tokens), ("usd", run.spent.usd), ("flops", run.spent.flops)
    ):  # fmt: skip
        ceiling = getattr(run.budget, name)
        assert ceiling is None or (spent is not None and spent <= ceiling), f"{name}: spent {spent} of {ceiling}"
    assert run.held == Cost(), f"still held: {run.held}"


def check_no_draw_twice(strategy: Strategy) -> None:
    """Inside a run no numbered draw of a question is made twice."""
    model = FakeModel()
    _solve(strategy, fake_run(model))
    made = [draw.seed for _, _, draw in model.seen]  # a seed tells the model, the question and the number
    assert made, "the strategy drew nothing"
    assert len(made) == len(set(made))


def check_replay(strategy: Strategy, bank: Bank | None = None) -> None:
    """Replayed from the bank where all else is dead: nothing is paid, outcome and spend are the same."""
    bank = bank or MemoryBank()
    first = fake_run(bank=bank)
    outcome = _solve(strategy, first)
    dead = FakeVerifier(is_dead=True), FakeJudge(is_dead=True), FakeExecutor(is_dead=True)
    second = fake_run(FakeModel(dies_after=0), *dead, bank=bank)
    assert _solve(strategy, second) == outcome
    assert second.spent == first.spent
    assert second.fresh == Cost()


def check_resume(strategy: Strategy, bank: Bank | None = None) -> None:
    """Killed half way and run again: the same outcome, no finished draw is made again, no verdict asked for twice."""
    bank = bank or MemoryBank()
    whole, verifier, judge, judged = FakeModel(), FakeVerifier(), FakeJudge(), FakeJudge()
    outcome = _solve(strategy, fake_run(whole, judge=judged))
    first = FakeModel(dies_after=max(len(whole.seen) // 2, 1))
    if len(whole.seen) > len(first.seen) and len(whole.seen) > 1:
        try:
            _solve(strategy, fake_run(first, verifier, judge, bank=bank))
        except ModelError:
            pass
        else:
            raise AssertionError("the model should have failed")
    second = FakeModel()
    assert _solve(strategy, fake_run(second, verifier, judge, bank=bank)) == outcome
    assert len(first.seen) + len(second.seen) == len(whole.seen)
    assert len(verifier.seen) == len(set(verifier.seen))
    assert sorted(judge.seen) == sorted(judged.seen)
