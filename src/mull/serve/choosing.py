"""Which reply is given, and how it is told that it was chosen: never as more than what decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mull.cost import CEILINGS
from mull.replies.answers import classes
from mull.replies.kinds import WholeAnswer
from mull.run import Run
from mull.run.needs import needs_of
from mull.serve.faults import draw_error
from mull.serve.plans import ChatPlan
from mull.types import Finish, Need, Outcome, Problem, Sample, Stopped

CUT_SHORT = (Stopped.BUDGET, Stopped.DEADLINE)
NO_AGREEMENT = "no two replies gave the same answer, so that no vote decides"
NO_ANSWER = "no reply has an answer that could be voted on or scored"
UNANIMOUS = "all replies gave the same answer, so that there was nothing to judge"


@dataclass(frozen=True)
class ChatAnswer:
    """One answer. `chosen_by` is `vote`, `weighted vote`, `score`, `judge`, `synthesis`, `strategy`, `single draw` or
    `first draw`.

    `confidence_is` names what `confidence` is. `why` says what kept the strategy from choosing. `is_incomplete`: a
    ceiling ended it, or it chose nothing and this is the best there is. `is_abstained`: its confidence was too low.
    """

    best: Sample
    outcome: Outcome
    chosen_by: str
    why: str | None = None
    is_incomplete: bool = False
    is_abstained: bool = False
    chance: float | None = None
    """The calibrated confidence, where the preset has a curve that tells it."""
    n_before: int | None = 0
    """Tokens of the draws that `best` goes on from; `None`: not known."""

    @property
    def n_tokens(self) -> int | None:
        """Tokens of the whole reply; `None`: not known."""
        own = self.best.cost.output_tokens
        return None if own is None or self.n_before is None else own + self.n_before

    @property
    def confidence(self) -> float | None:
        """The calibrated confidence, or else the strategy's own."""
        return self.outcome.confidence if self.chance is None else self.chance

    @property
    def confidence_is(self) -> str | None:
        """What the confidence is a share or a score of."""
        if self.chance is not None:
            return "calibrated"
        names = {"vote": "vote share", "weighted vote": "share of the scores", "score": "score", "judge": "win rate"}
        return None if self.outcome.confidence is None else names.get(self.chosen_by, "the strategy's own")


def refused(sample: Sample, outcome: Outcome) -> ChatAnswer:
    """What is told where the model or its server refused all replies; `sample` is one of them."""
    nothing = replace(outcome, best=None, answer=None, confidence=None)
    return ChatAnswer(sample, nothing, "first draw", draw_error(sample.error), is_incomplete=True)


@dataclass(frozen=True)
class _Undecided:
    """Nothing was chosen, for the reason `why`. `is_judged`: a judge was to choose, and did not."""

    why: str
    is_judged: bool = False


async def choice(plan: ChatPlan, problem: Problem, run: Run, outcome: Outcome, usable: Sequence[Sample]) -> ChatAnswer:
    """The answer that the strategy chose, or the judge if it chose none; else one of `usable`, told as what it is."""
    found = await _chosen(plan, problem, run, outcome)
    if isinstance(found, ChatAnswer):
        return found
    if plan.judge is not None and not found.is_judged and len(usable) > 1:
        judged = await _judged(replace(problem, kind=WholeAnswer()), run, usable, outcome)
        if judged is not None:
            return judged
    nothing = replace(outcome, answer=None, confidence=None)
    written = [sample for sample in usable if _is_written(problem, sample)]
    by = "synthesis" if written else "first draw"
    given = written[-1] if written else min(usable, key=lambda sample: sample.draw)
    this = "this is the last reply that was written from others" if written else "this is the first draw"
    # A reply that was written from others is what the strategy is for; a first draw is what there is without it.
    is_incomplete = outcome.stopped in CUT_SHORT or outcome.best is None or found.is_judged or not written
    return ChatAnswer(given, nothing, by, f"{found.why}: {this}", is_incomplete)


async def _chosen(plan: ChatPlan, problem: Problem, run: Run, outcome: Outcome) -> ChatAnswer | _Undecided:
    """The strategy's choice, unless it chose nothing, or at random among replies that nothing tells apart."""
    best, is_cut = outcome.best, outcome.stopped in CUT_SHORT
    if best is None or best.finish is Finish.ERROR:
        return _Undecided(NO_ANSWER)
    if "comparisons" in outcome.notes or "unread" in outcome.notes:
        if _is_preferred(outcome):
            return ChatAnswer(best, outcome, "judge", is_incomplete=is_cut)
        return await _unjudged(plan, problem, run, outcome, best)
    if _is_scattered(outcome):
        return _Undecided(NO_AGREEMENT)
    if outcome.tally and _n_votes(outcome) < 2:
        return _alone(plan, problem, run, outcome, best)
    if outcome.tally:
        by = "weighted vote" if _n_scored(outcome) else "vote"
    elif outcome.scores:
        by = "score"
    elif _is_written(problem, best):
        by = "synthesis"
    elif Need.JUDGE in needs_of(plan.strategy):
        by = "judge"
    else:
        by = "strategy" if len(outcome.candidates) > 1 else "first draw"
    return ChatAnswer(best, outcome, by, is_incomplete=is_cut)


def _is_preferred(outcome: Outcome) -> bool:
    """Whether a verdict that could be read preferred the best reply: in a comparison, or among those of a list."""
    won = outcome.notes.get("won")
    return bool(outcome.tally) if won is None else won != 0


async def _unjudged(
    plan: ChatPlan, problem: Problem, run: Run, outcome: Outcome, best: Sample
) -> ChatAnswer | _Undecided:
    """What is chosen where no verdict of a judge prefers the best reply: the answer that all replies share."""
    read = [answer for answer in await classes(problem, outcome.candidates) if answer is not None]
    if len(read) == 1:
        return _alone(plan, problem, run, outcome, best)
    if len(set(read)) == 1:
        return ChatAnswer(best, outcome, "vote", UNANIMOUS, outcome.stopped in CUT_SHORT)
    if outcome.stopped in CUT_SHORT:
        why = "the ceilings left no room for the judge to decide"
    elif outcome.notes.get("comparisons"):
        why = "the judge preferred no reply to the others"
    else:
        why = "no verdict of the judge could be read"
    return _Undecided(why, is_judged=True)


def _alone(plan: ChatPlan, problem: Problem, run: Run, outcome: Outcome, best: Sample) -> ChatAnswer:
    """The answer where one reply alone could take part: how sure it is, nothing tells."""
    n_whole = sum(sample.finish is not Finish.ERROR for sample in outcome.candidates)
    if n_whole > 1:
        why = f"one reply alone has an answer{' and a score' if outcome.scores else ''}"
    elif outcome.stopped is Stopped.DEADLINE:
        why = "the seconds were over after one draw"
    elif outcome.stopped is Stopped.BUDGET:
        left, quote = run.left, plan.entry.model.quote(problem.prompt, run.params)
        tops = {name: (getattr(left, name), of(quote)) for name, of in CEILINGS.items()}
        names = [name for name, (top, need) in tops.items() if top is not None and need is not None and need > top]
        told = f" ({', '.join(names)})" if names else ""
        why = f"the ceilings{told} left room for one draw"
    else:
        why = "the other draws failed" if len(outcome.candidates) > 1 else "the strategy made one draw"
    unknown = replace(outcome, confidence=None)
    return ChatAnswer(best, unknown, "single draw", f"{why}: it is compared to none", outcome.stopped in CUT_SHORT)


def _n_scored(outcome: Outcome) -> int:
    """How many replies have a score."""
    return sum(score.value is not None for score in outcome.scores)


def _n_votes(outcome: Outcome) -> float:
    """How many replies a tally counts: its weights, or those with a score where these are sums of scores."""
    return _n_scored(outcome) or sum(weight for _, weight in outcome.tally)


def _is_scattered(outcome: Outcome) -> bool:
    """Whether a vote of several replies gave each answer one vote."""
    return len(outcome.tally) > 1 and not _n_scored(outcome) and all(weight == 1.0 for _, weight in outcome.tally)


def _is_written(problem: Problem, sample: Sample) -> bool:
    """Whether a reply was written from others: another prompt than the question's has them in it."""
    return sample.prompt.messages != problem.prompt.messages


async def _judged(problem: Problem, run: Run, samples: Sequence[Sample], outcome: Outcome) -> ChatAnswer | None:
    """The judge's choice among draws that were made already; `None` if it decided nothing."""
    from mull.strategies.tournament import Tournament

    run.hand_back(samples)
    judged = await Tournament(len(samples))(problem, run)
    run.withdraw(samples)
    if judged.best is None or not _is_preferred(judged):
        return None
    told = replace(judged, candidates=outcome.candidates, stopped=run.stopped)
    return ChatAnswer(judged.best, told, "judge", NO_AGREEMENT, run.stopped in CUT_SHORT)
