"""A verifier as a judge."""

import asyncio

from mull import Finish, Pair, Problem, Prompt, Sample
from mull.run.calls import MeteredCalls
from mull.verifiers.countdown import CountdownChecker
from mull.verifiers.scores import ScoreJudge


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
