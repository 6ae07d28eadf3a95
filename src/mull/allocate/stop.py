"""Stopping rules for votes, as pure functions of the answers so far, in draw order.

None of them uses gold answers. `None` is a draw without an answer: it costs, but does not vote.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

Evidence = Literal["mixture", "kt"]

FRACTIONS = tuple((2 * i + 1) / 20 for i in range(10))
"""Fractions of the largest bet that cannot go bankrupt, mixed equally: a ten-point uniform distribution."""


def top_two(answers: Sequence[str | None]) -> tuple[int, int]:
    """The counts of the most frequent answer and of the runner-up."""
    counts = [n for _, n in Counter(a for a in answers if a is not None).most_common(2)]
    return counts[0] if counts else 0, counts[1] if len(counts) > 1 else 0


def curtail(answers: Sequence[str | None], n: int) -> bool:
    """Whether the remaining draws cannot change the leader: the result is always the full vote's."""
    first, second = top_two(answers)
    return first - second > n - len(answers)


@lru_cache(maxsize=1 << 16)
def beta_lead(first: int, second: int) -> float:
    """P(theta > 1/2) under Beta(first + 1, second + 1): the probability that the leader is the more likely answer.

    With integer counts the regularised incomplete beta function is a binomial tail: the probability of at most `first`
    heads in first + second + 1 throws of a fair coin.
    """
    m = first + second + 1
    return float(sum(math.comb(m, j) for j in range(first + 1)) / 2**m)


def beta(answers: Sequence[str | None], level: float) -> bool:
    """Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860). Not a guarantee on the error."""
    first, second = top_two(answers)
    return first > 0 and beta_lead(first, second) >= level


def window(answers: Sequence[str | None], width: int) -> bool:
    """Early-stopping self-consistency (arXiv 2401.10480): all draws of one disjoint window agree."""
    for start in range(0, len(answers) - width + 1, width):
        answer = answers[start]
        if answer is not None and all(a == answer for a in answers[start : start + width]):
            return True
    return False


@lru_cache(maxsize=1 << 16)
def lead_evidence(first: int, second: int) -> float:
    """The e-value against "the first of this pair has at most half of their draws", from the counts of both.

    A uniform mixture over leads q in [1/2, 1]: 2^m * 2 * int_{1/2}^1 q^first (1-q)^second dq. Under the null
    it exceeds 1/delta at any time with a probability of at most delta (Ville's inequality).
    """
    m = first + second
    log_beta = math.lgamma(first + 1) + math.lgamma(second + 1) - math.lgamma(m + 2)
    return math.exp((m + 1) * math.log(2) + log_beta) * beta_lead(first, second)


def kt_evidence(wins: Iterable[bool]) -> float:
    """The e-value against the same null from the draws in order, by a predictable plug-in (Krichevsky-Trofimov).

    Each factor bets on the lead estimated from the draws before it, clipped at 1/2: without the clip it would only
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

    The probability of ever stopping on an answer that is not the most likely one is at most `delta`, if there are at
    most `classes` distinct answers. The threshold accounts for testing all ordered pairs.
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


def full_evidence(steps: Iterable[int], left: int, lead: int = 0) -> float:
    """The e-value against "when all draws are in, this answer has no more votes than that one".

    A step is 1 for a draw of this answer, -1 for one of that answer and 0 for any other; before the first step the
    lead is `lead` and `left` draws remain. Draws are exchangeable, so under the null the mean of the next step is at
    most -lead/left, the mean of the rest for a final lead of 0: a bet on more than that is a supermartingale for
    sampling without replacement (Waudby-Smith and Ramdas 2020, arXiv 2006.04347), and exceeds 1/delta at any time with
    probability at most delta. A lead that cannot be overtaken is infinite evidence.
    """
    stakes = [1.0] * len(FRACTIONS)
    for step in steps:
        if lead > left:
            return math.inf
        mean = -lead / left
        if mean > -1:
            odds = (step - mean) / (1 + mean)
            stakes = [stake * (1 + fraction * odds) for stake, fraction in zip(stakes, FRACTIONS, strict=True)]
        lead, left = lead + step, left - 1
    return math.inf if lead > left else sum(stakes) / len(stakes)


def certified(answers: Sequence[str | None], n: int, delta: float) -> bool:
    """Whether the leader wins the vote over all n draws, with an error probability of at most `delta`.

    The probability of ever stopping on an answer that does not have more votes than every other after n draws is at
    most `delta`, for any distribution of answers and any number of them: the r-th answer to appear has 1/(r (r + 1)) of
    the risk, and evidence for it counts from its first draw on.
    """
    order = list(dict.fromkeys(a for a in answers if a is not None))
    if not order:
        return False
    leader = Counter(a for a in answers if a is not None).most_common(1)[0][0]
    rank = order.index(leader) + 1
    bar = rank * (rank + 1) / delta
    start = answers.index(leader) + 1
    rivals: list[str | None] = [a for a in order if a != leader]
    # An answer not seen yet could still win.
    return all(
        full_evidence(
            ((a == leader) - (a is not None and a == rival) for a in answers[start:]),
            n - start,
            1 - (answers[:start].count(rival) if rival is not None else 0),
        )
        >= bar
        for rival in [*rivals, None]
    )
