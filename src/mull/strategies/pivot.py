"""Selection by a linear number of comparisons that counts how sure the judge is: pivots and Swiss rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from mull.equal import Answers
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies.outcomes import check_at_least, turnout
from mull.strategies.tournament import entrants, orders, schedule
from mull.types import Need, Outcome, Pair, Problem, Sample, Scaling, Selection, Stopped


class Standings:
    """The verdicts on one problem's draws so far."""

    def __init__(self, problem: Problem, run: Run, samples: Sequence[Sample], answers: Answers, k: int) -> None:
        self.problem, self.run, self.samples, self.answers, self.k = problem, run, samples, answers, k
        self.margins: dict[int, list[float]] = {place: [] for place in range(len(samples))}
        self.n_comparisons = self.n_unjudged = 0

    @classmethod
    async def drawn(cls, problem: Problem, run: Run, n: int, k: int) -> Standings:
        """Those of n draws of the problem, which are not compared yet."""
        samples = await run.draw(problem.prompt, n)
        return cls(problem, run, samples, await classes(problem, samples), k)

    async def compare(self, pairs: Sequence[tuple[int, int]]) -> list[float]:
        """How far the judge prefers the first of each pair, in [-1/2, 1/2]: the mean of k comparisons.

        Half of them are in each order. 0 without a verdict, and without a comparison where the answers are equal.
        """
        matches = [(a, b, orders(self.k, self.run.rng)) for a, b in pairs if self.answers[a] != self.answers[b]]
        shown = [(a, b) if is_first else (b, a) for a, b, order in matches for is_first in order]
        asked = [Pair(self.samples[a], self.samples[b]) for a, b in shown]
        heard = iter(await self.run.prefer(self.problem, asked) if asked else ())
        found = dict.fromkeys(pairs, 0.0)
        for a, b, order in matches:
            told = [(is_first, next(heard).first) for is_first in order]
            margins = [(p - 0.5) * (1 if is_first else -1) for is_first, p in told if p is not None]
            self.n_comparisons += len(margins)
            self.n_unjudged += len(told) - len(margins)
            if margins:
                found[a, b] = math.fsum(margins) / len(margins)
                self.margins[a].append(found[a, b])
                self.margins[b].append(-found[a, b])
        return [found[pair] for pair in pairs]

    def mean(self, place: int) -> float:
        """The mean margin of a draw; 0 if it has met no other."""
        return math.fsum(self.margins[place]) / max(1, len(self.margins[place]))

    @property
    def is_over(self) -> bool:
        """Whether a ceiling has ended the comparisons."""
        return self.run.stopped in (Stopped.BUDGET, Stopped.DEADLINE) and self.n_unjudged > 0

    def outcome(self, field: Sequence[int]) -> Outcome:
        """The outcome with the best mean margin of these places as the winner; of equals, the more frequent answer.

        The notes say how many matches the answer `won`.
        """
        ranked = sorted(field, key=lambda i: (-self.mean(i), -self.answers.count(self.answers[i])))
        best, answer = (self.samples[ranked[0]], self.answers[ranked[0]]) if ranked else (None, None)
        won = sum(m > 0 for i, of in self.margins.items() if self.answers[i] == answer for m in of)
        asked = {"comparisons": self.n_comparisons, "unjudged": self.n_unjudged, "won": won}
        notes = {**turnout(self.answers), **asked}
        return Outcome(best, answer, tuple(self.samples), stopped=self.run.stopped, notes=notes)


@dataclass(frozen=True)
class Pivot:
    """Pivot tournament: comparisons halve the field until `pivots` draws are left, which all meet each other.

    The winner of a comparison advances, and strong winners next meet weak ones. Among the pivots the mean margin over
    all rounds decides, so that a judge that says how sure it is decides better than one that only names a winner. With
    2 pivots n draws take n - 1 matches of k comparisons. Equal margins go to the more frequent answer. The paper finds
    its pivots by a ring of n comparisons instead, and compares each with all draws (arXiv 2607.05391).
    """

    needs = frozenset({Need.JUDGE})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    pivots: int = 2
    k: int = 1

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, k=self.k)
        check_at_least(2, pivots=self.pivots)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        table = await Standings.drawn(problem, run, self.n, self.k)
        field = entrants(table.answers, run.rng)
        while len(field) > self.pivots and not table.is_over:
            bye, rest = field[: len(field) % 2], field[len(field) % 2 :]
            half = len(rest) // 2
            met = [*zip(rest[:half], rest[::-1], strict=False)]
            margins = await table.compare(met)
            won = [
                a if m > 0 or (m == 0 and run.rng.random() < 0.5) else b for (a, b), m in zip(met, margins, strict=True)
            ]
            ahead = sorted([*bye, *won], key=table.mean, reverse=True)
            lost = sorted(set(rest) - set(won), key=lambda i: (-table.mean(i), rest.index(i)))
            field = [*ahead, *lost[: max(0, self.pivots - len(ahead))]]
        await table.compare([*combinations(field, 2)] if not table.is_over else [])
        return table.outcome(field)


@dataclass(frozen=True)
class Swiss:
    """Swiss tournament: each of n draws meets `opponents` others, then its neighbours in the standings for `rounds`.

    Comparisons go where the order is in doubt, and no pair meets twice: about n (opponents + rounds) / 2 matches of k
    comparisons. The best mean margin wins, of equals the more frequent answer (V1, arXiv 2603.04304).
    """

    needs = frozenset({Need.JUDGE})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    opponents: int = 2
    rounds: int = 3
    k: int = 1

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, opponents=self.opponents, k=self.k)
        check_at_least(0, rounds=self.rounds)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        table = await Standings.drawn(problem, run, self.n, self.k)
        field = entrants(table.answers, run.rng)
        first = [(field[i], field[j]) for i, j in schedule(len(field), self.opponents, run.rng)]
        met = {frozenset(pair) for pair in first}
        await table.compare(first)
        for _ in range(self.rounds):
            left, pairs = sorted(field, key=table.mean, reverse=True), list[tuple[int, int]]()
            while left and not table.is_over:
                one = left.pop(0)
                fresh = (i for i in left if frozenset((one, i)) not in met and table.answers[one] != table.answers[i])
                if (other := next(fresh, None)) is not None:
                    left.remove(other)
                    pairs.append((one, other))
            met |= {frozenset(pair) for pair in pairs}
            await table.compare(pairs)
        return table.outcome(field)
