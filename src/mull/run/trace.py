"""The trace of a run: every draw, score, preference and decision, in order, as one documented JSON file.

`docs/search.md` describes the format. Every change visible to a reader increases its version.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mull.errors import FileFormatError, cannot_read
from mull.files.output import write_text
from mull.replies.answers import answer_of
from mull.types import Cost, Outcome, Pair, Params, Preference, Problem, Prompt, Sample, Score

FORMAT = "mull-trace"
VERSION = 1


@dataclass(slots=True)
class DrawEvent:
    """One draw. `prompt` is the index of its messages in the file's `prompts`, `at` the seconds since the start."""

    id: int
    at: float
    prompt: int
    prefix: str
    text: str
    finish: str
    draw: int
    seed: int | None
    is_banked: bool
    error: str | None
    cost: Cost
    model: str | None = None
    """`None` in old files, written when a run had only one model."""
    event: Literal["draw"] = "draw"


@dataclass(slots=True)
class Scored:
    """A verifier's verdict on the draw `id` (`None`: a text that was not drawn in this run)."""

    id: int | None
    value: float | None
    steps: list[float]
    why: str
    cost: Cost


@dataclass(slots=True)
class ScoreEvent:
    """Verdicts requested together."""

    at: float
    by: str
    scores: list[Scored]
    event: Literal["score"] = "score"


@dataclass(slots=True)
class Preferred:
    """A judge's verdict: the probability that the first of a pair is better."""

    first: int | None
    second: int | None
    value: float | None
    why: str
    cost: Cost


@dataclass(slots=True)
class PreferEvent:
    """Comparisons requested together."""

    at: float
    by: str
    pairs: list[Preferred]
    event: Literal["prefer"] = "prefer"


@dataclass(slots=True)
class NoteEvent:
    """A decision of the strategy on draws, such as `kept` or `pruned`; `details` depend on the strategy."""

    at: float
    what: str
    draws: list[int | None]
    details: dict[str, Any] = field(default_factory=dict)
    event: Literal["note"] = "note"


Event = DrawEvent | ScoreEvent | PreferEvent | NoteEvent


@dataclass(slots=True)
class Candidate:
    """A candidate of the outcome: the id of its last draw, its answer and its score."""

    id: int | None
    answer: str | None
    value: float | None


@dataclass(slots=True)
class TraceFile:
    """A whole trace. `best` is a draw's id; `prompts` are conversations, the problem's own first."""

    problem: str
    kind: str
    model: str
    strategy: str
    verifier: str | None
    judge: str | None
    seed: int
    params: dict[str, Any]
    budget: dict[str, Any]
    prompts: list[list[dict[str, str]]]
    events: list[Event]
    answer: str | None
    best: int | None
    text: str | None
    confidence: float | None
    stopped: str
    tally: list[tuple[str, float]]
    candidates: list[Candidate]
    spent: Cost
    fresh: Cost
    seconds: float
    made_by: dict[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION


class Trace:
    """Records a run on one problem. Samples are compared by object identity, so equal texts stay different draws."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.events: list[Event] = []
        self.prompts = [Prompt(problem.prompt.messages)]
        self._samples: list[Sample] = []  # kept alive, so that no id is reused
        self._ids: dict[int, int] = {}
        self._start = time.monotonic()

    def _now(self) -> float:
        return round(time.monotonic() - self._start, 6)

    def _prompt(self, prompt: Prompt) -> int:
        bare = Prompt(prompt.messages)
        if bare not in self.prompts:
            self.prompts.append(bare)
        return self.prompts.index(bare)

    def id_of(self, sample: Sample | None) -> int | None:
        """The id of a draw in this trace; `None`: it is not in it."""
        return self._ids.get(id(sample))

    def draw(self, sample: Sample, is_banked: bool, model: str | None = None) -> None:
        """Records that a draw of this model was given to the strategy."""
        number = len(self._samples)
        self._samples.append(sample)
        self._ids[id(sample)] = number
        self.events.append(
            DrawEvent(
                number,
                self._now(),
                self._prompt(sample.prompt),
                sample.prompt.prefix,
                sample.text,
                sample.finish.value,
                sample.draw,
                sample.seed,
                is_banked,
                sample.error,
                sample.cost,
                model,
            )
        )

    def score(self, by: str, samples: Sequence[Sample], scores: Sequence[Score]) -> None:
        """Records the scores of a verifier."""
        verdicts = [
            Scored(self.id_of(sample), score.value, list(score.steps), score.why, score.cost + score.drawn)
            for sample, score in zip(samples, scores, strict=True)
        ]
        self.events.append(ScoreEvent(self._now(), by, verdicts))

    def prefer(self, by: str, pairs: Sequence[Pair], preferences: Sequence[Preference]) -> None:
        """Records the preferences of a judge."""
        verdicts = [
            Preferred(self.id_of(pair.first), self.id_of(pair.second), p.first, p.why, p.cost)
            for pair, p in zip(pairs, preferences, strict=True)
        ]
        self.events.append(PreferEvent(self._now(), by, verdicts))

    def note(self, what: str, samples: Sequence[Sample], details: Mapping[str, Any]) -> None:
        """Records a decision of the strategy."""
        plain = {name: self.id_of(v) if isinstance(v, Sample) else v for name, v in details.items()}
        self.events.append(NoteEvent(self._now(), what, [self.id_of(s) for s in samples], plain))

    def file(
        self,
        outcome: Outcome,
        *,
        answers: Sequence[str | None],
        model: str,
        strategy: str,
        verifier: str | None,
        judge: str | None,
        seed: int,
        params: Params,
        budget: Mapping[str, Any],
        spent: Cost,
        fresh: Cost,
        made_by: Mapping[str, str],
    ) -> TraceFile:
        """The trace of a finished run; `answers` has one answer per candidate."""
        scores = outcome.scores or (None,) * len(outcome.candidates)
        candidates = [
            Candidate(self.id_of(sample), answer, None if score is None else score.value)
            for sample, answer, score in zip(outcome.candidates, answers, scores, strict=True)
        ]
        conversations = [[{"role": m.role, "content": m.text} for m in p.messages] for p in self.prompts]
        sampling = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(params).items()}
        best = outcome.best
        return TraceFile(
            self.problem.id,
            self.problem.kind.value,
            model,
            strategy,
            verifier,
            judge,
            seed,
            sampling,
            dict(budget),
            conversations,
            self.events,
            outcome.answer,
            self.id_of(best),
            best.reply if best else None,
            outcome.confidence,
            outcome.stopped.value,
            list(outcome.tally),
            candidates,
            spent,
            fresh,
            self._now(),
            dict(made_by),
        )


def trace_of(trace: Trace, outcome: Outcome, run: Any, strategy: str, made_by: Mapping[str, str]) -> TraceFile:
    """The trace of a finished run of a strategy."""
    return trace.file(
        outcome,
        answers=[answer_of(trace.problem, sample) for sample in outcome.candidates],
        model=run.model.name,
        strategy=strategy,
        verifier=None if run.verifier is None else run.verifier.name,
        judge=None if run.judge is None else run.judge.name,
        seed=run.seed,
        params=run.params,
        budget=asdict(run.budget),
        spent=run.spent,
        fresh=run.fresh,
        made_by=made_by,
    )


def write(path: Path, trace: TraceFile) -> None:
    """Writes a trace atomically."""
    write_text(path, json.dumps(as_fields(trace), ensure_ascii=True, indent=1) + "\n")


def as_fields(trace: TraceFile) -> dict[str, Any]:
    """A trace as its file has it: its format and version come first."""
    fields = asdict(trace)
    return {"format": fields.pop("format"), "version": fields.pop("version"), **fields}


def is_trace(path: Path) -> bool:
    """Whether a file claims to be a trace, of any version."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'"{FORMAT}"'.encode() in file.read(200)


def read(path: Path) -> TraceFile:
    """Reads a trace from a file. Raises `FileFormatError` if it is damaged or of another version."""
    from pydantic import TypeAdapter, ValidationError

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from error
    except json.JSONDecodeError as error:
        raise FileFormatError(path, error.lineno, f"not JSON at column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number or nesting that Python does not take
        raise FileFormatError(path, None, f"not JSON that can be read: {error}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise FileFormatError(path, None, "not a trace: `mull solve ... --trace FILE` writes one")
    if raw.get("version") != VERSION:
        made_by = raw.get("made_by")
        writer = made_by.get("mull") if isinstance(made_by, dict) else None
        raise FileFormatError(
            path,
            None,
            f"a trace of version {raw.get('version')!r}, and this mull reads version {VERSION}: draw it with the mull "
            f"that wrote it{f' ({writer})' if writer else ''}, or make it again with `mull solve ... --trace`",
        )
    try:
        trace: TraceFile = TypeAdapter(TraceFile).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FileFormatError(path, None, f"a damaged trace: {where}: {first['msg']}") from error
    return trace
