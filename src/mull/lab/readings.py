"""How the replies of a sweep were read: a few of them to look at, and what is said where the figures mean little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from mull.files.recording import SHOWN
from mull.lab.cells import Cell
from mull.lab.replies_read import MANY
from mull.replies.answers import answer_of
from mull.types import AnswerKind, Finish, Sample, Task

T = TypeVar("T")

N_SHOWN, TAIL = 3, 100
"""Number of replies that are shown, and of characters of their ends."""
MOST_FIRSTS = 2000
"""Problems of which the first reply is kept, since it may be shown."""
WHAT_TO_DO = (
    "if replies like it are right, say how they are to be read: --ask line or --ask boxed asks for a form, "
    "--match includes looks for the gold answer in the reply, --match regex:PATTERN takes the answer out of it, "
    "--kind names the kind of all answers"
)


class Shown(NamedTuple):
    """The end of one reply and how it was read; `gold` is `None` where it is unknown."""

    problem: str
    end: str
    answer: str | None
    gold: str | None
    is_right: bool | None

    def line(self) -> str:
        """In one line; what a model wrote is quoted, with its control characters escaped."""
        answer = self.answer if self.answer is None or len(self.answer) <= TAIL else f"{self.answer[:TAIL]} ..."
        read = "no answer" if answer is None else repr(answer)
        verdict = {True: "right", False: "wrong", None: "not graded"}[self.is_right]
        gold = "" if self.gold is None else f", gold {self.gold!r}"
        return f"{self.problem}: {self.end!r} is read as {read}{gold}: {verdict}"


Place = tuple[int, int, int]
"""Where an outcome is in a sweep: its model, its strategy and its problem, each by number."""


class Readings:
    """What replies of a sweep were read as, outcome after outcome in any order; only a few replies are kept."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._golds: Callable[[str], str | None] | None = getattr(task, "told_gold", None)
        self._n_told = self._n_graded = self._n_unread = self._n_cut = 0
        self._is_any_right = self._is_answered = self._has_answer = self._is_graded = False
        self._answered = _First[Shown]()
        self._unread = _First[Shown]()
        self._written = _First[str]()
        self._why = _First[str]()
        self._firsts: dict[int, Shown] = {}
        """The first reply of the first strategy to each problem, or to every second, fourth, ... of many problems."""
        self._step = 1
        self._filled: set[str] = set()
        self._empty: dict[str, tuple[Place, int]] = {}
        """Problems whose replies were empty: the first outcome, and how many replies."""

    def add(self, place: Place, cell: Cell) -> None:
        """Adds an outcome."""
        self._is_answered = self._is_answered or cell.outcome.answer is not None
        drawn = [sample for sample in cell.outcome.candidates if sample.error is None]
        self._look_for_faults(place, cell, drawn)
        if cell.problem.kind is AnswerKind.CODE:
            return  # programs are not read
        gold = None if self._golds is None else self._golds(cell.problem.id)
        for sample, grade in zip(cell.outcome.candidates, cell.candidates, strict=True):
            if sample.error is None and sample.prompt == cell.problem.prompt:
                answer = answer_of(cell.problem, sample)
                one = Shown(cell.problem.id, _end_of(sample.reply), answer, gold, grade.correct)
                self._add(place, one, is_cut=sample.finish is Finish.LENGTH)

    def _add(self, place: Place, one: Shown, *, is_cut: bool) -> None:
        self._n_told += 1
        if one.is_right is not None:
            self._n_graded += 1
            self._is_any_right = self._is_any_right or one.is_right
            if one.answer is not None:
                self._answered.add(place, one)
        if one.answer is None:
            self._n_unread += 1
            self._n_cut += is_cut
            self._unread.add(place, one)
        if place[:2] == (0, 0) and (place[2] % self._step == 0):
            self._firsts.setdefault(place[2], one)
            if len(self._firsts) > MOST_FIRSTS:
                self._step *= 2
                self._firsts = {i: first for i, first in self._firsts.items() if i % self._step == 0}

    def _look_for_faults(self, place: Place, cell: Cell, drawn: Sequence[Sample]) -> None:
        id = cell.problem.id
        written = [sample for sample in drawn if sample.text.strip()]
        if written:
            self._filled.add(id)
            end = written[0].reply.strip()[-SHOWN:]
            self._written.add(place, f"{cell.problem.kind.value}; the first, on {id!r}, ends {end!r}")
        elif drawn:
            first, n = self._empty.get(id, (place, 0))
            self._empty[id] = min(first, place), n + len(drawn)
        if not self._is_answered and not self._has_answer:
            self._has_answer = any(answer_of(cell.problem, sample) is not None for sample in written)
        self._is_graded = self._is_graded or any(g.correct is not None for g in (cell.grade, *cell.candidates))
        if cell.grade.why:
            self._why.add(place, cell.grade.why)

    def shown(self) -> list[Shown]:
        """The first reply to a few problems, first to last; of tasks whose gold answers can be told alone."""
        if self._golds is None:
            return []
        in_order = [self._firsts[place] for place in sorted(self._firsts)]
        places = sorted({round(i * (len(in_order) - 1) / (N_SHOWN - 1)) for i in range(N_SHOWN)}) if in_order else []
        return [in_order[place] for place in places]

    def doubts(self) -> list[str]:
        """What is said where no reply is right, or many have no answer that can be read."""
        found = []
        answered = self._answered.value
        if answered is not None and answered.gold is not None and not self._is_any_right:
            found.append(f"no reply matches its gold answer: {answered.line()}; {WHAT_TO_DO}")
        unread = self._unread.value
        if self._n_graded and unread is not None and self._n_unread >= MANY * self._n_told:
            n_cut = self._n_cut
            cut = f"; {n_cut:,} of them were cut off at their limit of tokens: raise --max-tokens" if n_cut else ""
            what = f"{self._n_unread:,} of {self._n_told:,} replies have no answer that can be read{cut}"
            is_asked_here = self._golds is not None  # other tasks ask and read in their own way
            found.append("; ".join([what, unread.line(), *([WHAT_TO_DO] if is_asked_here else [])]))
        return found

    def faults(self) -> list[str]:
        """Why the figures are meaningless: no answer can be read, replies are empty, or nothing is graded."""
        if not self._filled and not self._empty:
            return []
        found = []
        empty = sorted((place, n, id) for id, (place, n) in self._empty.items() if id not in self._filled)
        if empty:
            _, n, id = empty[0]
            more = f", and so are those of {len(empty) - 1:,} more problems" if len(empty) > 1 else ""
            found.append(f"all {n} replies to problem {id!r} are empty{more}")
        if self._written.value is not None and not self._is_answered and not self._has_answer:
            found.append(f"no draw has an answer that can be read as {self._written.value}")
        if not self._is_graded:
            why = self._why.value
            found.append(f"no reply could be graded by {self._task.name}" + (f": {why}" if why else ""))
        return found


class _First(Generic[T]):
    """Of values that come in any order, the one whose outcome is first in the sweep."""

    def __init__(self) -> None:
        self.value: T | None = None
        self._place: Place | None = None

    def add(self, place: Place, value: T) -> None:
        if self._place is None or place < self._place:
            self.value, self._place = value, place


def _end_of(reply: str) -> str:
    reply = reply.strip()
    return reply if len(reply) <= TAIL else f"... {reply[-TAIL:]}"


def doubts(task: Task, cells: Sequence[Cell]) -> list[str]:
    """`Readings.doubts` of one strategy's outcomes."""
    found = Readings(task)
    for place, cell in enumerate(cells):
        found.add((0, 0, place), cell)
    return found.doubts()
