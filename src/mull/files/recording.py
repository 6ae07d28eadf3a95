"""A problem with its draws and the results of strategies: the common form of sweeps, banks, logs and users' files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

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
    samples: tuple[RecordedSample, ...] = ()
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
        return sum(self.correct) if self.counts is None else self.counts.n_correct

    @cached_property
    def correct(self) -> tuple[bool, ...]:
        """Whether each sample is known to be correct; empty if only counts are known."""
        return tuple(sample.correct is True for sample in self.samples)

    @cached_property
    def scores(self) -> tuple[float | None, ...]:
        return tuple(sample.score for sample in self.samples)

    @cached_property
    def tokens(self) -> tuple[int | None, ...]:
        """The number of tokens of each sample."""
        return tuple(sample.output_tokens for sample in self.samples)

    def with_scores(self, scores: Sequence[float | None]) -> Recording:
        """The same draws with these scores instead of their own."""
        scored = (sample._replace(score=score) for sample, score in zip(self.samples, scores, strict=True))
        return replace(self, samples=tuple(scored))

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
    unknown = (None,) * len(correct)
    rows = zip(correct, scores or unknown, tokens or unknown, strict=True)
    samples = tuple(RecordedSample("", None, bool(right), score, length) for right, score, length in rows)
    return Recording(id, samples=samples, answers=tuple(answers))
