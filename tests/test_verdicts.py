"""Scores and preferences are banked like draws: what was judged once is never judged again, and counts all the same."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mull import (
    Bank,
    Behaviour,
    Budget,
    Cost,
    Finish,
    MemoryBank,
    Pair,
    Preference,
    Problem,
    Prompt,
    Run,
    Sample,
    Score,
    Stopped,
    Trial,
)
from mull.bank import open_bank
from mull.bank.keys import behaviour_key, preference_key, score_key
from mull.errors import ModelError
from mull.testing import PROBLEM, FakeExecutor, FakeJudge, FakeModel, FakeVerifier, fake_run
from mull.types import Calls

COST = Cost(1, 0, 0, 5, 0, 0.0, 0.0, 0.0)


def reply(text: str, draw: int = 0) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP, draw=draw)


@pytest.fixture(params=["memory", "file"])
def bank(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "memory":
        yield MemoryBank()
        return
    with open_bank(str(tmp_path / "b.db")) as opened:
        yield opened


def scored(run: Run, samples: Sequence[Sample], problem: Problem = PROBLEM) -> list[Score]:
    async def call() -> list[Score]:
        return await run.score(problem, samples)

    return asyncio.run(call())


def preferred(run: Run, pairs: Sequence[Pair]) -> list[Preference]:
    async def call() -> list[Preference]:
        return await run.prefer(PROBLEM, pairs)

    return asyncio.run(call())


@dataclass
class Verifier:
    """Gives each reply the scores that it was told, one call after the other."""

    scores: dict[str, list[Score]]
    seen: list[str] = field(default_factory=list)
    identity: str | None = "told"
    name: str = "told"
    delay: float = 0.0

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return replace(COST, calls=len(samples), verifier_tokens=5 * len(samples))

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        await asyncio.sleep(self.delay)
        self.seen += [sample.text for sample in samples]
        return [self.scores[sample.text].pop(0) for sample in samples]


def test_a_reply_is_scored_once_whichever_draws_it_was(bank: Bank) -> None:
    verifier = FakeVerifier()
    run = fake_run(verifier=verifier, bank=bank)
    first = scored(run, [reply("x", 0), reply("y", 1), reply("x", 2)])
    assert verifier.seen == ["x", "y"]
    assert first[2] == replace(first[0], cost=Cost())
    assert (run.spent.calls, run.fresh.calls) == (2, 2), "a twin was asked about once, and costs once"
    again = fake_run(verifier=verifier, bank=bank)
    assert scored(again, [reply("z"), reply("y", 9)])[1] == first[1]
    assert verifier.seen == ["x", "y", "z"], "only what is missing is asked"
    assert (again.spent.calls, again.fresh.calls) == (2, 1)


def test_a_score_comes_back_as_it_was(bank: Bank) -> None:
    score = Score(0.1 + 0.2, (0.5, 1 / 3), COST, "so\x00 it is")
    told = Verifier({"x": [score]})
    assert scored(fake_run(verifier=told, bank=bank), [reply("x")]) == [score]
    assert scored(fake_run(verifier=told, bank=bank), [reply("x")]) == [score]


def test_a_replay_with_a_dead_verifier_spends_the_same_and_pays_nothing(bank: Bank) -> None:
    samples = [reply(f"r{i}") for i in range(40)]
    first = fake_run(bank=bank)
    scores = scored(first, samples)
    assert any(score.value is None for score in scores), "some have no value for a reason that lasts"
    second = fake_run(verifier=FakeVerifier(is_dead=True), bank=bank)
    assert scored(second, samples) == scores
    assert second.spent == first.spent
    assert second.fresh == Cost()


def test_a_replay_under_a_ceiling_stops_where_it_did(bank: Bank) -> None:
    samples = [reply(f"r{i}") for i in range(10)]
    first = fake_run(bank=bank, budget=Budget(calls=6))
    scores = scored(first, samples)
    assert [score.why for score in scores[6:]] == ["the budget is spent"] * 4
    second = fake_run(verifier=FakeVerifier(is_dead=True), bank=bank, budget=Budget(calls=6))
    assert scored(second, samples) == scores
    assert (second.spent, second.stopped) == (first.spent, Stopped.BUDGET)


def test_a_verifier_that_failed_is_asked_again(bank: Bank) -> None:
    told = Verifier({"x": [Score(None, cost=COST, why="it was out"), Score(0.5, cost=COST)]})
    assert scored(fake_run(verifier=told, bank=bank), [reply("x")])[0].why == "it was out"
    assert scored(fake_run(verifier=told, bank=bank), [reply("x")])[0].value == 0.5
    assert scored(fake_run(verifier=told, bank=bank), [reply("x")])[0].value == 0.5
    assert told.seen == ["x", "x"]


def test_no_value_for_a_reason_that_lasts_is_kept(bank: Bank) -> None:
    lasting = Score(None, cost=COST, why="too long for it", is_lasting=True)
    told = Verifier({"x": [lasting]})
    for _ in range(2):
        assert scored(fake_run(verifier=told, bank=bank), [reply("x")]) == [lasting]


def test_a_verifier_without_an_identity_is_always_asked(bank: Bank) -> None:
    told = Verifier({"x": [Score(0.0), Score(1.0), Score(0.5)]}, identity=None)
    run = fake_run(verifier=told, bank=bank)
    assert [s.value for s in scored(run, [reply("x"), reply("x")])] == [0.0, 1.0]
    assert scored(run, [reply("x")])[0].value == 0.5


def test_at_the_deadline_what_the_bank_has_is_had(bank: Bank) -> None:
    told = Verifier({"x": [Score(0.5, cost=COST)], "y": [Score(1.0, cost=COST)]})
    scored(fake_run(verifier=told, bank=bank), [reply("x")])
    told.delay = 60.0
    run = fake_run(verifier=told, bank=bank, budget=Budget(seconds=1.0))
    known, late = scored(run, [reply("x"), reply("y")])
    assert known.value == 0.5
    assert (late.value, late.why, run.stopped) == (None, "the deadline passed", Stopped.DEADLINE)
    assert (run.spent.calls, run.fresh.calls) == (2, 1), "what was cut off counts as the most it can have cost"


def test_preferences_are_kept_for_ordered_pairs(bank: Bank) -> None:
    judge, x, y = FakeJudge(), reply("x"), reply("y")
    first = fake_run(judge=judge, bank=bank)
    there, back = preferred(first, [Pair(x, y), Pair(y, x)])
    assert judge.seen == [("x", "y"), ("y", "x")]
    second = fake_run(judge=FakeJudge(is_dead=True), bank=bank)
    assert preferred(second, [Pair(y, x), Pair(x, y)]) == [back, there]
    assert (second.spent.calls, second.fresh) == (2, Cost())


def test_a_pair_compared_again_is_asked_about_again_and_each_time_is_kept(bank: Bank) -> None:
    judge, pair = FakeJudge(), Pair(reply("x"), reply("y"))
    first = fake_run(judge=judge, bank=bank)
    told = [*preferred(first, [pair, pair]), *preferred(first, [pair])]
    assert len(judge.seen) == 3, "a judge that samples may say something else the next time"
    second = fake_run(judge=FakeJudge(is_dead=True), bank=bank)
    assert [*preferred(second, [pair, pair]), *preferred(second, [pair])] == told
    assert (second.spent.calls, second.fresh) == (3, Cost())


def test_a_dead_judge_is_said_where_something_is_missing(bank: Bank) -> None:
    with pytest.raises(ModelError, match="told to be dead"):
        preferred(fake_run(judge=FakeJudge(is_dead=True), bank=bank), [Pair(reply("x"), reply("y"))])


def test_what_a_program_did_is_banked_unless_the_sandbox_failed(bank: Bank) -> None:
    trials = [Trial(f"program {i}", ("t", "u"), ("x", "y")) for i in range(40)]

    def executed(executor: FakeExecutor, trials: list[Trial]) -> tuple[list[Behaviour], Run]:
        run = fake_run(executor=executor, bank=bank)

        async def call() -> list[Behaviour]:
            return await run.execute(PROBLEM, trials)

        return asyncio.run(call()), run

    first, first_run = executed(FakeExecutor(), trials)
    n_failed = sum(not behaviour.is_known for behaviour in first)
    assert 0 < n_failed < 10
    again, second_run = executed(FakeExecutor(is_dead=True), trials[::-1])
    assert again == first[::-1]
    assert (second_run.spent, second_run.fresh) == (first_run.spent, Cost())
    with pytest.raises(ModelError, match="told to be dead"):
        executed(FakeExecutor(is_dead=True), [replace(trial, inputs=("z",)) for trial in trials])


def test_the_key_holds_all_that_decides_a_verdict() -> None:
    problem = replace(PROBLEM, given={"numbers": (1, 2), "target": 3})
    sample = reply("x")
    keys = [
        score_key("v", problem, sample),
        score_key("w", problem, sample),
        score_key("v", replace(problem, id="other"), sample),
        score_key("v", replace(problem, prompt=Prompt.user("other")), sample),
        score_key("v", replace(problem, given={"numbers": (1, 2), "target": 4}), sample),
        score_key("v", problem, replace(sample, text="y")),
        score_key("v", problem, replace(sample, answer="y")),
        score_key("v", problem, replace(sample, finish=Finish.LENGTH)),
        preference_key("v", problem, Pair(sample, reply("y"))),
        preference_key("v", problem, Pair(reply("y"), sample)),
        preference_key("v", problem, Pair(sample, sample)),
        behaviour_key("v", problem, Trial("p")),
        behaviour_key("v", problem, Trial("p", ("t",))),
        behaviour_key("v", problem, Trial("p", (), ("t",))),
        behaviour_key("v", replace(problem, given={}), Trial("p")),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == score_key("v", problem, replace(sample, draw=7, seed=8, cost=Cost(9)))
    begun = replace(sample, prompt=PROBLEM.prompt.extend("he"), text="llo")
    assert score_key("v", problem, begun) == score_key("v", problem, reply("hello")), "it is the reply that counts"


def test_a_problem_that_json_cannot_hold_is_scored_but_not_kept(bank: Bank) -> None:
    problem = replace(PROBLEM, given={"check": object()})
    verifier = FakeVerifier()
    for _ in range(2):
        scored(fake_run(FakeModel(), verifier, bank=bank), [reply("x")], problem)
    assert verifier.seen == ["x", "x"]
