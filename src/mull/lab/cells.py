"""The outcome of one strategy on one problem of a grid, and its draws and result as they are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from mull.files.recording import RecordedSample, Recording, Result, mean_logprob
from mull.replies.answers import classes_now
from mull.types import Cost, Finish, Grade, Outcome, Problem, Sample, Score, Stopped

CUT_OFF = Grade(None, "cut off by the ceiling, or no whole draw")


class Cell(NamedTuple):
    """One strategy's outcome on one problem."""

    problem: Problem
    outcome: Outcome
    grade: Grade
    candidates: tuple[Grade, ...]
    spent: Cost
    fresh: Cost


def recorded(
    problem: Problem, samples: Sequence[Sample], grades: Sequence[Grade], scores: Sequence[Score] = ()
) -> Recording:
    """Graded draws of a problem as a recording; `scores` may be empty."""
    values = [score.value for score in scores] or [None] * len(samples)
    drawn = zip(samples, grades, values, strict=True)
    return Recording(
        problem.id,
        problem.prompt.question,
        samples=tuple(_recorded(sample, grade, value) for sample, grade, value in drawn),
        answers=tuple(classes_now(problem, samples)),
        kind=problem.kind,
    )


def _recorded(sample: Sample, grade: Grade, score: float | None) -> RecordedSample:
    logprob = mean_logprob(sample.logprobs)
    return RecordedSample(sample.reply, sample.answer, grade.correct, score, sample.cost.output_tokens, logprob)


def draws(cell: Cell) -> Recording:
    """The draws behind an outcome."""
    return recorded(cell.problem, cell.outcome.candidates, cell.candidates, cell.outcome.scores)


def result(cell: Cell) -> Result:
    """The recorded result of an outcome."""
    grades = [grade.correct for grade in cell.candidates]
    return Result(
        cell.outcome.answer,
        cell.grade.correct,
        True if True in grades else (None if None in grades else False),
        len(cell.outcome.candidates),
        cell.outcome.stopped.value,
        cell.spent,
        dict(cell.outcome.notes),
    )


def whole(cell: Cell, tokens: int | None) -> Cell:
    """The cell without the draws that failed or that a ceiling cut off, which say nothing of what the model can do.

    `tokens` is the run's ceiling: a last draw for which it left too little takes all of that, and ends by its length.
    What a ceiling cut off is no result of its strategy either: it is not graded.
    """
    outcome, drawn = cell.outcome, cell.outcome.candidates
    is_spent = tokens is not None and (cell.spent.tokens or 0) >= tokens
    is_cut = is_spent and bool(drawn) and drawn[-1].finish is Finish.LENGTH
    kept = [i for i, s in enumerate(drawn) if s.error is None and not (is_cut and i == len(drawn) - 1)]
    if is_cut or (drawn and not kept) or outcome.stopped in (Stopped.BUDGET, Stopped.DEADLINE):
        cell = cell._replace(grade=CUT_OFF)
    if len(kept) == len(drawn):
        return cell
    outcome = replace(
        outcome,
        candidates=tuple(drawn[i] for i in kept),
        scores=tuple(outcome.scores[i] for i in kept) if outcome.scores else (),
    )
    return cell._replace(outcome=outcome, candidates=tuple(cell.candidates[i] for i in kept))


def lends(cell: Cell) -> bool:
    """Whether an outcome's candidates are independent draws whose number did not depend on their content."""
    outcome = cell.outcome
    return outcome.stopped is not Stopped.EARLY and all(s.prompt == cell.problem.prompt for s in outcome.candidates)


def columns(rows: Sequence[Mapping[str, Cell]]) -> dict[str, list[Cell]]:
    """The cells of each strategy, from the cells of each problem."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
