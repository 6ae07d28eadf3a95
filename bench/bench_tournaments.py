"""How often the best of 16 draws is found, and by how many comparisons: 200,000 simulated fields a row.

The draws of a field differ in strength (normal, of several spreads), or few are right and the others wrong. A judge
sees the difference with logistic noise, and either says how sure it is or only names the better one. Comparisons of a
field are independent. For 4 draws and a judge of names the chance is also computed exactly, over all brackets.

    python bench/bench_tournaments.py [FIELDS]
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CHUNK = 20_000


class Fields:
    """Fields of draws with their strengths, a judge of them, and the margins and numbers of matches so far."""

    def __init__(self, strength: Floats, rng: np.random.Generator, *, is_hard: bool) -> None:
        self.strength, self.rng, self.is_hard = strength, rng, is_hard
        self.size, self.n = strength.shape
        self.rows = np.arange(self.size)[:, None]
        self.total, self.met = np.zeros(strength.shape), np.zeros(strength.shape)
        self.n_comparisons = 0

    def shuffled(self) -> Ints:
        return self.rng.permuted(np.tile(np.arange(self.n), (self.size, 1)), axis=1)

    def margins(self, a: Ints, b: Ints) -> Floats:
        """The judge's margins for the first of each pair, counted in the standings."""
        self.n_comparisons += a.shape[1]
        logits = self.strength[self.rows, a] - self.strength[self.rows, b] + self.rng.logistic(size=a.shape)
        found = np.sign(logits) / 2 if self.is_hard else 1 / (1 + np.exp(-logits)) - 0.5
        for places, values in ((a, found), (b, -found)):
            np.add.at(self.total, (self.rows, places), values)
            np.add.at(self.met, (self.rows, places), 1)
        return found

    def ranked(self, places: Ints) -> Ints:
        """The places, the best mean margin first, ties at random."""
        mean = self.total[self.rows, places] / np.maximum(1, self.met[self.rows, places])
        return np.take_along_axis(places, np.argsort(-mean + 1e-9 * self.rng.random(places.shape), axis=1), axis=1)


def tournament(fields: Fields) -> Ints:
    """`tournament:n=16,k=2`: two comparisons a match, each counted as won or lost, contradictions by a coin."""
    left = fields.shuffled()
    while left.shape[1] > 1:
        a, b = left[:, ::2], left[:, 1::2]
        wins = np.sign(fields.margins(a, b)) + np.sign(fields.margins(a, b)) + 0.1 * fields.rng.choice([-1, 1], a.shape)
        left = np.where(wins > 0, a, b)
    return left[:, 0]


def pivot(fields: Fields, pivots: int = 2) -> Ints:
    """`pivot:n=16`, for numbers of pivots that halving reaches."""
    left = fields.shuffled()
    while left.shape[1] > pivots:
        half = left.shape[1] // 2
        a, b = left[:, :half], left[:, ::-1][:, :half]
        left = fields.ranked(np.where(fields.margins(a, b) > 0, a, b))
    for i, j in itertools.combinations(range(left.shape[1]), 2):
        fields.margins(left[:, i : i + 1], left[:, j : j + 1])
    return fields.ranked(left)[:, 0]


def ring(fields: Fields, pivots: int = 1) -> Ints:
    """The pivot tournament as published: a ring, then all draws against the pivots, and the pivots each other."""
    left = fields.shuffled()
    for i in range(fields.n):
        fields.margins(left[:, i : i + 1], left[:, (i + 1) % fields.n : (i + 1) % fields.n + 1])
    left = fields.ranked(left)
    for i in range(pivots):
        for j in range(i + 1, fields.n):
            fields.margins(left[:, i : i + 1], left[:, j : j + 1])
    return fields.ranked(left)[:, 0]


STRATEGIES: dict[str, Callable[[Fields], Ints]] = {
    "tournament:n=16,k=2": tournament,
    "pivot:n=16": pivot,
    "pivot:n=16,pivots=4": lambda fields: pivot(fields, 4),
    "ring and 1 pivot (paper)": ring,
    "ring and 2 pivots (paper)": lambda fields: ring(fields, 2),
}


def drawn(kind: str, n: int, size: int, rng: np.random.Generator) -> Floats:
    if kind == "1 in 5 right":
        return np.where(rng.random((size, n)) < 0.2, 2.0, 0.0) + 1e-6 * rng.random((size, n))
    return float(kind.split()[-1]) * rng.normal(size=(size, n))


def exact(strengths: Floats) -> float:
    """The chance that the best of four wins a knockout of single comparisons by a judge of names."""

    def beats(i: int, j: int) -> float:
        return 1 / (1 + math.exp(strengths[j] - strengths[i]))

    found = 0.0
    for a, b, c in itertools.permutations((1, 2, 3)):
        found += beats(0, a) * (beats(b, c) * beats(0, b) + beats(c, b) * beats(0, c)) / 6
    return found


def main(n_fields: int) -> None:
    rng = np.random.default_rng(21)
    print(f"{n_fields:,} fields of 16 a row; 95 % of errors are below {196 * math.sqrt(0.25 / n_fields):.2f} points")
    kinds = ("normal, spread 1", "normal, spread 2", "normal, spread 4", "1 in 5 right")
    print(f"{'judge':12} {'strategy':26} {'comparisons':>11} " + " ".join(f"{kind:>17}" for kind in kinds))
    for is_hard, (name, strategy) in itertools.product((False, True), STRATEGIES.items()):
        shares = []
        for kind in kinds:
            found = 0
            for start in range(0, n_fields, CHUNK):
                strength = drawn(kind, 16, min(CHUNK, n_fields - start), rng)
                fields = Fields(strength, rng, is_hard=is_hard)
                won = strength[np.arange(fields.size), strategy(fields)]
                found += int((won > 1).sum() if kind == "1 in 5 right" else (won == strength.max(axis=1)).sum())
            shares.append(100 * found / n_fields)
        told = " ".join(f"{share:15.2f} %" for share in shares)
        print(f"{'a name' if is_hard else 'how sure':12} {name:26} {fields.n_comparisons:11} {told}")
    strengths = np.array([1.5, 1.0, 0.5, 0.0])
    four = Fields(np.tile(strengths, (n_fields, 1)), rng, is_hard=True)
    print(f"4 draws, a name: pivot {100 * (pivot(four) == 0).mean():.2f} %, exactly {100 * exact(strengths):.2f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
