"""Weights of an ensemble's members in a vote: log odds of their accuracies, learned from a graded sweep.

If voters err independently, the vote that is most often right gives each the weight log(m p / (1 - p)), where p is how
often it is right and m the number of wrong answers to choose among (Nitzan and Paroush 1982 for two answers; the same
derivation for m wrong answers that are equally likely). Here m is estimated from the sweep: one over the rate at which
two members that are both wrong agree.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mull.errors import UsageError
from mull.files.recording import Recording, Result
from mull.stats.intervals import SHARE, Interval, bootstrap

N_FOLDS = 5

Row = Mapping[str, Result]
"""Each member's result on one problem, by name."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member: how often it is right when it answers, on how many problems, and the weight of its vote."""

    spec: str
    answered: int
    accuracy: float
    weight: float


@dataclass(frozen=True, slots=True)
class VoteAccuracy:
    """The accuracy of a vote with its 95 % interval over problems."""

    accuracy: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Weights:
    """Learned weights, and the accuracy of votes: `weighted` is measured on problems not used to learn the weights.

    `alike` is the vote with weights of 1, `best` the member that is most accurate on the other problems, `wrong` the
    number of wrong answers to choose among. `problems` counts those on which all members were graded.
    """

    members: tuple[Member, ...]
    wrong: float
    problems: int
    weighted: VoteAccuracy
    alike: VoteAccuracy
    best: VoteAccuracy

    @property
    def spec(self) -> str:
        """The ensemble, ready for `--strategy`."""
        members = ",".join(f"({m.spec})" if ":" in m.spec else m.spec for m in self.members)
        return f"ensemble:members=({members}),weights=({','.join(f'{m.weight:.3g}' for m in self.members)})"


def rows_of(recordings: Sequence[Recording], names: Sequence[str]) -> list[Row]:
    """The members' results on the problems on which all of them were graded. Raises `UsageError`."""
    rows: list[Row] = [
        {name: one.results[name] for name in names} for one in recordings if all(n in one.results for n in names)
    ]
    graded = [row for row in rows if all(result.correct is not None for result in row.values())]
    if len(names) < 2:
        raise UsageError("an ensemble needs at least two strategies of one sweep: give it several with --strategy")
    if len(graded) < 2 * N_FOLDS:
        raise UsageError(f"{len(graded)} problems are graded for every member: at least {2 * N_FOLDS} are needed")
    return graded


def wrong_answers(rows: Sequence[Row]) -> float:
    """The number of wrong answers to choose among: one over the chance that two members that err agree.

    One agreement in two pairs is added as a prior, so that the estimate always exists.
    """
    agreed, pairs = 1, 2
    for row in rows:
        wrong = [result.answer for result in row.values() if result.answer is not None and not result.correct]
        agreed += sum(a == b for a, b in combinations(wrong, 2))
        pairs += len(wrong) * (len(wrong) - 1) // 2
    return pairs / agreed


def log_odds(n_right: int, n: int, wrong: float) -> float:
    """The weight of a voter with this record, at least 0; half a right and half a wrong vote are added as a prior."""
    return max(0.0, math.log(wrong * (n_right + 0.5) / (n - n_right + 0.5)))


def members_of(rows: Sequence[Row]) -> tuple[Member, ...]:
    """The members with their weights, learned from these problems."""
    wrong = wrong_answers(rows)
    found = []
    for name in rows[0]:
        answered = [row[name] for row in rows if row[name].answer is not None]
        n_right = sum(result.correct is True for result in answered)
        accuracy = n_right / len(answered) if answered else 0.0
        found.append(
            Member(name, len(answered), accuracy, log_odds(n_right, len(answered), wrong) if answered else 0.0)
        )
    return tuple(found)


def vote(row: Row, weights: Mapping[str, float]) -> float:
    """The probability that a weighted vote on a problem is right, ties broken at random."""
    cast: defaultdict[str, float] = defaultdict(float)
    right: dict[str, bool] = {}
    for name, result in row.items():
        if result.answer is not None:
            cast[result.answer] += weights[name]
            right[result.answer] = result.correct is True
    most = max(cast.values(), default=0.0)
    tied = [right[answer] for answer, weight in cast.items() if math.isclose(weight, most)]
    return sum(tied) / len(tied) if tied else 0.0


def learn(rows: Sequence[Row], seed: int = 0) -> Weights:
    """Weights from all problems, and the accuracy that weights learned from four fifths of them reach on the rest."""
    order = np.random.default_rng(seed).permutation(len(rows))
    weighted, best = np.zeros(len(rows)), np.zeros(len(rows))
    for fold in range(N_FOLDS):
        held_out = {int(i) for i in order[fold::N_FOLDS]}
        members = members_of([row for i, row in enumerate(rows) if i not in held_out])
        weights = {member.spec: member.weight for member in members}
        leader = max(members, key=lambda member: member.accuracy * member.answered).spec
        for i in held_out:
            weighted[i], best[i] = vote(rows[i], weights), float(rows[i][leader].correct is True)
    members = members_of(rows)
    if not any(member.weight for member in members):
        raise UsageError("no member is right more often than a guess: an ensemble of them has no value")
    alike = [vote(row, dict.fromkeys(row, 1.0)) for row in rows]
    figures = (VoteAccuracy(float(np.mean(v)), bootstrap(v, seed, SHARE)) for v in (weighted, alike, best))
    return Weights(members, wrong_answers(rows), len(rows), *figures)
