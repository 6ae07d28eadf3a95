"""Comparisons of curves and rankings: how often what they state is true, in simulated studies.

Parts: bands, ranks; both without arguments. `bands:400` and the like set how many studies are simulated.
"""

import sys
from collections.abc import Callable

import numpy as np

from mull.stats.bands import compare_curves
from mull.stats.estimators import pass_at_ks
from mull.stats.ranks import rank

KS = [1, 2, 4, 8, 16]
N_DRAWS = 16
LAWS = ((0.5, 1.5), (1.0, 3.0), (0.8, 0.8))
"""Beta laws of the chance that a draw of the first model is right; the second model's draws are better or worse."""


def chances(rng: np.random.Generator, law: tuple[float, float], n: int) -> np.ndarray:
    """Each problem's chance for two models, [2, problems], which are alike where a problem is easy or hard for both."""
    first = rng.beta(*law, n)
    logits = np.log(first / (1 - first)) + rng.normal(0.4, 0.8, n)
    return np.array([first, 1 / (1 + np.exp(-logits))])


def bands(studies: int = 400) -> None:
    """How often a simultaneous band holds the whole difference of two coverage curves: nominal 95 %."""
    print(f"{studies} studies, {N_DRAWS} draws, k = {KS}: share whose band holds the difference at every k, pass^k too")
    for law in LAWS:
        population = chances(np.random.default_rng(10**6), law, 400_000)
        truths = {
            "pass@k": [float(np.diff((1 - (1 - population) ** k).mean(axis=1))[0]) for k in KS],
            "pass^k": [float(np.diff((population**k).mean(axis=1))[0]) for k in KS],
        }
        for problems in (30, 100):
            held = dict.fromkeys(truths, 0)
            for seed in range(studies):
                rng = np.random.default_rng(seed)
                right = rng.binomial(N_DRAWS, chances(rng, law, problems))
                n = np.full(problems, N_DRAWS)
                for name, truth in truths.items():
                    counts = right if name == "pass@k" else N_DRAWS - right
                    first, second = (pass_at_ks(n, row, KS) for row in counts)
                    found = compare_curves("second", "first", KS, second, first, seed)
                    sign = 1 if name == "pass@k" else -1
                    held[name] += all(
                        low <= sign * value <= high
                        for low, value, high in zip(found.low, truth, found.high, strict=True)
                    )
            shares = ", ".join(f"{name} {count / studies:.3f}" for name, count in held.items())
            print(f"{problems} problems, Beta{law}: {shares}")


def ranks(studies: int = 400) -> None:
    """The chances to be first that rankings of five models state, beside how often those models are the best."""
    stated, is_best = [], []
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        hardness, skills = rng.normal(0, 1.5, 40), rng.normal(0, 0.5, 5)
        logits = skills - hardness[:, None]
        right = rng.binomial(8, 1 / (1 + np.exp(-logits))) / 8
        for one in rank([str(i) for i in range(5)], right, seed):
            stated.append(one.first)
            is_best.append(int(one.name) == int(skills.argmax()))
    shares, truths = np.array(stated), np.array(is_best)
    print(f"{studies} studies of 5 models, 40 problems, 8 draws: stated chance to be first, and how often it was so")
    for low in np.arange(0, 1, 0.1):
        among = (shares >= low) & (shares < low + 0.1 + (low > 0.85))
        if among.any():
            print(
                f"{low:.1f} to {low + 0.1:.1f}: {shares[among].mean():.3f} {truths[among].mean():.3f} ({among.sum()})"
            )


PARTS: dict[str, Callable[..., None]] = {"bands": bands, "ranks": ranks}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        name, _, studies = part.partition(":")
        PARTS[name](*([int(studies)] if studies else []))


if __name__ == "__main__":
    main()
