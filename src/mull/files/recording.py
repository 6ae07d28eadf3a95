"""A problem with its draws and the results of strategies: the common form of sweeps, banks, logs and users' files."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple, overload

from mull.types import AnswerKind, Cost, Finish, Kind, Message, ToolCall

LEAST_LOGPROB = -9999.0
"""The value that servers report for a token of unknown probability, besides -inf and NaN."""


def mean_logprob(logprobs: Sequence[float] | None) -> float | None:
    """The mean of token log-probabilities; `None` if there are none or any is unknown."""
    if not logprobs or not all(logprob > LEAST_LOGPROB for logprob in logprobs):
        return None
    return math.fsum(logprobs) / len(logprobs)


class AgentRun(NamedTuple):
    """A finished run of an agent, as its log tells it."""

    name: str
    """What the log calls it: its file, its trial or its epoch."""
    agent: str
    """The agent and its version."""
    turns: tuple[Message, ...] = ()
    """What came after the question: replies with their tool calls, and what the tools returned."""
    ended: str | None = None
    """Why the run ended, in the tool's words."""
    usd: float | None = None
    is_whole: bool = True
    """Whether the run left nothing behind but its text, so that runs with equal texts have equal results."""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of all turns."""
        return tuple(call for turn in self.turns for call in turn.tool_calls)


class RecordedSample(NamedTuple):
    """One recorded draw; every field but the text is `None` if it was not recorded."""

    text: str
    answer: str | None = None
    correct: bool | None = None
    score: float | None = None
    output_tokens: int | None = None
    logprob: float | None = None
    """The mean natural log-probability of a token."""
    finish: Finish | None = None
    """Why the reply ended."""
    reasoning: str | None = None
    """The thinking, if recorded separately from the text."""
    run: AgentRun | None = None
    """The run of an agent of which the text is the result."""


Column = tuple[Any, ...]
"""A field of each draw of a problem."""
_sample = partial(tuple.__new__, RecordedSample)
"""A `RecordedSample` of all its values: much faster than by its own arguments."""


class Samples(Sequence[RecordedSample]):
    """The draws of a problem field by field: far smaller than a tuple of them, and faster to read one field of.

    `columns` has the values of fields by name; a field that it lacks is `None` for every draw. A column may be packed
    (`packed`) and is then unpacked when it is asked for. Equal to a tuple of the same draws.
    """

    __slots__ = ("_columns", "_n", "_packed")

    def __init__(
        self, n: int, columns: Mapping[str, Column | None] | None = None, packed: Mapping[str, bytes] | None = None
    ) -> None:
        self._n, self._packed = n, packed or {}
        self._columns = {name: column for name, column in (columns or {}).items() if column is not None}

    @classmethod
    def of(cls, samples: Sequence[RecordedSample]) -> Samples:
        """Draws one after another, field by field."""
        if isinstance(samples, cls):
            return samples
        return cls(len(samples), dict(zip(RecordedSample._fields, zip(*samples, strict=True), strict=bool(samples))))

    def column(self, name: str) -> Column:
        """One field of every draw."""
        if name not in self._columns and name in self._packed:
            # Written by this process: see `packed`.
            self._columns[name] = pickle.loads(self._packed[name])
        return self._columns.get(name, (None,) * self._n)

    def with_column(self, name: str, values: Column) -> Samples:
        """The same draws with other values of a field."""
        packed = {other: data for other, data in self._packed.items() if other != name}
        return Samples(self._n, {**self._columns, name: values}, packed)

    def packed(self) -> dict[str, bytes]:
        """The fields that any draw has, as bytes by name, for `Samples(len(samples), packed=...)` of this process."""
        found = dict(self._packed)
        for name, values in self._columns.items():
            if name not in found and (values[:1] != (None,) or values.count(None) < self._n):
                found[name] = pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
        return found

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[RecordedSample]:
        has = {*self._columns, *self._packed}
        columns = (self.column(name) if name in has else repeat(None, self._n) for name in RecordedSample._fields)
        return map(_sample, zip(*columns, strict=True))

    @overload
    def __getitem__(self, place: int) -> RecordedSample: ...
    @overload
    def __getitem__(self, place: slice) -> Samples: ...
    def __getitem__(self, place: int | slice) -> RecordedSample | Samples:
        names = {*self._columns, *self._packed}
        if isinstance(place, slice):
            return Samples(len(range(self._n)[place]), {name: self.column(name)[place] for name in names})
        at = range(self._n)[place]
        return RecordedSample(**{"text": "", **{name: self.column(name)[at] for name in names}})

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Samples | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Samples({list(self)!r})"


@dataclass(frozen=True, slots=True)
class Settings:
    """The sampling settings that a file records; `None`: not recorded."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one strategy on one problem.

    `correct` is `None` if that could not be decided; `covered` is whether any of its draws was correct, which only an
    oracle knows.
    """

    answer: str | None
    correct: bool | None
    covered: bool | None
    draws: int
    stopped: str
    cost: Cost
    notes: Mapping[str, Any] = field(default_factory=dict)


class DrawCounts(NamedTuple):
    """The numbers of draws and of correct draws, if nothing else is known about them."""

    n: int
    n_correct: int


@dataclass(frozen=True)
class Recording:
    """A problem with its gold answer, its draws and the result of each strategy by name.

    `answers` has the answer of each sample as a vote counts it; it is empty until the draws are graded, and if answers
    are unknown. `kind` is the kind they were read as. If only `counts` are known there are no samples. `group` is the
    model that made the draws, `strategy` the strategy that requested them; `line` is where the file has the problem;
    `about` holds the file's statements about its origin, under the names of `ABOUT`, and `sweep` those about the sweep
    that wrote it; `messages` is the whole conversation of the request, if the file has more of it than `prompt`, and
    `settings` its sampling settings; `n_right` is the number of correct samples, if the file does not say which they
    are.
    """

    id: str
    prompt: str | None = None
    gold: str | None = None
    samples: Sequence[RecordedSample] = ()
    answers: tuple[str | None, ...] = ()
    kind: AnswerKind | Kind = AnswerKind.TEXT
    results: Mapping[str, Result] = field(default_factory=dict)
    counts: DrawCounts | None = None
    group: str | None = None
    strategy: str | None = None
    line: int | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    settings: Settings = Settings()
    n_right: int | None = None

    @property
    def n(self) -> int:
        """The number of draws."""
        return len(self.samples) if self.counts is None else self.counts.n

    @cached_property
    def n_correct(self) -> int:
        """The number of draws known to be correct."""
        return self.verdicts.count(True) if self.counts is None else self.counts.n_correct

    def column(self, name: str) -> Column:
        """One field of every sample."""
        samples = self.samples
        return samples.column(name) if isinstance(samples, Samples) else tuple(map(attrgetter(name), samples))

    @property
    def verdicts(self) -> tuple[bool | None, ...]:
        """Whether each sample is correct; `None`: nobody has said so."""
        return self.column("correct")

    @cached_property
    def correct(self) -> tuple[bool, ...]:
        """Whether each sample is known to be correct; empty if only counts are known."""
        verdicts = self.verdicts
        return tuple(verdict is True for verdict in verdicts) if None in verdicts else verdicts  # type: ignore[return-value]

    @cached_property
    def scores(self) -> tuple[float | None, ...]:
        return self.column("score")

    @cached_property
    def is_scored(self) -> bool:
        """Whether any sample has a score."""
        return any(score is not None for score in self.scores)

    @cached_property
    def tokens(self) -> tuple[int | None, ...]:
        """The number of tokens of each sample."""
        return self.column("output_tokens")

    def with_column(self, name: str, values: Column) -> Recording:
        """The same draws with other values of a field."""
        return replace(self, samples=Samples.of(self.samples).with_column(name, values))

    def only(self, places: slice) -> Recording:
        """The problem with only some of its draws."""
        return replace(self, samples=self.samples[places], answers=self.answers[places])


SHOWN = 60
"""Characters of a reply shown in a message."""

ABOUT = ("feedback", "data_date", "model_cutoff")
"""The source of feedback between replies, the publication date of the problems, and the model's training cutoff."""


def of_counts(id: str, n: int, n_correct: int) -> Recording:
    """A problem for which only the numbers of draws and of correct draws are known."""
    return Recording(id, counts=DrawCounts(n, n_correct))


def of_columns(
    id: str,
    correct: Sequence[bool],
    answers: Sequence[str | None] = (),
    scores: Sequence[float | None] = (),
    tokens: Sequence[int | None] = (),
) -> Recording:
    """A problem with graded draws given column by column; a column that is left out is unknown."""
    columns = {
        "text": ("",) * len(correct),
        "correct": tuple(map(bool, correct)),
        "score": tuple(scores) or None,
        "output_tokens": tuple(tokens) or None,
    }
    return Recording(id, samples=Samples(len(correct), columns), answers=tuple(answers))
