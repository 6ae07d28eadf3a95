"""Calibrated thresholds: exact tests of error rates, and the promise itself on simulated problems."""

import asyncio
import math
import random

import pytest

from mull import Cost, Finish, Problem, Prompt, Run, Sample, Stopped, UsageError, spec
from mull.allocate.risk import HOPELESS, SURE, LabelledDraws, Thresholds, calibrate, certainty, last_rejected, p_value
from mull.strategies.sure import SureVote
from mull.testing import FakeModel
from mull.types import Draw, Params

RIGHT = {"right": True, "wrong": False, "odd": False}


def certainties(answers: str) -> list[float]:
    return LabelledDraws([*answers], {}).certainties


def test_certainty_grows_with_draws_that_agree() -> None:
    assert certainty([]) == 0
    assert [certainty(["a"] * n) for n in (4, 8, 38)] == pytest.approx([4 / 6, 8 / 10, 38 / 40])
    assert certainty(["a", None, "b", "a"]) == pytest.approx(2 / 6)
    answers = ["b", None, "a", "a", "b", "b", None]
    assert LabelledDraws(answers, {}).certainties == [certainty(answers[:m]) for m in range(1, 8)]


@pytest.mark.parametrize(
    ("answers", "sure", "hopeless", "told"),
    [
        ("aaaa", 0.7, 0.25, None),
        ("aaaaaaab", 0.7, 0.25, True),
        ("aaaaaabb", 0.7, 0.25, None),
        ("abcdabcd", 0.55, 0.25, False),  # 2 of 8 and two more: .2
        ("abcdabcd", 0.55, 0.15, None),
        ("abcdabcd", 0.6, 0.15, False),  # 10 of 18 at most
        ("abcd", 0.55, 0.25, None),  # before the first look
        ("aaaaaaaaaaaaabbb", 0.7, 0.25, True),
        ("aaaaaaaaaaaabbbb", 0.7, 0.25, False),  # 12 of 18, and no draw is left
    ],
)
def test_the_verdict_after_some_draws(answers: str, sure: float, hopeless: float, told: bool | None) -> None:
    assert Thresholds(sure, hopeless, n=16).verdict(certainty([*answers]), len(answers)) is told


def test_a_vote_looks_after_every_wave() -> None:
    rule = Thresholds(0.7, 0.25, n=16)
    assert rule.after(certainties("aaaaaaaabbbbbbbb")) == (8, True)
    assert rule.after(certainties("abcdabcdaaaaaaaa")) == (8, False)
    assert rule.after(certainties("bbbaaaaaaaaaaaaa")) == (16, True)
    assert Thresholds(0.5, n=6, wave=4).after(certainties("abbaaa")) == (6, True)


@pytest.mark.parametrize(("errors", "trials", "bound"), [(0, 30, 0.1), (3, 30, 0.1), (12, 200, 0.05), (5, 5, 0.4)])
def test_the_p_value_is_the_lower_tail_of_the_binomial(errors: int, trials: int, bound: float) -> None:
    exact = sum(math.comb(trials, i) * bound**i * (1 - bound) ** (trials - i) for i in range(errors + 1))
    assert p_value(errors, trials, bound) == pytest.approx(exact)


def test_the_list_ends_at_the_first_threshold_that_is_not_rejected() -> None:
    counts = {0.9: (0, 100), 0.8: (1, 100), 0.7: (9, 100), 0.6: (0, 100)}
    assert last_rejected([*counts], counts.__getitem__, 0.1, 0.05) == 0.8, "not .6, behind one that failed"
    assert last_rejected([0.7, 0.9], counts.__getitem__, 0.1, 0.05) is None


def drawn(rng: random.Random, n: int) -> LabelledDraws:
    """A problem of one of four kinds: easy, even, one with a common mistake, one without a common answer."""
    right, wrong = rng.choice([(0.9, 0.05), (0.5, 0.3), (0.15, 0.75), (0.15, 0.15)])
    odd = [f"odd {i}" for i in range(5)]
    answers = rng.choices(["right", "wrong", *odd], [right, wrong, *[(1 - right - wrong) / 5] * 5], k=n)
    return LabelledDraws(answers, {"right": True, "wrong": False, **dict.fromkeys(odd, False)})


def test_the_stated_error_is_exceeded_as_rarely_as_stated() -> None:
    """60 calibration sets of 60 problems at delta .2: more than 24 of them would come up once in 6,000 seeds."""
    rng = random.Random(2)
    fresh = [drawn(rng, 12) for _ in range(600)]
    rates: dict[Thresholds, tuple[float, float]] = {}
    n_over = n_lost = 0
    for _ in range(60):
        rule = calibrate([drawn(rng, 12) for _ in range(60)], error=0.3, lost=0.1, delta=0.2, n=12)
        if rule not in rates:
            ends = [(rule.after(problem.certainties), problem) for problem in fresh]
            wrong = sum(told and not problem.is_right(m) for (m, told), problem in ends)
            early = [problem for (m, told), problem in ends if not told and m < 12 and m >= rule.look]
            given_up = sum(certainty(p.answers[:8]) <= rule.hopeless and p.is_right(12) for p in early)
            rates[rule] = wrong / len(fresh), given_up / len(fresh)
        n_over += rates[rule][0] > 0.3
        n_lost += rates[rule][1] > 0.1
    assert n_over <= 24
    assert n_lost <= 24
    assert len(rates) > 3, "the thresholds depend on the set"


def test_more_problems_allow_laxer_thresholds_and_a_smaller_error_stricter_ones() -> None:
    rng = random.Random(4)
    problems = [drawn(rng, 16) for _ in range(600)]
    few, many, strict = (
        calibrate(problems[:n], error=error, n=16) for n, error in ((80, 0.25), (600, 0.25), (600, 0.1))
    )
    assert many.sure <= few.sure
    assert many.sure < strict.sure
    assert {few.sure, many.sure, strict.sure} <= {*SURE}
    assert (few.hopeless, few.n) == (0.0, 16)
    assert calibrate(problems, error=0.25, lost=0.2, n=16).hopeless in HOPELESS


def test_what_cannot_be_shown_is_refused() -> None:
    rng = random.Random(5)
    with pytest.raises(UsageError, match="10 problems do not show an error of at most"):
        calibrate([drawn(rng, 16) for _ in range(10)], error=0.05, n=16)
    with pytest.raises(UsageError, match="5 problems have fewer than n=40 draws"):
        calibrate([drawn(rng, 16) for _ in range(5)], error=0.05)
    with pytest.raises(UsageError, match="delta must be between 0 and 1"):
        calibrate([], error=0.05, delta=1.0)


class Fixed(FakeModel):
    """Draw i answers letter i of `label`."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        text = f"answer: {self.label[draw.number]}"
        return Sample(prompt, text, Finish.STOP, Cost(1, 1, 2), draw.number, draw.seed)


@pytest.mark.parametrize(
    ("label", "n_draws", "answer", "withheld"),
    [
        ("aaaaaaaabbbbbbbb", 8, "a", None),
        ("abcdabcdaaaaaaaa", 8, None, "a"),
        ("baabbaaabaaaaaaa", 12, None, "a"),
        ("bbbaaaaaaaaaaaaa", 16, "a", None),
    ],
)
def test_the_strategy_does_as_its_thresholds_say(
    label: str, n_draws: int, answer: str | None, withheld: str | None
) -> None:
    rule = Thresholds(0.7, 0.25, n=16)
    run = Run(Fixed(label=label))
    outcome = asyncio.run(SureVote.of(rule)(Problem("p", Prompt.user("q")), run))
    assert rule.after(certainties(label)) == (n_draws, answer is not None)
    assert (len(outcome.candidates), outcome.answer, outcome.notes.get("withheld")) == (n_draws, answer, withheld)
    assert (outcome.best is None) == (answer is None)
    assert outcome.stopped == (Stopped.EARLY if n_draws < 16 else Stopped.COMPLETE)
    assert outcome.notes["certainty"] == certainty([*label[:n_draws]])


def test_thresholds_are_options_of_a_spec() -> None:
    assert spec.describe(spec.STRATEGIES, SureVote.of(Thresholds(0.62, 0.2))) == "sure-vote:n=40,sure=0.62,hopeless=0.2"
    with pytest.raises(UsageError, match="sure is a share"):
        SureVote(sure=1.5)
