"""One budget over 130 problems, simulated: coverage by who gets the next draw, without knowing the chances.

Rows are laws of the chance that a draw solves a problem. `greedy` knows every chance and spends the budget at once; the
share is how far from uniform to it a way of spending gets. `shared` is `mull.allocate.batch.Shared`: it hears of every
draw whether it passed. `k earlier` also knows k draws of each problem from another day, and learns its prior from them.
Where nothing tells problems apart (0 earlier) a round over the unsolved is the best that any rule can do, because the
chance of an unsolved problem falls with every failure.

    python bench/bench_share.py [REPETITIONS]
"""

from __future__ import annotations

import sys

import numpy as np

from mull.allocate.batch import Belief, Shared, greedy, learn, solved

N_PROBLEMS = 130
ROWS = [(0.3, 5.0, 16), (0.5, 10.0, 16), (1.0, 1.0, 8), (0.2, 2.0, 64)]
EARLIER = (0, 2, 4, 8, 16)


def play(chances: list[float], beliefs: list[Belief], budget: int, first: list[int]) -> float:
    """The share of problems solved when `Shared` spends the budget; the draw `first[i]` is the first that passes."""
    shared = Shared(beliefs, budget)
    n_solved = 0
    while chosen := shared.next():
        (i,) = chosen
        is_solved = shared.draws[i] + 1 >= first[i]
        n_solved += is_solved
        shared.tell(i, is_solved)
    return n_solved / len(chances)


def row(a: float, b: float, each: int, repetitions: int) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Coverage of uniform and of greedy, and by number of earlier draws that of `Shared`, each by repetition."""
    uniform, best = [], []
    ours: dict[int, list[float]] = {k: [] for k in EARLIER}
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        chances = rng.beta(a, b, N_PROBLEMS).tolist()
        budget = each * N_PROBLEMS
        uniform.append(solved(chances, [each] * N_PROBLEMS) / N_PROBLEMS)
        best.append(solved(chances, greedy(chances, budget)) / N_PROBLEMS)
        first = rng.geometric(np.maximum(chances, 1e-12)).tolist()
        for k, values in ours.items():
            earlier = [(int(rng.binomial(k, p)), k) for p in chances]
            values.append(play(chances, learn(earlier), budget, first))
    return np.array(uniform), np.array(best), {k: np.array(v) for k, v in ours.items()}


if __name__ == "__main__":
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    print(f"{repetitions} repetitions; coverage, and the share of the way from uniform to greedy with 95 % intervals")
    for a, b, each in ROWS:
        uniform, best, ours = row(a, b, each, repetitions)
        way = (best - uniform).mean()
        print(f"Beta({a:g},{b:g}), {each} each: uniform {uniform.mean():.4f}, greedy {best.mean():.4f}")
        for k, values in ours.items():
            gain = values - uniform
            error = 1.96 * gain.std() / len(gain) ** 0.5 / way
            print(f"  {k:2d} earlier: {values.mean():.4f}, {gain.mean() / way:.0%} of the way (+- {100 * error:.0f})")
