"""Confidence-weighted votes, and early stopping of traces with low confidence (DeepConf, arXiv 2508.15260)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mull.errors import UsageError
from mull.replies import thinking
from mull.replies.answers import classes
from mull.replies.thinking import Delimiters
from mull.run import Run
from mull.strategies import confidence, pick
from mull.strategies.confidence import Measure, Signal
from mull.strategies.outcomes import check_at_least, elected
from mull.strategies.pick import Ballot
from mull.types import (
    NO_NEEDS,
    Ask,
    Finish,
    Need,
    Outcome,
    Params,
    Problem,
    Prompt,
    Sample,
    Scaling,
    Score,
    Selection,
    Stopped,
)

WINDOW_SHARE = 16
"""Default window as a fraction of the longest reply: 2,048 of 32,768 tokens, as in the paper."""
LEAST_WINDOW = 8


@dataclass(slots=True, eq=False)
class RunningReply:
    """A partial reply: its last draw, the prompt that continues it, and the confidence of its tokens."""

    prompt: Prompt
    sample: Sample | None = None
    confidences: list[float] = field(default_factory=list)
    is_whole: bool = False
    is_stopped: bool = False
    """Whether it was stopped because its confidence fell below the threshold."""
    is_over: bool = False
    """Whether it gets no more draws."""

    def value(self, window: int, measure: Measure) -> float:
        """The confidence of the trace."""
        return confidence.measured(self.confidences, window, measure)


@dataclass(frozen=True)
class ConfidenceVote:
    """Confidence-weighted majority vote over n complete traces (DeepConf offline, arXiv 2508.15260).

    Only the `eta` percent most confident traces vote. A trace's confidence is the `measure` of its tokens over a
    sliding `window` (default: a sixteenth of max_tokens). A token's confidence is minus the mean log-probability of
    the `top` likeliest tokens at its position (`signal=top`), or the log-probability of the token itself
    (`signal=chosen`, not in the paper: it also reflects that an unlikely token was drawn).
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES

    n: int = 16
    eta: float = 90.0
    measure: Measure = "bottom"
    window: int | None = None
    signal: Signal = "top"
    top: int = 20

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, **_given(window=self.window))
        confidence.check(self.signal, self.measure, self.eta, self.top)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        tracing = Tracing(problem, run, _window(self.window, run.params), self.signal, self.top)
        traces = await tracing.whole(self.n)
        threshold = tracing.bar(traces, self.eta, self.measure)
        return (await tracing.vote(traces, threshold, self.measure)).outcome(run.stopped)


@dataclass(frozen=True)
class ConfidenceStop:
    """Confidence-weighted majority of n traces; stops later traces when their confidence is low (DeepConf online).

    `warmup` complete traces set the threshold: the level that the `eta` percent most confident of them reach with their
    least confident group of `window` tokens (10 keeps few traces, 90 most). Every later trace is drawn `chunk` tokens
    at a time (default: half a window) and stopped as soon as a full window is below the threshold. A stopped trace
    still costs its tokens but does not vote; neither does a complete trace below the threshold. After the warm-up and
    after each `wave` of traces the vote ends if the leader has the share `tau` of the weight (`none`: never early).
    `signal`, `top` and the default window are as in `confidence-vote` (Fu et al. 2025, arXiv 2508.15260).
    """

    draws = Scaling.PARALLEL
    selects = Selection.VOTES

    n: int = 32
    warmup: int = 16
    eta: float = 90.0
    tau: float | None = 0.95
    window: int | None = None
    chunk: int | None = None
    wave: int = 4
    signal: Signal = "top"
    top: int = 20
    think: str = "think"

    def __post_init__(self) -> None:
        thinking.delimiters(self.think)
        check_at_least(1, n=self.n, warmup=self.warmup, wave=self.wave, **_given(window=self.window, chunk=self.chunk))
        confidence.check(self.signal, "lowest", self.eta, self.top)
        if self.warmup > self.n:
            raise UsageError(f"warmup={self.warmup} traces are more than n={self.n}: they are part of n")
        if self.tau is not None and not 0 < self.tau <= 1:
            raise UsageError(f"tau is a share of the votes, above 0 and at most 1, or none, not {self.tau:g}")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CONTINUATION}) if self.warmup < self.n else NO_NEEDS

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        window, marks = _window(self.window, run.params), thinking.delimiters(self.think)
        tracing = Tracing(problem, run, window, self.signal, self.top, marks)
        if self.warmup < self.n:
            await run.prepare()
            run.check_continues()
        traces = await tracing.whole(self.warmup)
        threshold = tracing.bar(traces, self.eta, "lowest")
        while True:
            vote = await tracing.vote(traces, threshold, "lowest")
            if self.tau is not None and (vote.ballot.share or 0.0) >= self.tau and len(traces) < self.n:
                return vote.outcome(Stopped.EARLY)
            # A ceiling, or a model without more draws, can leave fewer traces than requested.
            if threshold is None or len(traces) >= self.n or run.stopped is not Stopped.COMPLETE:
                return vote.outcome(run.stopped)
            n = min(self.wave, self.n - len(traces))
            traces += await tracing.grown(n, threshold, self.chunk or max(1, tracing.window // 2))


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def _window(window: int | None, params: Params) -> int:
    """The window, or its default. Raises `UsageError` if it is longer than any reply."""
    if window is None:
        return max(LEAST_WINDOW, params.max_tokens // WINDOW_SHARE)
    if window > params.max_tokens:
        raise UsageError(
            f"a window of {window} tokens is longer than any reply (max_tokens={params.max_tokens}): take a shorter "
            "one, such as window=16 for the built-in models"
        )
    return window


@dataclass(frozen=True, slots=True)
class Vote:
    """The result of a vote of traces."""

    ballot: Ballot
    elected: Outcome

    def outcome(self, stopped: Stopped) -> Outcome:
        return replace(self.elected, stopped=stopped)


class Tracing:
    """Traces of one problem, and their vote."""

    def __init__(
        self, problem: Problem, run: Run, window: int, signal: Signal, top: int, marks: Delimiters | None = None
    ) -> None:
        self.problem, self.run, self.window, self.signal, self.top = problem, run, window, signal, top
        self.marks = marks or thinking.delimiters()
        self.params = replace(run.params, logprobs=top if signal == "top" else 0)

    async def whole(self, n: int) -> list[RunningReply]:
        """Draws up to n complete traces."""
        samples = await self.run.draw(self.problem.prompt, n, self.params)
        return [self._told(RunningReply(self.problem.prompt), sample, is_whole=True) for sample in samples]

    async def grown(self, n: int, threshold: float, chunk: int) -> list[RunningReply]:
        """Draws n traces in parallel, a chunk at a time, each until it ends or falls below the threshold."""
        traces = [RunningReply(self.problem.prompt) for _ in range(n)]
        live = traces
        while live:
            asks = [Ask(t.prompt, 1, self._next(t, chunk)) for t in live]
            for trace, drawn in zip(live, await self.run.draw_each(asks), strict=True):
                n_seen = len(trace.confidences)
                for sample in drawn:
                    self._told(trace, sample)
                trace.is_over = trace.is_whole or len(trace.confidences) == n_seen
                if not trace.is_over and confidence.is_under(trace.confidences, n_seen, self.window, threshold):
                    trace.is_over = trace.is_stopped = True
                    self.run.note("stopped", drawn, threshold=threshold, tokens=len(trace.confidences))
            live = [trace for trace in live if not trace.is_over]
        return traces

    def _next(self, trace: RunningReply, chunk: int) -> Params:
        return replace(self.params, max_tokens=min(chunk, self.params.max_tokens - len(trace.confidences)))

    def _told(self, trace: RunningReply, sample: Sample, *, is_whole: bool = False) -> RunningReply:
        """The trace with one more draw added."""
        trace.sample, trace.prompt = sample, trace.prompt.extend(thinking.written(sample, self.marks))
        if sample.finish is not Finish.ERROR:
            trace.confidences += confidence.of_tokens(sample, self.signal, self.top)
        is_cut = sample.finish is Finish.LENGTH
        trace.is_whole = is_whole or not is_cut or len(trace.confidences) >= self.params.max_tokens
        return trace

    def bar(self, traces: Sequence[RunningReply], eta: float, measure: Measure) -> float | None:
        """The confidence that the `eta` percent most confident of these reach; `None` if no trace has a confidence."""
        values = [trace.value(self.window, measure) for trace in traces if trace.confidences]
        return confidence.bar(values, eta) if values else None

    async def vote(self, traces: Sequence[RunningReply], threshold: float | None, measure: Measure) -> Vote:
        """The vote of the complete traces at or above the threshold; the others are listed as candidates only."""
        whole = [trace for trace in traces if trace.is_whole and trace.sample is not None]
        samples = [trace.sample for trace in whole if trace.sample is not None]
        answers = await classes(self.problem, samples)
        scores = [self._weight(trace, threshold, measure) for trace in whole]
        ballot = pick.weighted(answers, scores, self.run.rng)
        outcome = elected(ballot, answers, samples, scores, self.run.stopped)
        notes = {
            **outcome.notes,
            "threshold": threshold,
            "stopped": sum(trace.is_stopped for trace in traces),
            "filtered": sum(score.value is None for score in scores),
        }
        # Confidence is not a score in [0, 1]: it weights votes but is not returned as a score.
        return Vote(ballot, replace(outcome, scores=(), notes=notes))

    def _weight(self, trace: RunningReply, threshold: float | None, measure: Measure) -> Score:
        if threshold is None or not trace.confidences:
            return Score(None, why="the trace has no confidence")
        value = trace.value(self.window, measure)
        if value < threshold:
            return Score(None, why="the trace's confidence is below the threshold")
        return Score(confidence.weight(value, self.signal))
