"""How the replies of a sweep were read: a few of them to look at, and what is said where the figures mean little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mull.files.recording import SHOWN
from mull.lab.grid import Cell
from mull.lab.replies_read import MANY
from mull.replies.answers import answer_of
from mull.types import AnswerKind, Finish, Problem, Sample, Task

N_SHOWN, TAIL = 3, 100
"""Number of replies that are shown, and of characters of their ends."""
WHAT_TO_DO = (
    "if replies like it are right, say how they are to be read: --ask line or --ask boxed asks for a form, "
    "--match includes looks for the gold answer in the reply, --match regex:PATTERN takes the answer out of it, "
    "--kind names the kind of all answers"
)


class Shown(NamedTuple):
    """One reply as it was read; `gold` is `None` where it is unknown."""

    problem: str
    reply: str
    answer: str | None
    gold: str | None
    is_right: bool | None

    def line(self) -> str:
        """In one line; what a model wrote is quoted, with its control characters escaped."""
        reply = self.reply.strip()
        tail = reply if len(reply) <= TAIL else f"... {reply[-TAIL:]}"
        answer = self.answer if self.answer is None or len(self.answer) <= TAIL else f"{self.answer[:TAIL]} ..."
        read = "no answer" if answer is None else repr(answer)
        verdict = {True: "right", False: "wrong", None: "not graded"}[self.is_right]
        gold = "" if self.gold is None else f", gold {self.gold!r}"
        return f"{self.problem}: {tail!r} is read as {read}{gold}: {verdict}"


def _all(task: Task, cells: Sequence[Cell]) -> list[tuple[Shown, Finish]]:
    """The finished replies of outcomes, as they were read; programs are not read."""
    golds = getattr(task, "told_gold", None)
    found = []
    for cell in cells:
        if cell.problem.kind is AnswerKind.CODE:
            continue
        gold = None if golds is None else golds(cell.problem.id)
        for sample, grade in zip(cell.outcome.candidates, cell.candidates, strict=True):
            if sample.error is None and sample.prompt == cell.problem.prompt:
                answer = answer_of(cell.problem, sample)
                found.append((Shown(cell.problem.id, sample.reply, answer, gold, grade.correct), sample.finish))
    return found


def shown(task: Task, cells: Sequence[Cell]) -> list[Shown]:
    """The first reply to a few problems, from the first to the last; of tasks whose gold answers can be told alone."""
    if getattr(task, "told_gold", None) is None:
        return []
    first = {one.problem: one for one, _ in reversed(_all(task, cells))}
    in_order = [first[cell.problem.id] for cell in cells if cell.problem.id in first]
    places = sorted({round(i * (len(in_order) - 1) / (N_SHOWN - 1)) for i in range(N_SHOWN)}) if in_order else []
    return [in_order[place] for place in places]


def doubts(task: Task, cells: Sequence[Cell]) -> list[str]:
    """What is said where no reply is right, or many have no answer that can be read."""
    told = _all(task, cells)
    graded = [one for one, _ in told if one.is_right is not None]
    answered = next((one for one in graded if one.answer is not None), None)
    found = []
    if answered is not None and answered.gold is not None and not any(one.is_right for one in graded):
        found.append(f"no reply matches its gold answer: {answered.line()}; {WHAT_TO_DO}")
    unread = [(one, finish) for one, finish in told if one.answer is None]
    if graded and len(unread) >= MANY * len(told):
        n_cut = sum(finish is Finish.LENGTH for _, finish in unread)
        cut = f"; {n_cut:,} of them were cut off at their limit of tokens: raise --max-tokens" if n_cut else ""
        what = f"{len(unread):,} of {len(told):,} replies have no answer that can be read{cut}"
        is_asked_here = getattr(task, "told_gold", None) is not None  # other tasks ask and read in their own way
        found.append("; ".join([what, unread[0][0].line(), *([WHAT_TO_DO] if is_asked_here else [])]))
    return found


def faults(task: Task, cells: Sequence[Cell]) -> list[str]:
    """Why the figures of a sweep are meaningless: no answer can be read, replies are empty, or nothing is graded."""
    drawn = [(cell.problem, sample) for cell in cells for sample in cell.outcome.candidates if sample.error is None]
    if not drawn:
        return []
    found = _empty(drawn)
    is_answered = any(cell.outcome.answer is not None for cell in cells)
    written = [(problem, sample) for problem, sample in drawn if sample.text.strip()]
    if written and not is_answered and all(answer_of(problem, sample) is None for problem, sample in written):
        problem, sample = written[0]
        end = sample.reply.strip()[-SHOWN:]
        found.append(
            f"no draw has an answer that can be read as {problem.kind.value}; the first, on {problem.id!r}, "
            f"ends {end!r}"
        )
    if all(grade.correct is None for cell in cells for grade in (cell.grade, *cell.candidates)):
        why = next((cell.grade.why for cell in cells if cell.grade.why), "")
        found.append(f"no reply could be graded by {task.name}" + (f": {why}" if why else ""))
    return found


def _empty(drawn: Sequence[tuple[Problem, Sample]]) -> list[str]:
    """The fault that all replies to some problem are empty."""
    texts: dict[str, list[str]] = {}
    for problem, sample in drawn:
        texts.setdefault(problem.id, []).append(sample.text)
    empty = [id for id, found in texts.items() if not any(map(str.strip, found))]
    if not empty:
        return []
    more = f", and so are those of {len(empty) - 1:,} more problems" if len(empty) > 1 else ""
    return [f"all {len(texts[empty[0]])} replies to problem {empty[0]!r} are empty{more}"]
