"""Problem sets from tables, graded against their gold answers or their recorded verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from mull.errors import FileFormatError, UnknownNameError
from mull.files.columns import Layout
from mull.files.recording import Recording
from mull.files.records import Read, read
from mull.replies.answers import answers_of
from mull.replies.asking import FORMS
from mull.tasks.golds import check_golds, forms_of, gold_of, grade, included, kind_for, notes_on, problem_of
from mull.types import AnswerKind, Grade, Problem, Sample

MOST_AT_HAND = 256
"""Problems whose recorded verdicts are held at once: more than are run at the same time."""


@dataclass(frozen=True)
class FileTask(Layout):
    """Problems with gold answers from JSONL, a JSON list, CSV, TSV (`.gz` too) or Parquet, in file order.

    How an answer is read and compared is told from each row's gold: a number, a choice, yes or no, mathematics or text;
    `kind` names one for all, `match` (`exact`, `includes`, `regex:PATTERN`) another way. If a gold is a whole solution,
    the answer is the text after `####` in it or in its last box. A gold that cannot be read, and a question with two
    golds, raise `FileFormatError` with the line. `ask` is the form of answer that prompts ask for: `line`, `boxed` or
    `none`; without it that follows from the kind, and nothing is asked where replies are recorded or matched another
    way. `model` selects the rows of one model in a file of recordings. A recorded sample with a verdict is graded by
    that verdict. `id`, `prompt`, `samples`, `gold`, `correct`, `answer` and `score` name columns with unusual names;
    `score_range` is the range of scores (`LOW,HIGH`); `answer_pattern` is a regular expression whose last match in a
    reply is the answer.
    """

    domain = None
    step_truth = False

    path: str
    model: str | None = None
    ask: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ask is not None and self.ask not in FORMS:
            raise UnknownNameError("form to ask for", self.ask, FORMS)
        ids = [recording.id for recording in self._recordings]
        if len(set(ids)) < len(ids):
            models = sorted({str(recording.group) for recording in self._recordings})
            raise FileFormatError(
                self.path, None, f"rows of several models: pick one with model=, of {', '.join(models)}"
            )
        check_golds(Path(self.path), self._recordings, self)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how the file was read."""
        return (*self._read.notes, *notes_on(Path(self.path), self._recordings))

    @property
    def caption(self) -> str:
        """What the prompts ask for beside the questions, in words; empty if nothing."""
        forms = {"line": "an answer line", "boxed": "a box"}
        asked = forms_of(self._problems)
        return "; ".join(f"{n} of {self.size} prompts ask for {forms[name]}" for name, n in asked.items())

    @property
    def name(self) -> str:
        return f"file:{self.path}" + (f",model={self.model}" if self.model else "")

    @property
    def size(self) -> int:
        return len(self._recordings)

    @property
    def date(self) -> str | None:
        """The problems' publication date, if the rows state one and agree."""
        told = {recording.about.get("data_date") for recording in self._recordings}
        return told.pop() if len(told) == 1 else None

    @cached_property
    def _read(self) -> Read:
        return read(Path(self.path), self.model, self, needs_scores=False)

    @property
    def _recordings(self) -> Sequence[Recording]:
        return self._read.recordings

    @cached_property
    def _of_id(self) -> Callable[[str], _Graded]:
        """What grades the replies to a problem; those of the latest problems are at hand."""
        places = {one.id: place for place, one in enumerate(self._recordings)}

        @lru_cache(maxsize=MOST_AT_HAND)
        def found(id: str) -> _Graded:
            recording, verdicts = self._recordings[places[id]], dict[tuple[str, str | None], bool]()
            for sample in recording.samples:
                if sample.correct is not None:
                    verdicts.setdefault((sample.text, sample.answer), sample.correct)
            return _Graded(Path(self.path), recording.only(slice(0)), self._problems[places[id]], verdicts)

        return found

    @cached_property
    def _problems(self) -> list[Problem]:
        return [self._problem(recording) for recording in self._recordings]

    def _problem(self, recording: Recording) -> Problem:
        ask = "none" if self.ask is None and (recording.samples or self.match or self.pattern) else self.ask
        return problem_of(recording, kind_for(recording, self) or AnswerKind.TEXT, self.pattern, ask)

    def problems(self) -> Iterator[Problem]:
        yield from self._problems

    def told_gold(self, problem_id: str) -> str | None:
        """The gold answer of a problem as the file has it, to be shown beside what was read."""
        return self._of_id(problem_id).recording.gold

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        row = self._of_id(problem_id)
        recording, problem = row.recording, row.problem
        if (verdict := row.verdicts.get((sample.text, sample.answer))) is not None:
            return Grade(verdict, "as recorded")
        gold = row.gold
        if gold is None:
            return Grade(None, f"line {recording.line} has no answer to compare with")
        if (is_in := included(recording, self, sample.reply)) is not None:
            return Grade(is_in)
        (answer,) = await answers_of(problem, [sample])
        return await grade(problem.kind, gold, answer)


@dataclass(frozen=True)
class _Graded:
    """A problem, its row without samples, and the recorded verdicts by text and answer."""

    path: Path
    recording: Recording
    problem: Problem
    verdicts: Mapping[tuple[str, str | None], bool]

    @cached_property
    def gold(self) -> str | None:
        """The gold answer in the normal form of its kind. Raises `FileFormatError`."""
        return gold_of(self.path, self.recording, self.problem.kind)
