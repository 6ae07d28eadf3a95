"""The laws that every strategy must satisfy, as functions that raise `AssertionError`."""

from __future__ import annotations

import asyncio
from dataclasses import fields, is_dataclass, replace
from typing import Any

from mull.bank import Bank, MemoryBank
from mull.errors import ModelError, UsageError
from mull.run import Run, Strategy
from mull.run.events import DrawArrived, RunEvent
from mull.run.together import finished
from mull.testing.fakes import PROBLEM, FakeExecutor, FakeJudge, FakeModel, FakeVerifier
from mull.types import (
    Budget,
    Cost,
    Executor,
    Judge,
    Model,
    Need,
    Outcome,
    Params,
    Problem,
    Prompt,
    Scaling,
    Selection,
    Verifier,
)


def solve(strategy: Strategy, run: Run, problem: Problem = PROBLEM) -> Outcome:
    """Runs a strategy to its end in a new event loop."""

    async def call() -> Outcome:
        return await strategy(problem, run)

    return finished(call())


def like(value: Any, run: Run) -> Any:
    """A strategy whose inner fakes match the run's: alive or dead like them, and sharing their `seen` lists."""
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
    """A run on the fakes, unless others are passed."""
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
    """The same seed gives the same outcome and cost, in whatever order the draws arrive."""
    first, second = fake_run(), fake_run(FakeModel(is_shuffled=False))
    assert _solve(strategy, first) == _solve(strategy, second)
    assert first.spent == second.spent


def check_ceiling(strategy: Strategy, budget: Budget) -> None:
    """The strategy never exceeds a ceiling, and leaves nothing held."""
    run = fake_run(budget=budget)
    _solve(strategy, run)
    assert_within(run)


def check_ceiling_of_five(strategy: Strategy, budget: Budget) -> None:
    """Five concurrent calls of the strategy on one run do not exceed its ceilings either."""
    run = fake_run(budget=budget)
    strategy = like(strategy, run)

    async def five() -> None:
        problems = [replace(PROBLEM, id=str(i), prompt=Prompt.user(f"Which letter? {i}")) for i in range(5)]
        await asyncio.gather(*(strategy(problem, run) for problem in problems))

    finished(five())
    assert_within(run)


def assert_within(run: Run) -> None:
    """The run spent no more than its budget, and holds nothing."""
    for name, spent in (
        ("calls", run.spent.calls),
        ("tokens", run.spent.tokens),
        ("usd", run.spent.usd),
        ("flops", run.spent.flops),
    ):
        ceiling = getattr(run.budget, name)
        assert ceiling is None or (spent is not None and spent <= ceiling), f"{name}: spent {spent} of {ceiling}"
    assert run.held == Cost(), f"still held: {run.held}"


def check_no_draw_twice(strategy: Strategy) -> None:
    """No numbered draw of a question is made twice in a run."""
    model = FakeModel()
    _solve(strategy, fake_run(model))
    made = [draw.seed for _, _, draw in model.seen]  # a seed identifies the model, the question and the number
    assert made, "the strategy drew nothing"
    assert len(made) == len(set(made))


def check_replay(strategy: Strategy, bank: Bank | None = None) -> None:
    """Replayed from the bank with dead models and verifiers: nothing is paid, and outcome and cost are the same."""
    bank = bank or MemoryBank()
    first = fake_run(bank=bank)
    outcome = _solve(strategy, first)
    dead = FakeVerifier(is_dead=True), FakeJudge(is_dead=True), FakeExecutor(is_dead=True)
    second = fake_run(FakeModel(dies_after=0), *dead, bank=bank)
    assert _solve(strategy, second) == outcome
    assert second.spent == first.spent
    assert second.fresh == Cost()


def check_resume(strategy: Strategy, bank: Bank | None = None) -> None:
    """Interrupted and run again: the outcome is the same, and no finished draw or verdict is paid for twice."""
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


def only(needs: frozenset[Need]) -> Run:
    """A run on fakes that meets exactly these needs."""
    continues, biases, limits = (need in needs for need in (Need.CONTINUATION, Need.BIAS, Need.THINKING_BUDGET))
    model = FakeModel(continues=continues, biases=biases, limits=limits)
    verifier = FakeVerifier(split="\n" if Need.STEPS in needs else None) if Need.VERIFIER in needs else None
    judge = FakeJudge() if Need.JUDGE in needs else None
    executor = FakeExecutor() if Need.EXECUTOR in needs else None
    params = Params(max_tokens=48)
    return Run(model, verifier=verifier, judge=judge, executor=executor, params=params)


def check_needs(strategy: Strategy) -> None:
    """The strategy runs with exactly its declared needs, and refuses to spend anything if one of them is missing."""
    run = only(strategy.needs)
    solve(strategy, run)
    assert run.spent.calls, "the strategy drew nothing"
    for need in strategy.needs:
        without = only(strategy.needs - {need})
        try:
            solve(strategy, without)
        except UsageError:
            assert without.spent == Cost(), f"it spent {without.spent} before it missed what it needs: {need}"
        else:
            raise AssertionError(f"it runs without what it says it needs: {need}")


def check_draws(strategy: Strategy) -> None:
    """A strategy that declares parallel draws shows no draw another one's text; one that declares `reuses` does not
    make handed-back draws again.
    """
    events: list[RunEvent] = []
    model = FakeModel()
    _solve(strategy, fake_run(model, watch=events.append))
    samples = [event.sample for event in events if isinstance(event, DrawArrived)]
    if strategy.draws == Scaling.PARALLEL:
        said = {sample.text for sample in samples if len(sample.text) > len("answer: d")}
        for prompt, _, _ in model.seen:
            shown = "\n".join(message.text for message in prompt.messages)
            assert not any(text in shown for text in said), f"a draw is shown what another said: {shown!r}"
    if getattr(strategy, "reuses", False):
        handed = FakeModel()
        run = fake_run(handed)

        async def again() -> None:
            run.hand_back(await run.draw(PROBLEM.prompt))
            await like(strategy, run)(PROBLEM, run)

        finished(again())
        assert len(handed.seen) == len(model.seen), "a draw that was handed back was not the first of its own"


def _parts(value: Any) -> list[Strategy]:
    """The strategies that a strategy is composed of."""
    if isinstance(value, tuple):
        return [part for one in value for part in ([one] if hasattr(one, "selects") else []) + _parts(one)]
    return _parts(tuple(getattr(value, f.name) for f in fields(value))) if hasattr(value, "selects") else []


def check_selects(strategy: Strategy) -> None:
    """A strategy that declares selection by scores has scores; any other asks no verifier unless it needs one."""
    run = fake_run()
    outcome = _solve(strategy, run)
    verifier = run.verifier
    assert isinstance(verifier, FakeVerifier)
    if strategy.selects == Selection.SCORES:
        assert outcome.scores, "it says that it selects by scores, and has none"
    elif Need.VERIFIER not in strategy.needs and not any(one.selects == Selection.SCORES for one in _parts(strategy)):
        assert not verifier.seen, f"it says that it selects by {strategy.selects}, and asks the verifier"
    if strategy.selects == Selection.NONE:
        assert not outcome.tally, "it says that it does not select, and has votes"
