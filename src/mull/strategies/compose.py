"""Composite strategies: a cascade, an ensemble, one strategy repeated, one on another model.

They run their parts one after the other, so that draws do not depend on timing. If a ceiling ends a part, they answer
with the draws so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mull.errors import UnknownNameError, UsageError
from mull.replies.answers import classes
from mull.run import Run, Strategy
from mull.run.needs import deepest, draws_of, needs_of, reuses, selects_of
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, turnout
from mull.types import (
    NO_NEEDS,
    OF_MODEL,
    Judge,
    Model,
    Need,
    Outcome,
    Problem,
    Sample,
    Scaling,
    Score,
    Selection,
    Stopped,
    Verifier,
)

Choice = Literal["majority", "weighted", "best"]

UNSCORED = "it was not scored"


def pooled(outcomes: Sequence[Outcome], scored: Mapping[int, Score] | None = None) -> Outcome:
    """The distinct draws of several outcomes with their known scores: from the outcomes, or from `scored` by identity.

    Selects nothing yet.
    """
    found: dict[int, Sample] = {}
    scores: dict[int, Score] = {}
    for outcome in outcomes:
        found.update((id(sample), sample) for sample in outcome.candidates)
        scores.update((id(s), score) for s, score in zip(outcome.candidates, outcome.scores, strict=False))
    scores.update(scored or {})
    told = tuple(scores.get(name, Score(None, why=UNSCORED)) for name in found) if scores else ()
    return Outcome(None, None, tuple(found.values()), told)


def ended(outcomes: Sequence[Outcome], run: Run) -> Stopped:
    """Why it ended: because draws ran out, else because one of the parts had enough."""
    early = any(outcome.stopped is Stopped.EARLY for outcome in outcomes)
    return Stopped.EARLY if early and run.stopped is Stopped.COMPLETE else run.stopped


def warned(outcomes: Sequence[Outcome]) -> dict[str, float | str | None]:
    """The distinct warnings of the parts, as a note."""
    words = dict.fromkeys(str(outcome.notes["warning"]) for outcome in outcomes if outcome.notes.get("warning"))
    return {"warning": "; ".join(words)} if words else {}


@dataclass(frozen=True)
class On:
    """Runs a strategy on another model, or with another verifier or judge, under the same budget."""

    of: Strategy
    model: Model | None = None
    verifier: Verifier | None = None
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if self.model is None and self.verifier is None and self.judge is None:
            raise UsageError("on needs a model, a verifier or a judge to run it on, as in on:of=single,model=mini")

    @property
    def needs(self) -> frozenset[Need]:
        """The strategy's needs that this one does not supply; those it supplies are checked when the strategy runs."""
        given = (
            OF_MODEL if self.model is not None else NO_NEEDS,
            {Need.VERIFIER, Need.STEPS} if self.verifier is not None else NO_NEEDS,
            {Need.JUDGE} if self.judge is not None else NO_NEEDS,
        )
        return needs_of(self.of).difference(*given)

    @property
    def draws(self) -> Scaling | None:
        return draws_of(self.of)

    @property
    def selects(self) -> Selection | None:
        return selects_of(self.of)

    @property
    def reuses(self) -> bool:
        return self.model is None and reuses(self.of)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.rehearse(self, problem)
        return await self.of(problem, run.on(self.model, verifier=self.verifier, judge=self.judge))


@dataclass(frozen=True)
class Cascade:
    """Cascade: runs a cheap strategy first, and a second one, perhaps on another model, if confidence is low.

    FrugalGPT (Chen et al. 2023, arXiv 2305.05176); by self-consistency, Yue et al. 2023 (arXiv 2310.03094). It runs
    `then` unless the confidence of the first outcome is at least `bar`; it also does, and says so, if that confidence
    is unknown. The second strategy reuses the first one's draws if it asks the same model the same question. For more
    stages, `then` is a cascade itself.
    """

    first: Strategy
    then: Strategy
    model: Model | None = None
    bar: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.bar <= 1:
            raise UsageError(f"bar is a confidence, above 0 and at most 1, not {self.bar}")

    @property
    def needs(self) -> frozenset[Need]:
        return needs_of(self.first) | (needs_of(self.then) - (OF_MODEL if self.model is not None else NO_NEEDS))

    @property
    def draws(self) -> Scaling | None:
        return deepest([self.first, self.then])

    @property
    def selects(self) -> Selection | None:
        """As the last strategy selects."""
        return selects_of(self.then)

    @property
    def reuses(self) -> bool:
        return reuses(self.first)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.rehearse(self, problem)
        first = await self.first(problem, run)
        sure = first.confidence
        if sure is not None and sure >= self.bar:
            return replace(first, notes={**first.notes, "stages": 1})
        why = "the confidence is unknown" if sure is None else f"confidence {sure:.2f} is below {self.bar:g}"
        run.note("escalated", first.candidates, confidence=sure, bar=self.bar)
        run.hand_back(first.candidates)
        then = await self.then(problem, run.on(self.model))
        run.withdraw(first.candidates)
        pool = pooled([first, then])
        told = then if then.best is not None else replace(first, stopped=then.stopped)
        deeper = then.notes.get("stages", 1)
        notes = {
            **told.notes,
            **warned([first, then]),
            "stages": 1 + (deeper if isinstance(deeper, int | float) else 1),
            "escalated": "; ".join([why, *filter(None, [str(then.notes.get("escalated") or "")])]),
        }
        return replace(told, candidates=pool.candidates, scores=pool.scores, notes=notes)


@dataclass(frozen=True)
class Ensemble:
    """Weighted vote of several strategies, perhaps on several models.

    `weights` has one weight per member, default 1 each; `mull.lab.weights` learns them from a labelled set as the log
    odds of each member's accuracy (Nitzan and Paroush 1982). A member without an answer does not vote.
    """

    selects = Selection.VOTES

    members: tuple[Strategy, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_at_least(1, members=len(self.members))
        if self.weights and len(self.weights) != len(self.members):
            raise UsageError(f"an ensemble of {len(self.members)} needs as many weights, not {len(self.weights)}")
        if self.weights and not (min(self.weights) >= 0 and max(self.weights) > 0):
            raise UsageError(f"weights must be 0 or more, and one of them above 0, not {self.weights}")

    @property
    def needs(self) -> frozenset[Need]:
        return NO_NEEDS.union(*(needs_of(member) for member in self.members))

    @property
    def draws(self) -> Scaling | None:
        return deepest(self.members)

    @property
    def reuses(self) -> bool:
        return reuses(self.members[0])

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.rehearse(self, problem)
        outcomes = [await member(problem, run) for member in self.members]
        votes = [
            (outcome.best, weight)
            for outcome, weight in zip(outcomes, self.weights or (1.0,) * len(outcomes), strict=True)
            if outcome.best is not None
        ]
        bests, weights = [best for best, _ in votes], [weight for _, weight in votes]
        answers = await classes(problem, bests)
        ballot = pick.heaviest(answers, weights, run.rng)
        place = pick.representative(ballot.answer, answers, [Score(weight) for weight in weights])
        return replace(
            pooled(outcomes),
            best=None if place is None else bests[place],
            answer=ballot.answer,
            tally=ballot.tally,
            confidence=ballot.share,
            stopped=ended(outcomes, run),
            notes={**turnout(answers), "silent": len(outcomes) - len(votes), **warned(outcomes)},
        )


@dataclass(frozen=True)
class Repeat:
    """Runs one strategy n times, such as several long thoughts, and selects among the answers.

    `majority` counts votes, `weighted` weights them by the verifier's scores, `best` takes the best scored. Each
    attempt makes new draws.
    """

    of: Strategy
    n: int = 4
    pick: Choice = "majority"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        if self.pick not in get_args(Choice):
            raise UnknownNameError("pick", self.pick, get_args(Choice))

    @property
    def needs(self) -> frozenset[Need]:
        return needs_of(self.of) | (NO_NEEDS if self.pick == "majority" else {Need.VERIFIER})

    @property
    def draws(self) -> Scaling | None:
        return draws_of(self.of)

    @property
    def selects(self) -> Selection:
        return Selection.VOTES if self.pick == "majority" else Selection.SCORES

    @property
    def reuses(self) -> bool:
        return reuses(self.of)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.rehearse(self, problem)
        outcomes = [await self.of(problem, run) for _ in range(self.n)]
        bests = [outcome.best for outcome in outcomes if outcome.best is not None]
        scores = [] if self.pick == "majority" else await run.score(problem, bests)
        answers = await classes(problem, bests)
        found = replace(
            pooled(outcomes, {id(best): score for best, score in zip(bests, scores, strict=False)}),
            stopped=ended(outcomes, run),
            notes={**turnout(answers), **warned(outcomes)},
        )
        if self.pick == "best":
            place = pick.best(scores, run.rng)
            if place is None:
                return found
            return replace(found, best=bests[place], answer=answers[place], confidence=scores[place].value)
        elect = pick.majority(answers, run.rng) if self.pick == "majority" else pick.weighted(answers, scores, run.rng)
        place = pick.representative(elect.answer, answers, scores)
        best = None if place is None else bests[place]
        return replace(found, best=best, answer=elect.answer, tally=elect.tally, confidence=elect.share)
