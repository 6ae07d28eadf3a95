"""Particle filtering: odds weights, systematic resampling, and particles that have ended."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import AnswerKind, Finish, Params, Problem, Prompt, Run, Sample
from mull.run.trace import NoteEvent, Trace
from mull.strategies.particles import Particles, effective, odds, systematic
from mull.testing import LineModel, StubVerifier, solve

PROBLEM = Problem("p", Prompt.user("q"), AnswerKind.TEXT)
weights_lists = st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda ws: sum(ws) > 1e-6)


def test_weights_are_odds_and_not_scores() -> None:
    weights = odds([0.9, 0.5, 0.1])
    assert weights == pytest.approx([0.8901, 0.0989, 0.0110], abs=5e-5)
    assert effective(weights) == pytest.approx(1.2466, abs=5e-5)
    by_score = [0.6, 1 / 3, 1 / 15]
    assert effective(by_score) == pytest.approx(2.1028, abs=5e-5)


def test_certainty_is_clipped_and_unknown_weighs_nothing() -> None:
    assert odds([1.0, 0.0]) == pytest.approx([1, 0], abs=1e-10)
    assert odds([None, 0.5, 0.5]) == [0.0, 0.5, 0.5]
    assert odds([None, None]) == [0.5, 0.5]


def test_tempering_flattens() -> None:
    assert odds([0.9, 0.1]) == pytest.approx([81 / 82, 1 / 82])
    assert odds([0.9, 0.1], temper=2) == pytest.approx([0.9, 0.1])
    assert odds([0.9, 0.1], temper=1e9) == pytest.approx([0.5, 0.5])


@given(weights_lists, st.floats(0, 1, exclude_max=True))
def test_systematic_resampling_gives_each_its_share_rounded_down_or_up(raw: list[float], start: float) -> None:
    weights = [w / math.fsum(raw) for w in raw]
    counts = systematic(weights, start)
    assert sum(counts) == len(weights)
    for weight, count in zip(weights, counts, strict=True):
        assert len(weights) * weight - 1 - 1e-9 <= count <= len(weights) * weight + 1 + 1e-9


def test_systematic_resampling_is_unbiased() -> None:
    """Means over 20,000 resamplings: each is within 5 standard errors (at most 0.5 each), false alarms below 1e-5."""
    weights, rng = [0.5, 0.3, 0.15, 0.05], random.Random(3)
    totals = [0] * 4
    for _ in range(20_000):
        totals = [t + c for t, c in zip(totals, systematic(weights, rng.random()), strict=True)]
    for total, weight in zip(totals, weights, strict=True):
        assert total / 20_000 == pytest.approx(4 * weight, abs=5 * 0.5 / math.sqrt(20_000))


def test_copies_go_on_with_draws_of_their_own() -> None:
    """One first line is certain and the rest hopeless: all particles become copies of it, and part again."""
    model = LineModel(length=2)
    verifier = StubVerifier(lambda reply: 1.0 if reply.startswith("0.2") else 0.0)
    outcome = solve(Particles(n=6), Run(model, verifier=verifier), PROBLEM)
    later = [(prompt.prefix, draw.number) for prompt, _, draw in model.seen if prompt.prefix]
    assert sorted(later) == [("0.2\n", i) for i in range(6)]
    assert len({sample.seed for sample in outcome.candidates}) == 6


def test_a_particle_that_has_ended_keeps_its_weight_and_stays_in_the_resampling() -> None:
    """The first particle ends at once and is good: more and more of the others become copies of it."""

    class First(LineModel):
        def _draw(self, prompt, params, draw):  # type: ignore[no-untyped-def]
            if not prompt.prefix and draw.number == 0:
                return Sample(prompt, "answer: first", Finish.STOP, self._cost(2), draw.number, draw.seed)
            return super()._draw(prompt, params, draw)

    model = First(length=4)
    verifier = StubVerifier(lambda reply: 0.9 if "first" in reply else 0.1)
    outcome = solve(Particles(n=8, pick="majority"), Run(model, verifier=verifier), PROBLEM)
    # Odds of 9 against 7 times 1/9: 0.92 of the weight, so 7 or 8 of 8 after one resampling.
    assert outcome.answer == "first"
    assert outcome.tally[0][1] >= 7
    assert [call.count("answer: first") for call in verifier.seen] == [1] + [0] * (len(verifier.seen) - 1)
    levels = Counter(prompt.prefix.count("\n") for prompt, _, _ in model.seen)
    assert levels[0] == 8
    assert levels[1] <= 1


def test_the_heaviest_particle_wins_unless_a_vote_is_asked_for() -> None:
    model = LineModel(line=lambda i, prefix, draw: "answer: " + ("a" if draw.number == 0 else "b"), length=1)
    verifier = StubVerifier(lambda reply: 0.9 if reply.endswith("a") else 0.5)
    answers = {
        how: solve(Particles(n=4, pick=how), Run(model, verifier=verifier), PROBLEM).answer  # type: ignore[arg-type]
        for how in ("best", "weighted")
    }
    assert answers == {"best": "a", "weighted": "b"}


def test_the_trace_tells_the_weights() -> None:
    trace = Trace(PROBLEM)
    solve(Particles(n=4), Run(LineModel(), verifier=StubVerifier(lambda r: 0.5), params=Params(), trace=trace), PROBLEM)
    notes = [event for event in trace.events if isinstance(event, NoteEvent) and event.what == "resampled"]
    assert [note.details["counts"] for note in notes] == [[1, 1, 1, 1]] * 2
    assert notes[0].details["weights"] == [0.25] * 4
    assert notes[0].details["effective"] == pytest.approx(4)
