"""One door: what a judge draws is held, numbered, banked, booked and cut off like the draws that it judges."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fault_server import FaultServer
from mull import Budget, Cost, Draw, Finish, MemoryBank, Params, Problem, Prompt, Run, Sample, Stopped, spec
from mull.errors import ModelError
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.run.calls import MeteredCalls
from mull.run.wallet import Wallet
from mull.testing import FakeModel
from mull.types import Purse
from mull.verifiers.judge import GenRM
from mull.wire.endpoints import Limits

PROBLEM = Problem("p", Prompt.user("Which letter?"))
EACH = Cost(1, 10, 2, 0, 0, 4.0, 1e-4, 0.0)


@dataclass
class Speaker:
    """Says Yes at the end of a rationale. After `most` draws it says nothing until it is cancelled.

    It fails with `ModelError` on prompts that hold `bad`. `made` are the draws that it finished.
    """

    most: int = 1000
    bad: str = "\0"
    made: list[Draw] = field(default_factory=list)

    name = "speaker"
    identity = "speaker"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return EACH

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        if self.bad in prompt.messages[0].content:
            raise ModelError("this question is refused")
        for draw in draws:
            if len(self.made) >= self.most:
                await asyncio.Event().wait()
            self.made.append(draw)
            yield Sample(prompt, "Is the answer correct (Yes/No)? Yes", Finish.STOP, EACH, draw.number, draw.seed)


class Numbers(FakeModel):
    """Its n-th draw is the text `answer n`, so that no two replies are equal."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            yield Sample(prompt, f"answer: {draw.number}", Finish.STOP, EACH, draw.number, draw.seed)


async def test_a_judge_whose_replies_break_off_asks_no_more_often_than_the_ceiling_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One candidate, one judge call allowed: four replies of the judge that break off are not asked for five times."""
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))
    async with FaultServer(script=[]) as server:
        model = OpenAIModel(Deployment("judge", (server.url,), "words", limits=Limits(retries=4, backoff=0.0)))
        await model.prepare()
        server._script = iter(["truncated"] * 4)
        before = len(server.bodies)
        run = Run(Numbers(), verifier=GenRM(model, k=1), budget=Budget(calls=2))
        outcome = await spec.strategy("best:n=1")(PROBLEM, run)
        assert len(server.bodies) - before == 1
    assert outcome.scores[0].value is None
    assert run.spent.calls == 2
    assert run.held == Cost()


async def test_verdicts_that_came_before_the_deadline_count_and_are_paid_once() -> None:
    """7 of 16 judge calls are done at the deadline: 7 scores, an answer, and 9 calls the next time."""
    bank, slow = MemoryBank(), Speaker(most=7)
    run = Run(Numbers(), verifier=GenRM(slow, k=1), budget=Budget(seconds=2.0), bank=bank)
    outcome = await spec.strategy("best:n=16")(PROBLEM, run)
    assert sum(score.value is not None for score in outcome.scores) == 7
    assert outcome.answer is not None
    assert run.stopped is Stopped.DEADLINE
    assert {score.why for score in outcome.scores if score.value is None} == {"the deadline passed"}
    assert run.held == Cost()
    again = Speaker()
    second = Run(Numbers(), verifier=GenRM(again, k=1), bank=bank)
    outcome = await spec.strategy("best:n=16")(PROBLEM, second)
    assert all(score.value == 1.0 for score in outcome.scores)
    assert len(again.made) == 9
    assert (second.spent.calls, second.fresh.calls) == (32, 9)


async def test_an_error_on_one_question_is_that_samples_missing_score() -> None:
    samples = [Sample(PROBLEM.prompt, text, Finish.STOP) for text in ("one", "bad", "three")]
    calls = MeteredCalls()
    scores = await calls.score(GenRM(Speaker(bad="bad"), k=1), PROBLEM, samples)
    assert [score.value for score in scores] == [1.0, None, 1.0]
    assert scores[1].why == "the judge failed: this question is refused"
    assert calls.spent.calls == 2


async def test_what_a_judge_draws_is_booked_as_verifier_tokens() -> None:
    run = Run(Numbers(), verifier=GenRM(Speaker(), k=3))
    outcome = await spec.strategy("best:n=4")(PROBLEM, run)
    assert run.spent == Cost(16, 160, 8, 24, 0, 64.0, pytest.approx(16e-4), 0.0)
    assert [score.drawn.calls for score in outcome.scores] == [3, 3, 3, 3]


async def test_the_same_reply_has_the_same_score_within_a_run_and_is_asked_about_once() -> None:
    """Also where it is asked about twice at the same time."""
    speaker = Speaker()
    run = Run(Numbers(), verifier=GenRM(speaker, k=2))
    samples = [Sample(PROBLEM.prompt, "x", Finish.STOP)]
    await asyncio.gather(*(run.score(PROBLEM, samples) for _ in range(3)))
    await run.score(PROBLEM, samples)
    assert len(speaker.made) == 2
    assert run.spent.calls == 2


async def test_a_run_within_a_wallet_keeps_its_ceilings_too() -> None:
    """As a request does within the daily budget of its key: whichever ceiling is lowest holds, over all runs in it."""
    day = Wallet(Budget(calls=5, seconds=60.0))
    first = Run(Numbers(), budget=Budget(calls=3), within=day)
    assert len(await first.draw(PROBLEM.prompt, 9)) == 3
    second = Run(Numbers(), budget=Budget(calls=3), within=day)
    assert len(await second.draw(PROBLEM.prompt, 9)) == 2
    assert (first.spent.calls, second.spent.calls, day.spent.calls) == (3, 2, 5)
    assert second.stopped is Stopped.BUDGET
    assert second.left.calls == 0
    assert day.held == Cost()


async def test_what_runs_hold_at_the_same_time_is_held_in_the_wallet_around_them() -> None:
    day = Wallet(Budget(calls=8))
    runs = [Run(Numbers(), verifier=GenRM(Speaker(), k=1), within=day) for _ in range(4)]
    await asyncio.gather(*(spec.strategy("best:n=3")(PROBLEM, run) for run in runs))
    assert day.spent.calls == sum(run.spent.calls or 0 for run in runs) <= 8
    assert day.held == Cost()


async def test_a_judge_that_is_broken_off_leaves_nothing_under_way() -> None:
    """One question fails with an error that is no model's: the others are cancelled, and nothing stays held."""

    class Odd(Speaker):
        async def sample(
            self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
        ) -> AsyncGenerator[Sample, None]:
            if "bad" in prompt.messages[0].text:
                raise ZeroDivisionError
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(prompt)
            yield Sample(prompt, "", Finish.STOP)

    cancelled: list[Prompt] = []
    wallet = Wallet(Budget(calls=9))
    samples = [Sample(PROBLEM.prompt, text, Finish.STOP) for text in ("one", "bad", "three")]
    with pytest.raises(ZeroDivisionError):
        await MeteredCalls(wallet).score(GenRM(Odd(), k=1), PROBLEM, samples)
    assert len(cancelled) == 2
    assert wallet.held == Cost()
