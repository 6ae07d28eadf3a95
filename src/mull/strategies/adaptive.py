"""Majority vote that stops when more draws would not help, and the rules that say when."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mull.answers import classes
from mull.equal import Answers
from mull.errors import UnknownNameError, UsageError
from mull.run import Run
from mull.strategies import pick
from mull.strategies.parallel import check_at_least, elected
from mull.types import Outcome, Problem, Sample, Stopped

Rule = Literal["curtail", "beta", "window", "eprocess"]
Evidence = Literal["mixture", "kt"]


def top_two(answers: Sequence[str | None]) -> tuple[int, int]:
    """The counts of the most frequent answer and of the next."""
    counts = [n for _, n in Counter(a for a in answers if a is not None).most_common(2)]
    return counts[0] if counts else 0, counts[1] if len(counts) > 1 else 0


def curtail(answers: Sequence[str | None], n: int) -> bool:
    """Whether the leader cannot be overtaken by the draws that are left: the full vote, always."""
    first, second = top_two(answers)
    return first - second > n - len(answers)


def beta_lead(first: int, second: int) -> float:
    """P(theta > 1/2) under Beta(first + 1, second + 1): how sure the leader's lead is.

    With integer counts the regularised incomplete beta function is a binomial tail: this is the probability
    that a fair coin, thrown first + second + 1 times, shows at most `first` heads.
    """
    m = first + second + 1
    return float(sum(math.comb(m, j) for j in range(first + 1)) / 2**m)


def beta(answers: Sequence[str | None], level: float) -> bool:
    """Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860). Not a guarantee on the error."""
    first, second = top_two(answers)
    return first > 0 and beta_lead(first, second) >= level


def window(answers: Sequence[str | None], width: int) -> bool:
    """Early-stopping self-consistency (arXiv 2401.10480): a whole disjoint window of draws agrees."""
    for start in range(0, len(answers) - width + 1, width):
        answer = answers[start]
        if answer is not None and all(a == answer for a in answers[start : start + width]):
            return True
    return False


def lead_evidence(first: int, second: int) -> float:
    """The e-value against "the first of this pair is drawn at most half the time" after so many draws of each.

    A uniform mixture over leads q in [1/2, 1]: 2^m * 2 * int_{1/2}^1 q^first (1-q)^second dq. Under the null
    it exceeds 1/delta at any time with a probability of at most delta (Ville's inequality).
    """
    m = first + second
    log_beta = math.lgamma(first + 1) + math.lgamma(second + 1) - math.lgamma(m + 2)
    return math.exp((m + 1) * math.log(2) + log_beta) * beta_lead(first, second)


def kt_evidence(wins: Iterable[bool]) -> float:
    """The e-value against the same null from the draws in order, by a predictable plug-in (Krichevsky-Trofimov).

    Each factor bets on the lead that the draws before it show, clipped at 1/2: without the clip it would only
    test a lead of exactly 1/2.
    """
    evidence, n_won, n = 1.0, 0, 0
    for won in wins:
        lead = max(0.5, (n_won + 0.5) / (n + 1))
        evidence *= 2 * lead if won else 2 * (1 - lead)
        n_won, n = n_won + won, n + 1
    return evidence


def eprocess(answers: Sequence[str | None], delta: float, classes: int, evidence: Evidence = "mixture") -> bool:
    """Whether some answer leads every other with e-values of at least `classes` / `delta`.

    The probability of ever stopping on an answer that is not the most likely one is at most `delta`, if there
    are no more than `classes` different answers. All ordered pairs are run, hence the threshold.
    """
    counts = Counter(a for a in answers if a is not None)
    if not counts:
        return False
    bar = max(classes, len(counts)) / delta
    (leader, first), *rivals = counts.most_common()
    if evidence == "mixture":
        # The evidence falls with the rival's count, so the strongest rival decides.
        return lead_evidence(first, rivals[0][1] if rivals else 0) >= bar
    others: list[str | None] = [rival for rival, _ in rivals] or [None]
    return all(
        kt_evidence(a == leader for a in answers if a in (leader, rival) and a is not None) >= bar for rival in others
    )


@dataclass(frozen=True)
class Adaptive:
    """Majority of n draws at most, in waves, that stops by a rule.

    `beta`: the leader leads with probability `level`. `window`: `width` draws in a row agree. `eprocess`: a wrong
    stop has a probability of at most `delta`, whenever it comes, if there are at most `classes` answers.
    `curtail`: the leader cannot be overtaken; every other rule stops then too, for the rest cannot change the vote.

    A wave is as large as it must be for the rule to stop at all, were all its draws for the leader, so none is
    drawn in vain; `wave` makes it at least that large where round trips cost more than draws.
    """

    n: int = 64
    rule: Rule = "beta"
    wave: int = 1
    level: float = 0.95
    width: int = 5
    delta: float = 0.05
    classes: int = 10
    evidence: Evidence = "mixture"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, wave=self.wave, width=self.width, classes=self.classes)
        if self.rule not in get_args(Rule):
            raise UnknownNameError("rule", self.rule, get_args(Rule))
        if self.evidence not in get_args(Evidence):
            raise UnknownNameError("evidence", self.evidence, get_args(Evidence))
        if not 0.5 < self.level < 1:
            raise UsageError(f"level must be between 0.5 and 1, not {self.level}")
        if not 0 < self.delta < 1:
            raise UsageError(f"delta must be between 0 and 1, not {self.delta}")

    def is_enough(self, answers: Sequence[str | None]) -> bool:
        """Whether the rule stops after these answers."""
        if curtail(answers, self.n):
            return True
        if self.rule == "beta":
            return beta(answers, self.level)
        if self.rule == "window":
            return window(answers, self.width)
        if self.rule == "eprocess":
            return eprocess(answers, self.delta, self.classes, self.evidence)
        return False

    def next_wave(self, answers: Sequence[str | None]) -> int:
        """The fewest draws after which the rule can stop, but at least `wave` and at most what is left of n."""
        left = self.n - len(answers)
        leader = next((a for a, _ in Counter(a for a in answers if a is not None).most_common(1)), "")
        fewest = 1 + bisect_left(range(1, left), True, key=lambda k: self.is_enough([*answers, *[leader] * k]))
        return min(max(fewest, self.wave), left)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples: list[Sample] = []
        answers = Answers()
        stopped = Stopped.COMPLETE
        while len(samples) < self.n:
            wave = await run.draw(problem.prompt, self.next_wave(answers))
            if not wave:
                break
            samples += wave
            answers = await classes(problem, samples)
            if len(samples) < self.n and self.is_enough(answers):
                stopped = Stopped.EARLY
                break
        stopped = stopped if stopped is Stopped.EARLY else run.stopped
        return elected(pick.majority(answers, run.rng), answers, samples, (), stopped)
