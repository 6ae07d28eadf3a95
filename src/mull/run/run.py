"""The only door from a strategy to models, verifiers, judges and programs: metered, capped, remembered."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from mull.bank import Bank
from mull.bank.keys import behaviour_key, preference_key
from mull.errors import UsageError
from mull.run.calls import MeteredCalls, free
from mull.run.draws import Draws
from mull.run.judging import Asking, is_lasting
from mull.run.needs import NEEDED, check_given, needs_of
from mull.run.trace import Trace
from mull.run.wallet import Wallet
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
    Verifier,
)

DRAWING_SHARE = 0.9
"""The share of `Budget.seconds` after which drawing stops where a verifier, a judge or an executor has yet to speak."""


class Run(Draws):
    """One strategy's dealings with the world on one problem: draws, and what verifiers, judges and programs say."""

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
        watch: Callable[[Sample], None] | None = None,
        trace: Trace | None = None,
        within: Wallet | None = None,
    ) -> None:
        wallet = Wallet(budget or Budget(), within)
        super().__init__(model, wallet, bank, params or Params(), seed, watch, trace)
        self.verifier, self.judge, self.executor = verifier, judge, executor
        self.rng = rng or random.Random(seed)
        self.calls = MeteredCalls(wallet, bank)
        """What the run's verifier and judge may call."""
        self._told: dict[tuple[str | None, int], Score] = {}  # by verifier and draw, which `_given` holds

    def on(
        self,
        model: Model | None = None,
        *,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        executor: Executor | None = None,
    ) -> Run:
        """This run with another model, verifier, judge or executor: `None` leaves what there is.

        Everything else is the same thing in both: one budget and one deadline over all models, one bank, one trace,
        one state of the random numbers, one `stopped`; draws are numbered by question, and so by model.
        """
        other = copy.copy(self)
        other.model = model or self.model
        other.verifier = verifier or self.verifier
        other.judge = judge or self.judge
        other.executor = executor or self.executor
        return other

    async def rehearse(self, strategy: Strategy, problem: Problem) -> None:
        """Has a strategy refuse now, before anything is spent, what it would refuse on its way: it runs on no budget.

        A model without a price under a ceiling on it, a verifier that is missing: raises what the strategy raises. A
        server that nobody has looked at is looked at for that, at this run's expense.
        """
        await self.check(strategy)
        if self.budget.calls != 0:
            nothing = replace(self.budget, calls=0, seconds=None)
            dry = Run(self.model, budget=nothing, params=self.params)
            dry._looks = self._looks
            await strategy(problem, dry.on(verifier=self.verifier, judge=self.judge, executor=self.executor))

    async def check(self, strategy: Strategy) -> None:
        """Raises `UsageError` for what the strategy says it needs and this run lacks, before anything is spent."""
        needs = needs_of(strategy)
        check_given(needs, self.verifier, self.judge, self.executor)
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
        """Tells the trace, where there is one, of a decision on samples of this run: plain values for JSON."""
        if self.trace is not None:
            self.trace.note(what, samples, details)

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One score for each sample; those that no ceiling allows have no value and say so.

        A draw that the verifier has scored in this run, as one that was handed back, costs nothing again.
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
        return scores

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> list[Preference]:
        """One preference for each pair; those that no ceiling allows have no value and say so."""
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
        return preferences

    def _numbered(self, key: str | None) -> str | None:
        """The key of a comparison, told apart from those of the same pair that this run has asked for before."""
        if key is None:
            return None
        n = self.calls.times_asked(key)
        return f"{key}/{n}" if n else key

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> list[Behaviour]:
        """What each program did; trials that no ceiling allows are not known and say so."""
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
        return await self.calls.judge(trials, asking)


class Strategy(Protocol):
    """A frozen value: its fields are its options and its call is the algorithm.

    `needs`, `draws` and `selects` are class attributes, or properties where they depend on the options. A strategy
    whose first draws are the question's own, asked as the run asks it, may say `reuses = True`: draws that were handed
    back to the run are then the first of its own. One that does not say so is taken not to.
    """

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        ...

    @property
    def draws(self) -> Scaling | None:
        """How it spends draws; `None`: a composition that holds one which does not say."""
        ...

    @property
    def selects(self) -> Selection | None:
        """How it selects among them; `None` as for `draws`."""
        ...

    async def __call__(self, problem: Problem, run: Run) -> Outcome: ...
