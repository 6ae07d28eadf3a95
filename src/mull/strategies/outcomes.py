"""Outcomes of votes and of choices among candidates."""

from __future__ import annotations

from collections.abc import Sequence

from mull.equal import Answers
from mull.errors import UsageError
from mull.replies.answers import answers_of
from mull.strategies import pick
from mull.types import Outcome, Problem, Sample, Score, Stopped


def check_at_least(least: int, **options: int) -> None:
    """Raises `UsageError` for an option below `least`."""
    for name, value in options.items():
        if value < least:
            raise UsageError(f"{name} must be at least {least}, not {value}")


def elected(
    ballot: pick.Ballot,
    answers: Answers,
    samples: Sequence[Sample],
    scores: Sequence[Score],
    stopped: Stopped,
) -> Outcome:
    """The outcome of a vote."""
    place = pick.representative(ballot.answer, answers, scores)
    best = None if place is None else samples[place]
    notes = turnout(answers)
    return Outcome(best, ballot.answer, tuple(samples), tuple(scores), ballot.tally, ballot.share, stopped, notes)


def turnout(answers: Answers) -> dict[str, float | str | None]:
    """Notes on a vote: how many candidates did not vote, or may have voted for the wrong equivalence class."""
    return {"no_answer": answers.count(None), "undecided": answers.undecided}


async def chosen(
    place: int | None, problem: Problem, samples: Sequence[Sample], scores: Sequence[Score], stopped: Stopped
) -> Outcome:
    """The outcome of selecting one candidate by score."""
    if place is None:
        return Outcome(None, None, tuple(samples), tuple(scores), stopped=stopped)
    best = samples[place]
    (answer,) = await answers_of(problem, [best])
    return Outcome(best, answer, tuple(samples), tuple(scores), (), scores[place].value, stopped)
