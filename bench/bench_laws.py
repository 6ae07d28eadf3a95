"""Coverage laws: the error of extrapolations on real and simulated counts, the coverage of bands, and speed.

Parts: pythia (needs the recorded counts, see tests/test_data.py), simulations, speed, intervals; all without arguments.
`pythia:60` and the like set how many subsamples or repetitions a part has.
"""

import csv
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mull.laws import coverage
from mull.laws.estimate import POWER_LAW, aic_weights
from mull.laws.families import BETA_BINOMIAL, LOGIT_NORMAL, ZERO_INFLATED
from mull.stats.estimators import pass_at_ks
from mull.stats.intervals import bootstraps

Ints = np.ndarray
DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
PYTHIA = DATA / "monkeys_counts" / "pythia_math_128x10000_counts.csv"
TARGET = 10_000
N_PROBLEMS = 130
AVERAGED = (BETA_BINOMIAL.name, ZERO_INFLATED.name, LOGIT_NORMAL.name)


def points(law: coverage.Law) -> dict[str, float]:
    """The default beside what it is compared with: the laws alone, and the AIC average of three and of four."""
    said = law.predict(TARGET)
    assert said.value is not None
    assert said.aic_average is not None
    three = {fit.family: fit.aic for fit in law.fits if fit.family in AVERAGED and fit.aic is not None}
    average = float(aic_weights(np.array(list(three.values()))) @ [said.families[name] for name in three])
    return {
        "default": said.value,
        "power law": said.families[POWER_LAW],
        "beta-binomial": said.families[BETA_BINOMIAL.name],
        "AIC of 3": average,
        "AIC of 4": said.aic_average,
    }


def table(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Median absolute errors by row and method, printed."""
    medians = {
        row: {m: float(np.median([abs(e[m]) for e in errors])) for m in errors[0]} for row, errors in rows.items()
    }
    methods = list(next(iter(medians.values())))
    print(f"{'':26}" + "".join(f"{m:>15}" for m in methods))
    for row, values in medians.items():
        print(f"{row:26}" + "".join(f"{values[m]:15.4f}" for m in methods))
    means = {m: float(np.mean([values[m] for values in medians.values()])) for m in methods}
    print(f"{'mean':26}" + "".join(f"{means[m]:15.4f}" for m in methods))
    return medians


def pythia(repeats: int = 20) -> None:
    """100 draws a problem, taken without replacement from 10,000: coverage at 10,000, and the band around it."""
    if not PYTHIA.exists():
        print(f"no recorded counts in {DATA}: skipped")
        return
    sets: dict[str, list[int]] = {}
    with PYTHIA.open() as file:
        for row in csv.DictReader(file):
            sets.setdefault(row["model"], []).append(int(row["n_correct"]))
    errors: dict[str, list[dict[str, float]]] = {}
    print(f"coverage at {TARGET:,} from 100 draws, median absolute error over {repeats} subsamples")
    bands: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, counts in sets.items():
        right = np.array(counts)
        truth = float((right > 0).mean())
        for seed in range(repeats):
            drawn = np.random.default_rng(seed).hypergeometric(right, TARGET - right, 100)
            law = coverage.fit(100, drawn, seed=seed)
            errors.setdefault(name, []).append({m: v - truth for m, v in points(law).items()})
            said = law.predict(TARGET)
            assert said.sampling is not None
            bands.setdefault(name, []).append((*said.band, *said.sampling))
        low, high, inner_low, inner_high = np.array(bands[name]).T
        held = float(np.mean((low <= truth) & (truth <= high)))
        inner = float(np.mean((inner_low <= truth) & (truth <= inner_high)))
        width = float(np.median(high - low))
        print(
            f"{name}: the band holds the truth {100 * held:.0f} %, its sampling part alone {100 * inner:.0f} %, "
            f"width {width:.2f}"
        )
    table(errors)


def zero_inflated(rng: np.random.Generator) -> Ints:
    rates = rng.beta(0.5, 4, N_PROBLEMS)
    rates[rng.random(N_PROBLEMS) < 0.2] = 0.0
    return rates


SIMULATIONS: dict[str, tuple[int, Callable[[np.random.Generator], Ints]]] = {
    "Beta(.3, 5)": (100, lambda r: r.beta(0.3, 5, N_PROBLEMS)),
    "Beta(.2, 2)": (100, lambda r: r.beta(0.2, 2, N_PROBLEMS)),
    "Beta(.5, 10)": (100, lambda r: r.beta(0.5, 10, N_PROBLEMS)),
    "Beta(.15, .6)": (100, lambda r: r.beta(0.15, 0.6, N_PROBLEMS)),
    "Beta(1, 20)": (100, lambda r: r.beta(1, 20, N_PROBLEMS)),
    "20 % impossible": (100, zero_inflated),
    "scaled Kumaraswamy": (100, lambda r: 0.1 * (1 - (1 - r.random(N_PROBLEMS)) ** (1 / 3)) ** (1 / 0.3)),
    "logit-normal(-4, 2.5)": (100, lambda r: 1 / (1 + np.exp(4 - 2.5 * r.normal(size=N_PROBLEMS)))),
    "Beta(.3, 60)": (100, lambda r: r.beta(0.3, 60, N_PROBLEMS)),
    "Beta(.3, 5), 20 draws": (20, lambda r: r.beta(0.3, 5, N_PROBLEMS)),
}


def simulations(repeats: int = 100) -> None:
    """130 problems from known distributions: the coverage that 10,000 draws on them would realise."""
    errors: dict[str, list[dict[str, float]]] = {}
    for seed in range(repeats):
        for name, (n, rates) in SIMULATIONS.items():
            rng = np.random.default_rng(1000 + seed)
            p = rates(rng)
            right = rng.binomial(n, p)
            truth = float(np.mean((right > 0) | (rng.random(N_PROBLEMS) < 1 - (1 - p) ** (TARGET - n))))
            law = coverage.fit(n, right, resamples=0)
            errors.setdefault(name, []).append({m: v - truth for m, v in points(law).items()})
    print(f"coverage at {TARGET:,} of 130 simulated problems, median absolute error over {repeats} repetitions")
    table(errors)
    print("default minus AIC of 3, difference of the medians with its 95 % bootstrap interval over repetitions:")
    rng = np.random.default_rng(0)
    for row, found in errors.items():
        pair = np.abs([[e["default"], e["AIC of 3"]] for e in found])
        resampled = np.median(pair[rng.integers(0, len(pair), (2000, len(pair)))], axis=1)
        low, high = np.quantile(resampled[:, 0] - resampled[:, 1], [0.025, 0.975])
        print(f"{row:26}{np.subtract(*np.median(pair, axis=0)):+9.4f} [{low:+.4f}, {high:+.4f}]")


def speed() -> None:
    """Ten thousand problems with ten thousand draws each."""
    rng = np.random.default_rng(0)
    right = rng.binomial(10_000, rng.beta(0.3, 5, 10_000))
    wall, busy = time.perf_counter(), time.process_time()
    law = coverage.fit(10_000, right, resamples=0)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    print(
        f"10,000 problems x 10,000 draws, {len(law.data.n)} distinct counts: "
        f"{wall:.1f} s, {busy:.1f} s busy (target 30 s)"
    )


def intervals(simulated: int = 1000) -> None:
    """How often the bootstrap interval of pass@k holds the coverage of the population: nominal 95 %."""
    ks = [1, 10, 100]
    print(f"{simulated} simulations, 100 draws: share of intervals that hold the truth at k = {ks} (target .93 to .97)")
    for problems in (30, 100, 200):
        for a, b in ((0.3, 5.0), (1.0, 20.0)):
            theta = np.log([a, b])
            truth = 1 - BETA_BINOMIAL.misses(theta, np.array(ks))
            held = np.zeros(len(ks))
            for seed in range(simulated):
                rng = np.random.default_rng(seed)
                right = rng.binomial(100, rng.beta(a, b, problems))
                ends = np.array(bootstraps(pass_at_ks(np.full(problems, 100), right, ks), seed))
                held += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
            print(f"{problems} problems, Beta({a:g}, {b:g}): " + ", ".join(f"{h / simulated:.3f}" for h in held))


PARTS: dict[str, Callable[..., None]] = {
    "speed": speed,
    "simulations": simulations,
    "pythia": pythia,
    "intervals": intervals,
}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        name, _, repeats = part.partition(":")
        PARTS[name](*([int(repeats)] if repeats else []))


if __name__ == "__main__":
    main()
