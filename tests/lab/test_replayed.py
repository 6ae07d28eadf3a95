"""Replays of recorded draws, against brute force over all orders of the draws and against the strategies themselves."""

import itertools
import statistics
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull import AnswerKind, Cost, Draw, Finish, Params, Problem, Prompt, Run, Sample, Score
from mull.cli.demo import DEMOS, DRAWN
from mull.files.recording import Recording, of_columns
from mull.files.records import read_recordings
from mull.lab import replayed
from mull.strategies.parallel import UntilPass
from mull.testing import FakeModel, solve
from mull.types import Calls, Purse

SAMPLE = st.tuples(st.booleans(), st.booleans(), st.integers(1, 9))


def recording(rows: list[tuple[bool, bool, int]]) -> Recording:
    passes, right, tokens = zip(*rows, strict=True)
    return of_columns("p", right, scores=[float(one) for one in passes], tokens=tokens)


def in_order(rows: tuple[tuple[bool, bool, int], ...], k: int) -> tuple[float, int, int]:
    """How right the first of k draws that passes is, or one of the k without any, and the draws and tokens made."""
    made = list(rows[:k])
    for i, (passes, right, _) in enumerate(made):
        if passes:
            return float(right), i + 1, sum(tokens for *_, tokens in made[: i + 1])
    return statistics.fmean(right for _, right, _ in made), k, sum(tokens for *_, tokens in made)


@settings(max_examples=40, deadline=None)
@given(st.lists(SAMPLE, min_size=1, max_size=5), st.data())
def test_until_pass_is_the_mean_over_all_orders_of_the_draws(
    rows: list[tuple[bool, bool, int]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(rows)))
    found = {one.name: one for one in replayed.replays([recording(rows)], [k])}
    until = found[f"until-pass:n={k},wave=1"]
    right, draws, tokens = zip(*(in_order(order, k) for order in itertools.permutations(rows)), strict=True)
    assert until.accuracy == pytest.approx(statistics.fmean(right))
    assert until.draws[0] == pytest.approx(statistics.fmean(draws))
    assert until.tokens[0] == pytest.approx(statistics.fmean(tokens))
    subsets = [any(right for _, right, _ in subset) for subset in itertools.combinations(rows, k)]
    assert found[f"coverage of {k}"].accuracy == pytest.approx(statistics.fmean(subsets))
    assert found["single"].accuracy == pytest.approx(statistics.fmean(right for _, right, _ in rows))


@dataclass
class InOrder(FakeModel):
    """Draw i is the text of place i."""

    texts: tuple[str, ...] = ()

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            yield Sample(prompt, self.texts[draw.number], Finish.STOP, Cost(1, 1, 1), draw.number, draw.seed)


@dataclass(frozen=True)
class Passing:
    """Passes the texts that it is told of."""

    texts: frozenset[str]
    name: str = "passing"
    identity: None = None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> list[Score]:
        return [Score(float(sample.text in self.texts)) for sample in samples]


def test_the_strategy_itself_makes_as_many_draws() -> None:
    """`until-pass` on every order of four draws of which two pass."""
    asked = Problem("p", Prompt.user("q"), AnswerKind.TEXT)
    verifier = Passing(frozenset({"b", "d"}))
    runs = [Run(InOrder(texts=order), verifier=verifier) for order in itertools.permutations("abcd")]
    made = [len(solve(UntilPass(n=3, wave=1), run, asked).candidates) for run in runs]
    rows = [(letter in "bd", letter in "cd", 1) for letter in "abcd"]
    (until,) = (one for one in replayed.replays([recording(rows)], [3]) if one.name.startswith("until-pass"))
    assert statistics.fmean(made) == pytest.approx(until.draws[0])


def test_public_tests_are_counted_against_hidden_ones() -> None:
    pairs = [(True, True, 1), (True, False, 1), (False, True, 1), (False, False, 1), (True, True, 1)]
    misled = [(True, False, 1), (False, True, 1)]
    found = replayed.public_tests([recording(pairs), recording(misled)])
    assert found == replayed.PublicTests(4, 2, 3, 2, 1)


def test_difficulty_is_told_by_other_draws_than_those_measured() -> None:
    """Even-numbered draws tell the kind of problem; what is odd is measured."""
    right, wrong = (True, True, 1), (False, False, 1)
    kinds = replayed.by_difficulty([recording([right, wrong] * 4), recording([wrong, right] * 4)])
    easy, hard, far = kinds
    assert (easy.problems, easy.single, easy.coverage) == (1, 0.0, 0.0)
    assert (hard.problems, hard.single, hard.gain) == (0, None, None)
    assert (far.problems, far.single, far.until_pass) == (1, 1.0, 1.0)


def test_the_draws_that_come_with_mull_are_whole() -> None:
    recordings = read_recordings(Path(DRAWN, DEMOS["real"]))
    drawn = recordings[0].sweep["drawn"]
    assert len({one.id for one in recordings}) == len(recordings) <= drawn["problems"]
    assert {one.n for one in recordings} == {16}
    assert sum(sum(tokens or 0 for tokens in one.tokens) for one in recordings) == drawn["tokens"]
    assert all(sample.correct is not None and sample.text for one in recordings for sample in one.samples)
    assert all(len(set(map(type, one.scores))) == 1 for one in recordings)
    assert Path(DRAWN, DEMOS["real"]).stat().st_size < 1_500_000
    assert np.mean([one.n_correct / one.n for one in recordings]) > 0.2
