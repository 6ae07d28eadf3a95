"""Selection by pairwise comparisons: the knockout and the league of Chen et al. 2024 (arXiv 2411.19477)."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mull.equal import Answers
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies.outcomes import check_at_least, turnout
from mull.types import Need, Outcome, Pair, Preference, Problem, Sample, Scaling, Selection, Stopped


class Match(NamedTuple):
    """Two candidates, by their indices among the samples, and which is shown first in each of their comparisons."""

    a: int
    b: int
    is_a_first: tuple[bool, ...]


class MatchResult(NamedTuple):
    """A match result: comparisons won by each side, a tie counted as half for each, and comparisons without verdict."""

    match: Match
    wins_a: float
    wins_b: float
    unjudged: int


def orders(k: int, rng: random.Random) -> tuple[bool, ...]:
    """Which side is shown first in each of k comparisons: each equally often, the odd one at random."""
    extra = (rng.random() < 0.5,) if k % 2 else ()
    return (True, False) * (k // 2) + extra


def pairings(n: int) -> tuple[list[tuple[int, int]], int | None]:
    """The pairs of a round of n candidates, neighbours first, and the bye: the last candidate if n is odd."""
    return [(i, i + 1) for i in range(0, n - 1, 2)], n - 1 if n % 2 else None


async def play(problem: Problem, run: Run, samples: Sequence[Sample], matches: Sequence[Match]) -> list[MatchResult]:
    """Plays all comparisons of these matches in parallel."""
    pairs = [
        Pair(samples[m.a], samples[m.b]) if a_first else Pair(samples[m.b], samples[m.a])
        for m in matches
        for a_first in m.is_a_first
    ]
    verdicts = iter(await run.prefer(problem, pairs) if pairs else ())
    return [result(match, [next(verdicts) for _ in match.is_a_first]) for match in matches]


def result(match: Match, verdicts: Sequence[Preference]) -> MatchResult:
    """The result of a match. Each comparison counts as won, lost or tied, however sure the judge is."""
    wins = {True: 0.0, False: 0.0}
    unjudged = 0
    for a_first, verdict in zip(match.is_a_first, verdicts, strict=True):
        if verdict.first is None:
            unjudged += 1
        elif verdict.first == 0.5:
            wins = {side: won + 0.5 for side, won in wins.items()}
        else:
            wins[a_first == (verdict.first > 0.5)] += 1
    return MatchResult(match, wins[True], wins[False], unjudged)


@dataclass(frozen=True)
class Tournament:
    """Knockout tournament of n draws: each pair is compared k times, half in each order, and the winner advances.

    Ties are broken at random, the odd candidate has a bye, and equal answers are not compared. Draws without an answer
    do not take part. P(fail) <= (1 - p_gen)^n + ceil(log2 n) exp(-2 k (p_comp - 1/2)^2). Needs a judge. If the budget
    ends it early, the most frequent answer of the remaining candidates wins.
    """

    needs = frozenset({Need.JUDGE})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    k: int = 2

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, k=self.k)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        answers = await classes(problem, samples)
        field = entrants(answers, run.rng)
        played: list[MatchResult] = []
        while len(field) > 1:
            pairs, bye = pairings(len(field))
            matches = [Match(field[i], field[j], self.comparisons(answers, field[i], field[j], run)) for i, j in pairs]
            results = await play(problem, run, samples, matches)
            played += results
            # The bye comes first in the next round, so that no candidate has two in a row.
            field = ([] if bye is None else [field[bye]]) + [winner(r, run.rng) for r in results]
            if run.stopped in (Stopped.BUDGET, Stopped.DEADLINE) and any(r.unjudged for r in results):
                break
        place = leader(field, answers, run.rng)
        p_gen, p_comp = rates(place, answers, played)
        n = len(samples) - answers.count(None)
        chances = {
            "failure_bound": knockout_bound(n, self.k, p_gen, p_comp),
            "failure_exact": knockout_failure(n, self.k, p_gen, p_comp),
        }
        return decided(place, answers, samples, played, run, {"p_gen": p_gen, "p_comp": p_comp, **chances})

    def comparisons(self, answers: Answers, a: int, b: int, run: Run) -> tuple[bool, ...]:
        """The match of two candidates; without comparisons if their answers are equal."""
        return () if answers[a] == answers[b] else orders(self.k, run.rng)


@dataclass(frozen=True)
class League:
    """League: each of n draws is compared with `opponents` others, k times each; the best mean win rate wins.

    Half of a pair's comparisons are in each order. The judge need not be right on every pair: a right answer that wins
    most of its matches is enough. All comparisons are made in parallel and no pair meets twice. Equal answers are not
    compared and do not affect each other's mean.
    """

    needs = frozenset({Need.JUDGE})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    opponents: int = 4
    k: int = 2

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, opponents=self.opponents, k=self.k)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        answers = await classes(problem, samples)
        field = entrants(answers, run.rng)
        met = [(field[i], field[j]) for i, j in schedule(len(field), self.opponents, run.rng)]
        matches = [Match(a, b, orders(self.k, run.rng)) for a, b in met if answers[a] != answers[b]]
        played = await play(problem, run, samples, matches)
        table = standings(played)
        top = max(table.values(), default=None)
        place = leader([i for i in field if top is None or table.get(i) == top], answers, run.rng)
        p_gen, p_comp = rates(place, answers, played)
        rivals = [rate for i, rate in table.items() if place is not None and answers[i] != answers[place]]
        delta = None if top is None or not rivals else top - max(rivals)
        bound = league_bound(len(field), self.opponents, p_gen, delta)
        chances = {"p_gen": p_gen, "p_comp": p_comp, "delta": delta, "failure_bound": bound, "failure_exact": None}
        return decided(place, answers, samples, played, run, chances)


def entrants(answers: Answers, rng: random.Random) -> list[int]:
    """Indices of the draws with an answer, shuffled: the order of drawing may depend on the model."""
    field = [i for i, answer in enumerate(answers) if answer is not None]
    rng.shuffle(field)
    return field


def schedule(n: int, opponents: int, rng: random.Random) -> list[tuple[int, int]]:
    """Distinct pairs of n candidates that give each the same number of opponents, at least `opponents`.

    On a ring, each candidate meets those at some random distances on both sides.
    """
    distances = list(range(1, n // 2 + 1))
    rng.shuffle(distances)
    chosen: list[tuple[int, int]] = []
    degree = 0
    for distance in distances:
        if degree >= opponents:
            break
        is_half = 2 * distance == n
        chosen += [(i, (i + distance) % n) for i in range(n // 2 if is_half else n)]
        degree += 1 if is_half else 2
    return chosen


def winner(played: MatchResult, rng: random.Random) -> int:
    """The side that advances: the one with more comparisons won, at random if tied. Of equal answers, either one."""
    match, wins_a, wins_b, _ = played
    if not match.is_a_first:
        return match.a
    return match.a if wins_a > wins_b or (wins_a == wins_b and rng.random() < 0.5) else match.b


def standings(played: Sequence[MatchResult]) -> dict[int, float]:
    """Each candidate's mean win rate over its matches that have a verdict."""
    rates: dict[int, list[float]] = {}
    for match, wins_a, wins_b, _ in played:
        if wins_a + wins_b > 0:
            rates.setdefault(match.a, []).append(wins_a / (wins_a + wins_b))
            rates.setdefault(match.b, []).append(wins_b / (wins_a + wins_b))
    return {place: math.fsum(sorted(values)) / len(values) for place, values in rates.items()}


def leader(field: Sequence[int], answers: Answers, rng: random.Random) -> int | None:
    """The first candidate with the most frequent answer among those left; ties between answers at random."""
    counts = Counter(answers[i] for i in field)
    tied = sorted(str(answer) for answer, n in counts.items() if n == max(counts.values()))
    if not tied:
        return None
    answer = rng.choice(tied) if len(tied) > 1 else tied[0]
    return min(i for i in field if answers[i] == answer)


def rates(place: int | None, answers: Answers, played: Sequence[MatchResult]) -> tuple[float | None, float | None]:
    """Estimates of p_gen and p_comp that assume the winner is right; `None` without data.

    p_gen is the share of the entrants with the winner's answer, p_comp the share of comparisons with other answers that
    those entrants won. Selection of the winner biases both upwards.
    """
    if place is None:
        return None, None
    won = lost = 0.0
    for match, wins_a, wins_b, _ in played:
        sides = (answers[match.a] == answers[place], answers[match.b] == answers[place])
        if sides[0] != sides[1]:
            won += wins_a if sides[0] else wins_b
            lost += wins_b if sides[0] else wins_a
    p_gen = answers.count(answers[place]) / (len(answers) - answers.count(None))
    return p_gen, won / (won + lost) if won + lost else None


def decided(
    place: int | None,
    answers: Answers,
    samples: Sequence[Sample],
    played: Sequence[MatchResult],
    run: Run,
    notes: Mapping[str, float | None],
) -> Outcome:
    """The outcome of a tournament. Its notes say how it was decided, and how many matches the answer `won`."""
    n_asked = sum(len(r.match.is_a_first) for r in played)
    unjudged = sum(r.unjudged for r in played)
    best, answer = (None, None) if place is None else (samples[place], answers[place])
    won = 0
    for (a, b, order), wins_a, wins_b, _ in played:
        if order and answer in (answers[a], answers[b]):
            won += wins_a > wins_b if answers[a] == answer else wins_b > wins_a
    said: dict[str, float | str | None] = {
        **turnout(answers),
        "comparisons": n_asked - unjudged,
        "unjudged": unjudged,
        "won": won,
    }
    return Outcome(best, answer, tuple(samples), confidence=None, stopped=run.stopped, notes={**said, **notes})


def match_chance(k: int, p_comp: float) -> float:
    """Probability that the better candidate wins a match of k independent comparisons, ties broken at random."""
    chances = [math.comb(k, i) * p_comp**i * (1 - p_comp) ** (k - i) for i in range(k + 1)]
    return math.fsum(c * (1.0 if 2 * i > k else 0.5 if 2 * i == k else 0.0) for i, c in enumerate(chances))


def knockout_failure(n: int, k: int, p_gen: float | None, p_comp: float | None) -> float | None:
    """Exact probability that a knockout of n independent candidates ends with a wrong one, byes included.

    If two candidates are right with probabilities x and y, their winner is right with probability
    x y + (x (1 - y) + y (1 - x)) q.
    """
    if p_gen is None or p_comp is None or n < 1:
        return None
    q = match_chance(k, p_comp)
    slots = [p_gen] * n
    while len(slots) > 1:
        pairs, bye = pairings(len(slots))
        ahead = [slots[i] * slots[j] + (slots[i] + slots[j] - 2 * slots[i] * slots[j]) * q for i, j in pairs]
        slots = ([] if bye is None else [slots[bye]]) + ahead
    return 1 - slots[0]


def knockout_bound(n: int, k: int, p_gen: float | None, p_comp: float | None) -> float | None:
    """Chen et al.'s upper bound on a knockout's failure probability, often above 1; `None` unless p_comp > 1/2."""
    if p_gen is None or p_comp is None or p_comp <= 0.5 or n < 1:
        return None
    n_rounds = (n - 1).bit_length()
    return float((1 - p_gen) ** n + n_rounds * math.exp(-2 * k * (p_comp - 0.5) ** 2))


def league_bound(n: int, k: int, p_strong: float | None, delta: float | None) -> float | None:
    """Chen et al.'s upper bound on the failure probability of a league with k opponents each, mostly above 1.

    `p_strong`: probability that a draw is correct and its mean win rate at least `delta` above every wrong one's.
    """
    if p_strong is None or delta is None or delta <= 0:
        return None
    tail = math.exp(-k * delta**2 / 8) + math.exp(-(n - 1) * delta**2 / 8)
    return float((1 - p_strong) ** n + 2 * n * tail)
