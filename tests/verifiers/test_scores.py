"""A verifier as a judge."""

import asyncio
from pathlib import Path

from mull import Finish, Pair, Problem, Prompt, Sample
from mull.bank import open_bank
from mull.lab import exchange
from mull.run import Run
from mull.run.calls import MeteredCalls
from mull.testing import FakeModel, check_judging_replay
from mull.verifiers.countdown import CountdownChecker
from mull.verifiers.scores import ScoreJudge
from mull.verifiers.trained import NanoORM


def sample(text: str) -> Sample:
    return Sample(Prompt.user("reach 11 with 3 10 2"), text, Finish.STOP)


def test_the_better_scored_is_preferred_and_equal_scores_are_a_tie() -> None:
    judge = ScoreJudge(CountdownChecker())
    problem = Problem("p", Prompt.user("reach 11 with 3 10 2"))
    right, wrong = sample("answer: 10+3-2"), sample("answer: 10+3")
    pairs = [Pair(right, wrong), Pair(wrong, right), Pair(right, right)]
    verdicts = asyncio.run(judge.prefer(problem, pairs, MeteredCalls()))
    assert [verdict.first for verdict in verdicts] == [1.0, 0.0, 0.5]
    assert [verdict.cost.calls for verdict in verdicts] == [1, 1, 1]
    assert judge.quote(problem, pairs).calls == 3
    assert (judge.name, judge.identity) == ("scores:countdown", None)


def test_without_a_score_there_is_no_preference() -> None:
    problem = Problem("p", Prompt.user("nothing to reach"))
    pair = Pair(sample("answer: 10+3-2"), sample("answer: 10"))
    (verdict,) = asyncio.run(ScoreJudge(CountdownChecker()).prefer(problem, [pair], MeteredCalls()))
    assert verdict.first is None
    assert "no numbers and target" in verdict.why


async def test_comparisons_by_a_reward_model_are_paid_once_also_by_an_export(tmp_path: Path) -> None:
    judge, problem = ScoreJudge(NanoORM()), Problem("p", Prompt.user("a:7;b:a*6;b?"))
    first, second, third = (sample(f"a=7\nb={n}\nanswer: {n}") for n in (42, 43, 44))
    pairs = [Pair(first, second), Pair(second, third)]
    verdicts = tmp_path / "verdicts.jsonl"
    with open_bank(str(tmp_path / "first.db")) as bank:
        await check_judging_replay(judge, problem, pairs, bank)
        assert exchange.write_verdicts(bank, verdicts) == 5, "three scores and two preferences"
        kept = Run(FakeModel(), judge=judge, bank=bank)
        before = [one.first for one in await kept.prefer(problem, pairs)]
    with open_bank(str(tmp_path / "second.db")) as other:
        exchange.take_in(other, verdicts, exchange.Filing())
        again = Run(FakeModel(), judge=judge, bank=other)
        assert [one.first for one in await again.prefer(problem, pairs)] == before
    assert (again.fresh.calls, again.fresh.verifier_tokens) == (0, 0)
    assert again.spent == kept.spent
    assert again.spent.calls == 2
