"""Curves over many draws: seconds for large sets, and the vote's rate beside a plain loop over the same subsets."""

import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from mull.files.recording import Recording, of_columns, of_counts
from mull.lab.gap import measure
from mull.lab.metrics import curves, default_ks, votes_at_ks
from mull.lab.numbered import NumberedDraws
from mull.lab.windows import Windows

N_LOOPED = 4
"""Problems for the plain loop, which is slow."""


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def pools(n_problems: int, n: int) -> list[Recording]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(n_problems):
        answers = np.where(rng.random(n) < rng.beta(0.5, 2), 0, rng.integers(1, 30, n))
        correct = tuple((answers == 0).tolist())
        scores = tuple(rng.random(n).tolist())
        made.append(of_columns(str(i), correct, tuple(map(str, answers.tolist())), scores))
    return made


def looped(pool: Recording, ks: list[int]) -> list[float]:
    """Majority@k by counting each subset anew."""
    windows = Windows(pool.n, 0)
    values, subsets = [], windows.row[np.add.outer(windows.starts, np.arange(pool.n))]
    for k in ks:
        total = 0.0
        for order in subsets:
            counts = Counter(pool.answers[i] for i in order[:k])
            tied = [a for a, n in counts.items() if n == max(counts.values())]
            total += ("0" in tied) / len(tied)
        values.append(total / len(subsets))
    return values


def main() -> None:
    large = pools(1000, 1000)
    print(f"all curves over 1,000 problems x 1,000 draws: {seconds(lambda: curves(large)):.1f} s (target 60 s)")
    print(f"with the limits of scaling: {seconds(lambda: measure(large)):.1f} s")
    counts = [
        of_counts(str(i), 10_000, int(c)) for i, c in enumerate(np.random.default_rng(0).integers(0, 10_000, 10_000))
    ]
    print(f"coverage over 10,000 problems x 10,000 draws of counts: {seconds(lambda: curves(counts)):.1f} s (30 s)")
    some, ks = large[:N_LOOPED], default_ks(1000)
    ours = seconds(lambda: votes_at_ks([NumberedDraws.of(p).poll() for p in some], ks))
    theirs = seconds(lambda: [looped(p, ks) for p in some])
    print(f"majority@k: {theirs / ours:.0f} times as fast as a loop that counts each subset")


if __name__ == "__main__":
    main()
