"""Cases: problems as files tell of them, with draws, their texts, and what each strategy made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mull import equal
from mull.errors import FileFormatError
from mull.files.records import RecordedSample, Recording, read_recordings
from mull.lab.grid import Cell
from mull.lab.metrics import Pool
from mull.replies.answers import canonical, classes_now, is_latex
from mull.types import AnswerKind, Cost, Model, Stopped


@dataclass(frozen=True, slots=True)
class Taken:
    """What one strategy made of one problem; `covered` says whether any of its draws was right (oracle).

    `correct` is `None` where the outcome could not be graded.
    """

    answer: str | None
    correct: bool | None
    covered: bool | None
    draws: int
    stopped: str
    cost: Cost
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """A problem: its draws (`None`: none that curves could be made of), their texts, and outcomes by strategy."""

    id: str
    prompt: str | None = None
    gold: str | None = None
    pool: Pool | None = None
    samples: tuple[RecordedSample, ...] = ()
    taken: Mapping[str, Taken] = field(default_factory=dict)
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one model on one task; `task` is `None` where the file does not say.

    `about` has what the file says of where the problems and the draws are from, under the names of `ABOUT`.
    """

    name: str
    cases: list[Case]
    task: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)


ABOUT = ("feedback", "data_date", "model_cutoff")
"""What corrected the replies in between, when the problems were published, and up to when the model read."""


@dataclass(frozen=True, slots=True)
class Source:
    """All that a file tells: its groups by name, the sweeps that wrote it, and what had to be left out."""

    path: Path
    groups: dict[str, Group]
    sweeps: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_recorded(path: Path) -> Source:
    """A file of recorded samples, a sweep's among them. Raises `FileFormatError` naming the line."""
    groups: dict[str, Group] = {}
    sweeps: list[Mapping[str, Any]] = []
    for recording in read_recordings(path):
        name = recording.group or path.name
        group = groups.setdefault(name, Group(name, [], recording.sweep.get("task"), _about(path, recording)))
        if _about(path, recording) != group.about:
            raise FileFormatError(path, recording.line, f"{', '.join(ABOUT)} must be the same on all rows of {name!r}")
        group.cases.append(case(path, recording))
        if recording.sweep and recording.sweep not in sweeps:
            sweeps.append(recording.sweep)
    return Source(path, groups, sweeps)


def _about(path: Path, recording: Recording) -> Mapping[str, str]:
    """What a row, or else the sweep that wrote it, says under the names of `ABOUT`."""
    told = {name: recording.row.get(name, recording.sweep.get(name)) for name in ABOUT}
    for name, value in told.items():
        if not isinstance(value, str | None):
            raise FileFormatError(path, recording.line, f"`{name}` must be text, not {value!r}")
    return {name: value for name, value in told.items() if value is not None}


def case(path: Path, recording: Recording) -> Case:
    """A recording as a case. Raises `FileFormatError` where nothing says whether a sample is right."""
    pool = _pool(path, recording) if recording.samples else None
    taken = {name: _taken(path, recording.line, name, row) for name, row in _outcomes(path, recording).items()}
    return Case(recording.id, recording.prompt, recording.gold, pool, recording.samples, taken, recording.line)


def answers_of(recording: Recording) -> tuple[AnswerKind, Sequence[str | None]]:
    """The kind of a recording's answers, and the class of each sample's; whether any is right is not looked at."""
    given = [recording.gold, *(s.answer for s in recording.samples)]
    kind = AnswerKind.MATH if any(text is not None and is_latex(text) for text in given) else AnswerKind.TEXT
    answers: Sequence[str | None] = [None if s.answer is None else canonical(s.answer, kind) for s in recording.samples]
    return kind, equal.classes_now(answers) if kind is AnswerKind.MATH else answers


def _pool(path: Path, recording: Recording) -> Pool:
    kind, answers = answers_of(recording)
    gold = None if recording.gold is None else canonical(recording.gold, kind)
    if gold is None and any(sample.correct is None for sample in recording.samples):
        raise FileFormatError(
            path,
            recording.line,
            "a sample has no `correct` and the row has no `answer`: no draw is known to be right or wrong, and "
            "nothing can be said of coverage; add the gold answer as `answer`, or `correct` to every sample",
        )
    graded = [
        replace(s, answer=answer, correct=_is_right(kind, answer, gold) if s.correct is None else s.correct)
        for s, answer in zip(recording.samples, answers, strict=True)
    ]
    return pool_of_samples(recording.id, graded)


def pool_of_samples(id: str, samples: Sequence[RecordedSample]) -> Pool:
    """Graded samples of one problem as its draws, for curves; their answers are taken as they are."""
    correct = tuple(sample.correct is True for sample in samples)
    answers, scores = tuple(s.answer for s in samples), tuple(s.score for s in samples)
    return Pool(id, len(samples), sum(correct), answers, correct, scores, tuple(s.output_tokens for s in samples))


def _is_right(kind: AnswerKind, answer: str | None, gold: str | None) -> bool:
    """Whether an answer is the gold; what nobody could decide is not right."""
    if kind is not AnswerKind.MATH or answer is None or gold is None:
        return answer == gold
    return equal.compare_now(gold, answer).is_equal is True


def _outcomes(path: Path, recording: Recording) -> Mapping[str, Any]:
    outcomes = recording.row.get("outcomes", {})
    if not isinstance(outcomes, dict):
        raise FileFormatError(path, recording.line, "`outcomes` must be an object with one entry a strategy")
    return outcomes


def _taken(path: Path, line: int, name: str, row: Any) -> Taken:
    try:
        # Files of before retries were counted have none.
        cost = Cost(**{f.name: {"retries": 0, **row["cost"]}[f.name] for f in fields(Cost)})
        if not all(row[verdict] in (True, False, None) for verdict in ("correct", "covered")):
            raise ValueError("a verdict is true, false or null")
        return Taken(
            row["answer"],
            row["correct"],
            row["covered"],
            int(row["draws"]),
            str(row["stopped"]),
            cost,
            dict(row.get("notes", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(path, line, f"the outcome of {name!r} is not as a sweep writes it: {error!r}") from error


def sweep_rows(model: Model, cells: Mapping[str, Sequence[Cell]]) -> Iterable[dict[str, Any]]:
    """A grid as lines, one for each problem: what each strategy made of it, and the draws of the widest.

    Only strategies that draw whole replies, the same number for every problem, lend their draws: where the number
    depends on what was drawn, or a search chose how replies go on, averages over subsets would be biased. Where there
    is no such strategy `samples` is empty. Of two that are as wide the one with scores lends them.
    """
    steady = {n: c for n, c in cells.items() if all(map(_lends, c))}
    widest = max(steady, key=lambda n: _width(steady[n]), default=None)
    for i, cell in enumerate(next(iter(cells.values()), ())):
        yield {
            "problem_id": cell.problem.id,
            "prompt": cell.problem.prompt.messages[-1].content,
            "model": model.name,
            "strategy": widest,
            "samples": [] if widest is None else _sample_rows(cells[widest][i]),
            "outcomes": {name: _outcome_row(column[i]) for name, column in cells.items()},
        }


def _lends(cell: Cell) -> bool:
    """Whether an outcome's candidates are independent draws, and their number was not of their own making."""
    outcome = cell.outcome
    return outcome.stopped is not Stopped.EARLY and all(s.prompt == cell.problem.prompt for s in outcome.candidates)


def _width(cells: Sequence[Cell]) -> tuple[int, int]:
    """How many draws a strategy has, and how many scores."""
    outcomes = [cell.outcome for cell in cells]
    return sum(len(o.candidates) for o in outcomes), sum(len(o.scores) for o in outcomes)


def _sample_rows(cell: Cell) -> list[dict[str, Any]]:
    scores = cell.outcome.scores or itertools.repeat(None, len(cell.outcome.candidates))
    answers = classes_now(cell.problem, cell.outcome.candidates)
    return [
        {
            "text": sample.reply,
            "final_answer": answer,
            "correct": grade.correct,
            "score": None if score is None else score.value,
            "output_tokens": sample.cost.output_tokens,
            "logprob": None if not sample.logprobs else round(math.fsum(sample.logprobs) / len(sample.logprobs), 5),
        }
        for sample, answer, grade, score in zip(cell.outcome.candidates, answers, cell.candidates, scores, strict=True)
    ]


def _outcome_row(cell: Cell) -> dict[str, Any]:
    grades = [grade.correct for grade in cell.candidates]
    return {
        "answer": cell.outcome.answer,
        "correct": cell.grade.correct,
        "covered": True if True in grades else (None if None in grades else False),
        "draws": len(cell.outcome.candidates),
        "stopped": cell.outcome.stopped.value,
        "notes": dict(cell.outcome.notes),
        "cost": asdict(cell.spent),
    }
