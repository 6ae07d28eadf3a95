"""The laws that every verifier and every judge must keep, as coroutines that raise `AssertionError`.

A judge is asked about pairs where a verifier is asked about samples; all else is the same for both. The items that a
law is given differ from each other, and none of them is a draw that failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mull.bank import Bank, MemoryBank
from mull.cost import CEILINGS, total
from mull.errors import UsageError
from mull.run import Run
from mull.run.judging import is_lasting
from mull.testing.fakes import FakeModel
from mull.testing.hostile import hostile
from mull.testing.models import assert_covered, assert_kept, ceiling
from mull.types import (
    Budget,
    Calls,
    Cost,
    Finish,
    Judge,
    Pair,
    Preference,
    Problem,
    Sample,
    Score,
    Verifier,
)

Judging = Verifier | Judge
Items = Sequence[Sample] | Sequence[Pair]
Said = Score | Preference


def is_judge(judging: Judging) -> bool:
    """Whether it is asked about pairs."""
    return hasattr(judging.judging if isinstance(judging, Watched) else judging, "prefer")


class Verdicts(NamedTuple):
    """What came of asking, and the run that it was asked in."""

    said: list[Said]
    run: Run


async def ask(
    judging: Judging, problem: Problem, items: Items, budget: Budget | None = None, bank: Bank | None = None
) -> Verdicts:
    """The verdicts of a verifier on samples or of a judge on pairs, as a run gets them: held, metered and banked."""
    one: Any = judging
    if is_judge(judging):
        run = Run(FakeModel(), judge=one, budget=budget, bank=bank)
        pairs: Any = items
        return Verdicts(list(await run.prefer(problem, pairs)), run)
    run = Run(FakeModel(), budget=budget, bank=bank)
    samples: Any = items
    return Verdicts(list(await run.calls.score(one, problem, samples)), run)


def value(said: Said) -> float | None:
    """A score, or the probability that the first of a pair is better."""
    return said.value if isinstance(said, Score) else said.first


def told(said: Said) -> tuple[Any, ...]:
    """All of a verdict but what it cost."""
    return value(said), said.why, said.steps if isinstance(said, Score) else ()


@dataclass
class Watched:
    """A verifier or a judge, and what it was asked about: all else is as with the one that it stands for."""

    judging: Any
    n_asked: int = 0

    @property
    def name(self) -> str:
        return str(self.judging.name)

    @property
    def identity(self) -> str | None:
        identity: str | None = self.judging.identity
        return identity

    def quote(self, problem: Problem, items: Any) -> Cost:
        quote: Cost = self.judging.quote(problem, items)
        return quote

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        self.n_asked += len(samples)
        scores: Sequence[Score] = await self.judging.score(problem, samples, calls)
        return scores

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        self.n_asked += len(pairs)
        preferences: Sequence[Preference] = await self.judging.prefer(problem, pairs, calls)
        return preferences


def assert_sane(said: Said) -> None:
    """A verdict is in [0, 1], or unknown with a reason; none tells a terminal what to do."""
    found = value(said)
    assert found is not None or said.why.strip(), "there is no verdict and no reason"
    assert found is None or 0 <= found <= 1, f"a verdict of {found}"
    for step in said.steps if isinstance(said, Score) else ():
        assert 0 <= step <= 1, f"a step's score of {step}"
    wild = [c for c in said.why if not c.isprintable() and c not in "\n\t"]
    assert not wild, f"the reason holds {wild[:3]!r}: {said.why!r}"


async def check_hostile(judging: Judging, problem: Problem) -> None:
    """Whatever a reply says, a verdict is in [0, 1] or unknown with the reason; of a draw that failed it is unknown."""
    samples: Items = hostile(problem.prompt)
    if is_judge(judging):
        plain = Sample(problem.prompt, "answer: 1", Finish.STOP)
        samples = [pair for one in hostile(problem.prompt) for pair in (Pair(one, plain), Pair(plain, one))]
    said = (await ask(judging, problem, samples)).said
    assert len(said) == len(samples)
    for one in said:
        assert_sane(one)
    failed = said[-2:] if is_judge(judging) else said[-1:]
    assert all(value(one) is None for one in failed), "a draw that failed has a verdict, not None with a reason"


async def check_order(judging: Judging, problem: Problem, items: Items) -> None:
    """Verdicts are in the order of what they are on, and the same in whatever order it comes."""
    there = (await ask(judging, problem, items)).said
    back = (await ask(judging, problem, items[::-1])).said
    assert len(there) == len(items), f"{len(there)} verdicts on {len(items)}"
    assert list(map(told, there)) == list(map(told, back[::-1])), "the order changes what it says"
    assert any(value(one) is not None for one in there), f"it has no verdict at all: {there[0].why}"


async def check_alone(judging: Judging, problem: Problem, items: Items) -> None:
    """What is banked depends on nothing but the problem and the reply: it is the same alone as among others."""
    if judging.identity is None:
        return
    together = (await ask(judging, problem, items)).said
    for i, one in enumerate(together):
        (alone,) = (await ask(judging, problem, items[i : i + 1])).said
        assert told(alone) == told(one), f"number {i + 1} has another verdict alone: {told(alone)}, not {told(one)}"


async def check_twins(verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> None:
    """Equal replies have equal scores, and the second costs nothing."""
    once = await ask(verifier, problem, samples)
    twice = await ask(verifier, problem, [*samples, *samples])
    assert list(map(told, twice.said)) == 2 * list(map(told, once.said)), "equal replies have other scores"
    for name, of in CEILINGS.items():
        assert of(twice.run.spent) == of(once.run.spent), f"equal replies cost twice in {name}"


async def check_bound(judging: Judging, problem: Problem, items: Items) -> None:
    """A quote is an upper bound of what verdicts cost themselves, and what all of it costs is what the run spent."""
    one: Any = judging
    for some in (items[:1], items):
        said, run = await ask(judging, problem, some)
        assert_covered(total(verdict.cost for verdict in said), one.quote(problem, some))
        sums = total(verdict.cost + verdict.drawn for verdict in said)
        for name, of in CEILINGS.items():
            whole, parts = of(run.spent), of(sums)
            same = whole is None or parts is None or math.isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-15)
            assert same, f"{name}: the run spent {whole}, and the verdicts say {parts}"


async def check_judging_ceilings(judging: Judging, problem: Problem, items: Items) -> None:
    """No ceiling is exceeded, whatever fails, nothing stays held, and what no ceiling allows is unknown, never 0."""
    one: Any = judging
    spent, quote = (await ask(judging, problem, items)).run.spent, one.quote(problem, items)
    budgets = [Budget(0, 0, 0.0, 0.0)]
    for name, of in CEILINGS.items():
        most = max((x for x in (of(spent), of(quote)) if x is not None), default=0)
        for share in (0, 0.3, 0.6, 1, 2) if most else ():
            budgets.append(ceiling(name, share * most))
    for budget in dict.fromkeys(budgets):
        await check_judging_ceiling(judging, problem, items, budget)


async def check_judging_ceiling(judging: Judging, problem: Problem, items: Items, budget: Budget) -> Run | None:
    """One ceiling of `check_judging_ceilings`; `None` where it is refused, as nobody could keep it."""
    refusal = ""
    try:
        said, run = await ask(judging, problem, items, budget)
    except UsageError as error:
        refusal = str(error)
    if refusal:
        assert "cannot be kept" in refusal, f"it raises {refusal!r} under {budget}"
        return None
    assert_kept(run)
    assert len(said) == len(items)
    for verdict in said:
        assert_sane(verdict)
    return run


async def check_judging_replay(judging: Judging, problem: Problem, items: Items, bank: Bank | None = None) -> None:
    """What is in a bank is not asked about again, costs nothing and says the same; what has no identity is not kept."""
    bank = bank or MemoryBank()
    watched = Watched(judging)
    first, before = await ask(watched, problem, items, bank=bank)
    kept = [i for i, verdict in enumerate(first) if is_lasting(verdict)]
    assert kept, f"it has no verdict that lasts: {first[0].why}"
    some: Any = [items[i] for i in kept]
    watched = Watched(judging)
    again, after = await ask(watched, problem, some, bank=bank)
    assert list(map(told, again)) == [told(first[i]) for i in kept], "a replay says something else"
    for name, of in CEILINGS.items():
        assert judging.identity is None or not of(after.fresh), f"a replay costs {of(after.fresh)} in {name}"
        assert len(kept) < len(items) or of(after.spent) == of(before.spent), f"a replay counts other {name}"
    if judging.identity is not None and all(verdict.drawn == Cost() for verdict in first):
        assert watched.n_asked == 0, f"{watched.n_asked} verdicts were in the bank, and were asked for again"


async def check_judging_resume(judging: Judging, problem: Problem, items: Items, bank: Bank | None = None) -> None:
    """Asked about all after half of it was banked: the same verdicts, and the first half is neither asked nor paid."""
    bank = bank or MemoryBank()
    half = len(items) // 2
    whole = await ask(judging, problem, items)
    first, begun = await ask(judging, problem, items[:half], bank=bank)
    watched = Watched(judging)
    second, rest = await ask(watched, problem, items, bank=bank)
    assert list(map(told, second)) == list(map(told, whole.said)), "a resumed run says something else"
    if judging.identity is None:
        return
    if all(verdict.drawn == Cost() and is_lasting(verdict) for verdict in first):
        assert watched.n_asked == len(items) - half, f"{watched.n_asked} were asked about, of {len(items) - half} new"
    if all(map(is_lasting, first)):
        calls = rest.fresh.calls, begun.spent.calls, whole.run.spent.calls
        assert None in calls or calls[0] == calls[2] - calls[1], f"calls made, before and at once: {calls}"  # type: ignore[operator]


async def check_unknown(judging: Judging, problem: Problem, items: Items) -> None:
    """Where all that it asks fails, every verdict is unknown with the reason, never 0, and nothing is raised."""
    said, run = await ask(judging, problem, items)
    assert len(said) == len(items)
    for verdict in said:
        assert value(verdict) is None, f"it says {value(verdict)} and could not know"
        assert_sane(verdict)
    assert run.held == Cost()
