"""Confidence against the numbers of the paper's definitions, and traces that stop where it falls."""

import asyncio
import itertools
import math
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mull import Budget, Finish, Outcome, Params, Problem, Prompt, Run, Sample, Stopped, Strategy, UsageError, spec
from mull.errors import ModelError, UnknownNameError
from mull.models.embedded import Nano
from mull.models.recorded import RecordedModel
from mull.strategies import confidence
from mull.strategies.confident import ConfidenceStop, ConfidenceVote
from mull.tasks.synthetic import ChainTask
from mull.testing import PROBLEM, FakeModel, fake_run, solve
from mull.types import Cost, Draw, Purse

CHAIN = Problem("chain", Prompt.user("b:a+45;a:9;c:b-30;c?"))


def told(places: list[list[float]]) -> Sample:
    tops = tuple(tuple((str(i), p) for i, p in enumerate(place)) for place in places)
    return Sample(Prompt.user("x"), "y", Finish.STOP, alternatives=tops)


def test_confidence_of_a_token_is_minus_the_mean_logarithm_of_the_likeliest() -> None:
    uniform, peaked = [math.log(1 / 20)] * 20, [math.log(0.99), *[math.log(0.01 / 19)] * 19]
    found = confidence.of_tokens(told([uniform, peaked]), "top", 20)
    assert found == pytest.approx([2.995732, 7.172631], abs=1e-6)


def test_a_token_more_than_was_asked_for_does_not_count() -> None:
    """Servers add the chosen token where it is not among the likeliest."""
    place = [-0.1, -3.0, -4.0]
    assert confidence.of_tokens(told([[-9.0, *place]]), "top", 3) == confidence.of_tokens(told([place]), "top", 3)


def test_fewer_than_were_asked_for_are_refused_for_their_mean_is_on_another_scale() -> None:
    with pytest.raises(ModelError, match="5 likeliest tokens instead of 20: set top=5"):
        confidence.of_tokens(told([[-1.0] * 5]), "top", 20)


@pytest.mark.parametrize("clamped", [-9999.0, -math.inf, math.nan, -20_000.0])
def test_what_a_server_does_not_tell_makes_no_token_surer(clamped: float) -> None:
    """Taken as it stands, -9999 beside the chosen token would be the greatest confidence of all."""
    ordinary, unknown = told([[-0.1, -3.0, -4.0]]), told([[-0.1, clamped, -4.0]])
    assert confidence.of_tokens(unknown, "top", 3) < confidence.of_tokens(ordinary, "top", 3)
    chosen = [Sample(Prompt.user("x"), "y", Finish.STOP, logprobs=(-0.5, p)) for p in (-15.0, clamped)]
    likely, least = (confidence.measured(confidence.of_tokens(one, "chosen", 1), 2, "mean") for one in chosen)
    assert least < likely
    assert math.isfinite(least)


def test_the_bar_is_what_the_surest_eta_percent_reach() -> None:
    """The direction is the usual mistake: eta = 10 keeps few and so has the high bar."""
    values = [float(i) for i in range(1, 11)]
    assert confidence.bar(values, 10) == pytest.approx(9.1)
    assert confidence.bar(values, 90) == pytest.approx(1.9)
    assert sum(v >= confidence.bar(values, 10) for v in values) == 1
    assert sum(v >= confidence.bar(values, 90) for v in values) == 9


def test_percentiles_are_numpys() -> None:
    rng = random.Random(0)
    for _ in range(50):
        values = [rng.random() for _ in range(rng.randint(1, 20))]
        percent = rng.uniform(0, 100)
        assert confidence.percentile(values, percent) == pytest.approx(np.percentile(values, percent))


def test_measures_of_a_trace() -> None:
    trace = [4.0] * 20 + [1.0, 1.0] + [4.0] * 20 + [2.0, 2.0]
    assert confidence.groups([1.0, 3.0, 5.0], 2) == [2.0, 4.0]
    assert confidence.measured(trace, 2, "lowest") == 1.0
    assert confidence.measured(trace, 2, "tail") == 2.0
    assert confidence.measured(trace, 2, "mean") == pytest.approx(sum(trace) / len(trace))
    # 43 groups: the lowest four are 1, 2, 2.5 and 2.5.
    assert confidence.measured(trace, 2, "bottom") == pytest.approx((1 + 2 + 2.5 + 2.5) / 4)


def test_a_trace_that_is_shorter_than_the_window_is_one_group_and_never_stops() -> None:
    assert confidence.groups([1.0, 2.0], 5) == [1.5]
    assert not confidence.is_under([1.0, 2.0], 0, 5, 100.0)
    assert confidence.is_under([1.0] * 5, 0, 5, 100.0)


def test_windows_that_end_before_the_last_chunk_are_not_looked_at_again() -> None:
    trace = [0.0, 0.0, 9.0, 9.0, 9.0]
    assert confidence.is_under(trace, 0, 2, 1.0)
    assert not confidence.is_under(trace, 2, 2, 1.0)


@dataclass
class Scripted(FakeModel):
    """Reply i has the answer and the confidence, the same for each of its four tokens, of line i of the script."""

    script: list[tuple[str, float]] = field(default_factory=list)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            self.seen.append((prompt, params, draw))
            yield self._scripted(prompt, params, draw)

    def _scripted(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        begun, _, _ = prompt.prefix.partition(" ")
        place = int(begun) if begun else sum(not p.prefix for p, *_ in self.seen) - 1
        answer, sure = self.script[place]
        tokens = [f"{place} ", "so ", "is ", f"answer: {answer}"]
        left = tokens[len(prompt.prefix.split()) :]
        n = min(params.max_tokens, len(left))
        finish = Finish.STOP if n == len(left) else Finish.LENGTH
        tops = (tuple((str(i), -sure) for i in range(params.logprobs or 0)),) * n
        chosen = (-1 / sure,) * n
        cost = Cost(1, 5, n, 0, 0, 1.0, 0.0, 0.0)
        text = "".join(left[:n])
        return Sample(prompt, text, finish, cost, draw.number, draw.seed, chosen, alternatives=tops)


def traced(script: list[tuple[str, float]], strategy: Strategy) -> tuple[Outcome, Run]:
    run = Run(Scripted(script=script), params=Params(max_tokens=32))
    return solve(strategy, run, PROBLEM), run


def test_the_surest_vote_can_beat_the_most_frequent() -> None:
    """Votes A [2, 2, 2], B [5]: A by weight, B where only the surest quarter votes."""
    script = [("a", 2.0), ("a", 2.0), ("b", 5.0), ("a", 2.0)]
    whole, _ = traced(script, ConfidenceVote(n=4, eta=100, window=2))
    few, _ = traced(script, ConfidenceVote(n=4, eta=25, window=2))
    assert (whole.answer, whole.tally) == ("a", (("a", 6.0), ("b", 5.0)))
    assert (few.answer, few.notes["filtered"]) == ("b", 3)


def test_a_trace_stops_at_the_first_full_window_under_the_bar_and_does_not_vote() -> None:
    script = [("a", 4.0), ("b", 4.0), ("c", 1.0), ("a", 4.0)]
    strategy = ConfidenceStop(n=4, warmup=2, eta=90, tau=None, window=2, chunk=1, wave=2)
    outcome, run = traced(script, strategy)
    assert outcome.answer == "a"
    assert outcome.notes["stopped"] == 1
    assert dict(outcome.tally) == {"a": 8.0, "b": 4.0}
    # Three traces of four tokens, and the two of the trace that was stopped are spent all the same.
    assert run.spent.output_tokens == 3 * 4 + 2


def test_a_whole_trace_of_the_warm_up_that_is_under_the_bar_does_not_vote() -> None:
    script = [("b", 1.0), ("b", 2.0), ("a", 3.0), ("a", 4.0)]
    outcome, _ = traced(script, ConfidenceStop(n=4, warmup=4, eta=50, window=2))
    assert (outcome.answer, outcome.notes["threshold"]) == ("a", 2.5)


def test_it_ends_when_the_leader_has_its_share() -> None:
    script = [("a", 4.0)] * 2 + [("b", 4.0)] * 6
    early, run = traced(script, ConfidenceStop(n=8, warmup=2, window=2, chunk=4))
    assert (early.stopped, run.spent.calls) == (Stopped.EARLY, 2)
    late, run = traced(script, ConfidenceStop(n=8, warmup=2, window=2, chunk=4, tau=None))
    assert (late.stopped, late.answer, run.spent.calls) == (Stopped.COMPLETE, "b", 8)


def test_without_log_probabilities_nothing_is_spent(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"problem_id": "p", "prompt": "Which letter?", "samples": [{"text": "answer: a"}]}\n')
    strategies: tuple[Strategy, ...] = (ConfidenceVote(n=2, window=4), ConfidenceStop(n=2, warmup=2, window=4))
    for strategy in strategies:
        run = Run(RecordedModel(str(path)))
        with pytest.raises(UsageError, match="no log-probabilities"):
            solve(strategy, run)
        assert run.spent == Cost()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("confidence-vote:eta=0", "eta is the percentage of traces kept"),
        ("confidence-vote:eta=101", "eta is the percentage of traces kept"),
        ("confidence-vote:top=0", "top must be at least 1"),
        ("confidence-stop:n=4,warmup=5", "warmup=5 traces are more than n=4"),
        ("confidence-stop:tau=1.5", "tau is a share"),
        ("confidence-stop:window=0", "window must be at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec.strategy(text)


def test_another_measure_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        spec.strategy("confidence-vote:measure=median")


def test_a_window_that_no_reply_fills_is_refused_before_anything_is_spent() -> None:
    run = fake_run()
    with pytest.raises(UsageError, match="a window of 2048 tokens is longer than any reply"):
        solve(ConfidenceStop(window=2048), run)
    assert run.spent == Cost()


def test_on_nano_wrong_traces_are_less_sure_than_right_ones() -> None:
    """By the token drawn. Under chance the area is .5 with a deviation of .06: a false alarm is rarer than 1e-8."""

    async def one(task: ChainTask, problem: Problem) -> list[tuple[float, bool]]:
        draws = await Run(Nano(), params=Params(max_tokens=200, logprobs=0)).draw(problem.prompt, 3)
        values = [confidence.measured(confidence.of_tokens(s, "chosen", 1), 16, "lowest") for s in draws]
        return [(v, bool((await task.grade(problem.id, s)).correct)) for v, s in zip(values, draws, strict=True)]

    async def all_of(task: ChainTask) -> list[tuple[float, bool]]:
        found = await asyncio.gather(*(one(task, p) for p in itertools.islice(task.problems(), 20)))
        return list(itertools.chain.from_iterable(found))

    draws = asyncio.run(all_of(ChainTask(4, seed=77)))
    right, wrong = [v for v, ok in draws if ok], [v for v, ok in draws if not ok]
    area = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong) / (len(right) * len(wrong))
    assert area > 0.85


def test_on_nano_a_stopped_trace_costs_less_and_a_budget_holds() -> None:
    strategy = ConfidenceStop(n=8, warmup=2, eta=50, tau=None, window=8, signal="chosen")
    run = Run(Nano(), params=Params(max_tokens=200), budget=Budget(tokens=600))
    outcome = solve(strategy, run, CHAIN)
    assert outcome.answer == "24"
    assert (run.spent.tokens or 0) <= 600
