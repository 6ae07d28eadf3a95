"""The run: a strategy's only access to models, verifiers, judges and programs; metered, capped and banked."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import traceback
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from mull.bank import Bank
from mull.bank.keys import behaviour_key, preference_key
from mull.errors import MullError, UsageError
from mull.run.calls import MeteredCalls, free
from mull.run.draws import Draws
from mull.run.events import RunEnded, RunEvent, VerdictsArrived, as_they_happen
from mull.run.fits import check_fits, check_is
from mull.run.judging import Asking, is_lasting
from mull.run.needs import NEEDED, check_given, needs_of
from mull.run.spans import spanned
from mull.run.wallet import Wallet
from mull.shown import Inert
from mull.types import (
    OF_MODEL,
    Behaviour,
    Budget,
    Executor,
    Judge,
    Model,
    Need,
    Outcome,
    Pair,
    Params,
    Preference,
    Problem,
    Sample,
    Scaling,
    Score,
    Selection,
    Trial,
    Verdict,
    Verifier,
)

if TYPE_CHECKING:
    from mull.run.trace import Trace

log = logging.getLogger(__name__)

DRAWING_SHARE = 0.9
"""The share of `Budget.seconds` after which drawing stops, to leave time for a verifier, judge or executor."""


def _failed_in(error: Exception) -> str | None:
    """The innermost strategy that an error came from: the last that was called with a problem and a run."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        given = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
        if any(isinstance(one, Problem) for one in given) and any(isinstance(one, Run) for one in given[-1:]):
            found = code.co_qualname.removesuffix(".__call__")
    return found


class Run(Draws):
    """One strategy's run on one problem: its draws and the verdicts of verifiers, judges and executors.

    `watch` is called with each event as it happens.
    """

    def __init__(
        self,
        model: Model,
        *,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        executor: Executor | None = None,
        budget: Budget | None = None,
        bank: Bank | None = None,
        params: Params | None = None,
        seed: int = 0,
        rng: random.Random | None = None,
        watch: Callable[[RunEvent], None] | None = None,
        trace: Trace | None = None,
        within: Wallet | None = None,
    ) -> None:
        check_fits(model=model, verifier=verifier, judge=judge, executor=executor, bank=bank)
        check_is(budget=(budget, Budget), params=(params, Params), rng=(rng, random.Random))
        if not hasattr(type(seed), "__index__"):
            raise UsageError(f"seed must be a whole number, not {seed!r}")
        wallet = Wallet(budget or Budget(), within)
        super().__init__(model, wallet, bank, params or Params(), seed, watch, trace)
        self.verifier, self.judge, self.executor = verifier, judge, executor
        self.rng = rng or random.Random(seed)
        self.calls = MeteredCalls(wallet, bank)
        """The calls available to the run's verifier and judge."""
        self._told: dict[tuple[str | None, int], Score] = {}  # by verifier and draw, which `_given` holds

    def on(
        self,
        model: Model | None = None,
        *,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        executor: Executor | None = None,
    ) -> Run:
        """This run with another model, verifier, judge or executor; `None` keeps the current one.

        Both share everything else: one budget and deadline over all models, the bank, the trace, the random number
        generator and `stopped`. Draws are numbered by question, and so by model.
        """
        check_fits(model=model, verifier=verifier, judge=judge, executor=executor)
        other = copy.copy(self)
        other.model = model or self.model
        other.verifier = verifier or self.verifier
        other.judge = judge or self.judge
        other.executor = executor or self.executor
        return other

    async def solve(self, strategy: Strategy, problem: Problem) -> Outcome:
        """The outcome of a strategy on a problem, in an OpenTelemetry span if the program exports spans.

        Cancelling it cancels draws in progress; those that arrived before are banked and paid for. Raises what the
        strategy raises, and `UsageError` if it returns something else.
        """
        check_fits(strategy=strategy)
        check_is(problem=(problem, Problem))
        name = type(strategy).__qualname__
        with spanned("invoke_workflow", name, **{"gen_ai.workflow.name": name}) as span:
            try:
                outcome: object = await strategy(problem, self)
            except BaseException as error:
                log.info(
                    "%s on %s ended by %s after %.1f s", name, Inert(problem.id), type(error).__name__, self.seconds
                )
                raise
            if not isinstance(outcome, Outcome):
                what = f"{name} returned a {type(outcome).__name__}, not an Outcome"
                raise UsageError(f"{what}; without an answer it is Outcome(None, None)")
            spent, fresh, seconds = self.spent, self.fresh, self.seconds
            stopped, n = outcome.stopped.value, len(outcome.candidates)
            span.set(spent, problem=problem.id, stopped=stopped, draws=n, confidence=outcome.confidence)
        log.info("%s on %s: %s after %d draws and %.1f s", name, Inert(problem.id), stopped, n, seconds)
        if self._watch is not None:
            self._watch(RunEnded(problem, outcome, spent, fresh, seconds))
        return outcome

    async def events(self, strategy: Strategy, problem: Problem) -> AsyncGenerator[RunEvent, None]:
        """Runs a strategy on a problem and yields what happens, as it happens; the last event has the outcome.

        Closing the generator cancels the run, as a `break` out of `async for` does soon after, and
        `contextlib.aclosing` at once. Raises as `solve` does.
        """
        coming: asyncio.Queue[RunEvent | None] = asyncio.Queue()
        run, watch = self.on(), self._watch

        def put(event: RunEvent) -> None:
            coming.put_nowait(event)
            if watch is not None:
                watch(event)

        run._watch = put
        async with aclosing(as_they_happen(run.solve(strategy, problem), coming)) as happening:
            async for event in happening:
                yield event

    async def rehearse(self, strategy: Strategy, problem: Problem) -> None:
        """Runs the strategy with a budget of zero calls, so that it raises its usage errors before anything is spent.

        Raises what the strategy raises, for example for a missing verifier or a ceiling on an unknown price. Probes
        the model's server first if its capabilities are unknown, at this run's expense.
        """
        await self.check(strategy)
        if self.budget.calls != 0:
            nothing = replace(self.budget, calls=0, seconds=None)
            dry = Run(self.model, budget=nothing, params=self.params)
            dry._looks = self._looks
            try:
                await strategy(problem, dry.on(verifier=self.verifier, judge=self.judge, executor=self.executor))
            except MullError:
                raise
            except Exception as error:  # whatever a strategy of the user's raises
                raise UsageError(
                    f"{_failed_in(error) or type(strategy).__name__} fails on a budget of no draws "
                    f"({type(error).__name__}: {error}), which a composition runs it on before anything is spent: "
                    "`run.draw` may return fewer samples than asked, or none; then return an outcome without an answer"
                ) from error

    async def check(self, strategy: Strategy) -> None:
        """Raises `UsageError` for a declared need of the strategy that this run lacks, before anything is spent."""
        needs = needs_of(strategy)
        check_given(strategy, self.verifier, self.judge, self.executor)
        if needs & OF_MODEL:
            await self.prepare()
        if Need.CONTINUATION in needs:
            self.check_continues()
        if Need.BIAS in needs:
            self.check_biases()
        if Need.THINKING_BUDGET in needs:
            self.check_thinking_budget()

    @property
    def _drawing_share(self) -> float:
        return 1.0 if self.verifier is None and self.judge is None and self.executor is None else DRAWING_SHARE

    def note(self, what: str, samples: Sequence[Sample] = (), **details: Any) -> None:
        """Records a decision on samples of this run in the trace, if there is one; `details` are plain JSON values."""
        if self.trace is not None:
            self.trace.note(what, samples, details)

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One score per sample; a score beyond a ceiling has no value, and its `why` says so.

        A draw that the verifier has already scored in this run, such as one handed back, is not paid for again.
        """
        verifier = self.verifier
        if verifier is None:
            raise UsageError(NEEDED[Need.VERIFIER])
        told = [self._told.get((verifier.identity, id(sample))) for sample in samples]
        new = [sample for sample, score in zip(samples, told, strict=True) if score is None]
        coming = iter(await self.calls.score(verifier, problem, new))
        scores = [next(coming) if score is None else free(score) for score in told]
        for sample, score in zip(samples, scores, strict=True):
            if verifier.identity is not None and self._given.has(sample) and is_lasting(score):
                self._told[verifier.identity, id(sample)] = score
        if self.trace is not None:
            self.trace.score(verifier.name, samples, scores)
        self._judged(verifier.name, tuple(samples), scores)
        return scores

    def _judged(
        self,
        by: str,
        items: tuple[Sample, ...] | tuple[Pair, ...] | tuple[Trial, ...],
        verdicts: Sequence[Verdict],
    ) -> None:
        if self._watch is not None:
            spent, fresh, seconds = self.spent, self.fresh, self.seconds
            self._watch(VerdictsArrived(by, items, tuple(verdicts), spent, fresh, seconds))

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> list[Preference]:
        """One preference per pair; a preference beyond a ceiling has no value, and its `why` says so."""
        judge = self.judge
        if judge is None:
            raise UsageError(NEEDED[Need.JUDGE])
        asking = Asking(
            judge.name,
            judge.identity,
            lambda part: judge.quote(problem, part),
            lambda part: judge.prefer(problem, part, self.calls),
            lambda why: Preference(None, why=why),
            lambda identity, pair: self._numbered(preference_key(identity, problem, pair)),
        )
        preferences = await self.calls.judge(pairs, asking)
        if self.trace is not None:
            self.trace.prefer(judge.name, pairs, preferences)
        self._judged(judge.name, tuple(pairs), preferences)
        return preferences

    def _numbered(self, key: str | None) -> str | None:
        """The key of a comparison, numbered so that repeated comparisons of a pair in this run have distinct keys."""
        if key is None:
            return None
        n = self.calls.times_asked(key)
        return f"{key}/{n}" if n else key

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> list[Behaviour]:
        """One behaviour per trial; a trial beyond a ceiling has `is_known=False`, and its `why` says so."""
        executor = self.executor
        if executor is None:
            raise UsageError(NEEDED[Need.EXECUTOR])
        asking = Asking(
            executor.name,
            executor.identity,
            lambda part: executor.quote(problem, part),
            lambda part: executor.execute(problem, part),
            lambda why: Behaviour(is_known=False, why=why),
            lambda identity, trial: behaviour_key(identity, problem, trial),
        )
        behaviours = await self.calls.judge(trials, asking)
        self._judged(executor.name, tuple(trials), behaviours)
        return behaviours


class Strategy(Protocol):
    """A frozen value: its fields are its options and its call is the algorithm.

    `needs`, `draws` and `selects` are class attributes, or properties if they depend on the options. A strategy whose
    first draws ask the problem's own question with the run's parameters may declare `reuses = True`: it then starts
    with the draws handed back to the run. The default is `False`.
    """

    @property
    def needs(self) -> frozenset[Need]:
        """What the strategy requires of a run."""
        ...

    @property
    def draws(self) -> Scaling | None:
        """How the strategy spends draws; `None`: a composition with a part that does not declare it."""
        ...

    @property
    def selects(self) -> Selection | None:
        """How the strategy selects among its draws; `None` as for `draws`."""
        ...

    async def __call__(self, problem: Problem, run: Run) -> Outcome: ...
