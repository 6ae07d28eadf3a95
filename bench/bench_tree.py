"""Tree search of the built-in model beside plain sampling: generated tokens a second of processor time, in turns.

python bench/bench_tree.py [--nodes 1000]

A search of so many steps (beam and mcts, steps scored by their text at no cost) on a problem of 16 operations, and as
many whole replies of the same problem as have about as many tokens. Both go through `Run`; tokens are those generated.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from mull import Params, Run, Strategy, spec
from mull.strategies.mcts import Mcts
from mull.strategies.parallel import Majority
from mull.strategies.tree import Beam
from mull.testing import StubVerifier, solve

TARGET = 0.7
REPEATS = 2


def rate(strategy: Strategy, seed: int) -> tuple[float, int]:
    """Tokens that a strategy generates a second of processor time, and how many they are."""
    model = spec.build("model", spec.MODELS, "nano")
    problem = next(iter(spec.build("task", spec.TASKS, "chain:ops=16").problems()))
    verifier = StubVerifier(lambda reply: random.Random(reply).random())
    run = Run(model, verifier=verifier, params=Params(max_tokens=400), seed=seed)
    start = time.process_time()
    solve(strategy, run, problem)
    tokens = run.spent.output_tokens
    assert tokens is not None
    return tokens / (time.process_time() - start), tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    n = parser.parse_args().nodes
    searches: dict[str, Strategy] = {
        f"beam of {n // 16} branches": Beam(n=n // 16 // 4 * 4, width=4),
        f"mcts of {n} steps": Mcts(n=n, batch=16, value="score"),
        f"mcts of {n} steps, one leaf at a time": Mcts(n=n, value="score"),
    }
    _, reply = rate(Majority(8), 0)
    tokens = {name: rate(search, 0)[1] for name, search in searches.items()}
    for name, search in searches.items():
        whole = Majority(max(1, round(tokens[name] / (reply / 8))))
        ours, plain = [], []
        for seed in range(1, REPEATS + 1):
            ours.append(rate(search, seed)[0])
            plain.append(rate(whole, seed)[0])
        ratio = statistics.median(ours) / statistics.median(plain)
        print(
            f"{name} ({tokens[name]:,} tokens): {statistics.median(ours):,.0f} tokens a second, plain sampling of "
            f"{whole.n} replies {statistics.median(plain):,.0f}: {ratio:.2f} (target {TARGET})",
            flush=True,
        )


if __name__ == "__main__":
    main()
