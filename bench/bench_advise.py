"""Back-test of `mull advise`: what a pilot predicts, beside what other problems then show at more draws.

    python bench/bench_advise.py [FILE ...] [--draws FOLDER] [--splits N] [--first N] [--sets recorded] [--pilot 20x6]

A case is one set of problems with many draws of one model, and one strategy. In each of several random splits a pilot
sees 50 problems (at most half of them) with 8 draws each, or as many as `--pilot` says, and predicts a 90 % interval
for the accuracy on the others, each asked once: it must hold 85 to 95 % of them. Then an answer that is right is given
a worth, and the option that the
advice takes for it is compared with the one that is best in hindsight on the other problems, in cost and wrong answers
together: 1.15 times at most on average.

Sets are the FILEs with draws, or without one recorded draws (../shared/data, or MULL_DATA) and draws of the built-in
models, which are made once into a folder of JSONL files (about 5 minutes of one core) and read from there afterwards.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mull.advice.advise import advise
from mull.advice.options import Option, Wish
from mull.advice.pilot import Pilot, PilotPrice
from mull.files.columns import Layout
from mull.files.recording import Recording, of_columns, of_counts
from mull.lab.sources import read_draws
from mull.strategies import pick
from mull.strategies.adaptive import Adaptive
from mull.types import Cost, Score

WORTHS = (10.0, 30.0, 100.0, 300.0)
"""What a wrong answer costs, in draws."""
RECORDED = (
    "jhu_temperature_mcq/pooled_5models_100x100.jsonl.gz",
    "verify_cot/chatgpt_date_369x10.norm.jsonl.gz",
    "qwen_math_rm_example/math100x8_rm.norm.jsonl.gz",
    "game24_tot/gpt4_io_100x100.norm.jsonl.gz",
    "gsm8k/example_model_solutions.norm.jsonl.gz",
    "monkeys_counts/pythia_math_128x10000_counts.csv",
)
SCORE_RANGES = {"qwen_math_rm_example/math100x8_rm.norm.jsonl.gz": "-10,10"}
CHAIN = "-m nano -s weighted:n=32 --verifier nano-prm -p 120"
COUNTDOWN = "-m nano --verifier countdown"
MADE = {
    **{f"nano-chain-{k}": f"chain:ops={k} {CHAIN}" for k in (4, 5, 6, 8)},
    **{f"nano-countdown-{k}": f"countdown:numbers={k} {COUNTDOWN} -s best:n=32 -p 120" for k in (3, 5)},
    "nano-countdown-4": f"countdown:numbers=4 {COUNTDOWN} -s best:n=64 -p 160",
    "mini-chain-8": "chain:ops=8 -m mini -s majority:n=16 -p 100",
}


class Size(NamedTuple):
    """Of a pilot: problems, and draws of each."""

    problems: int = 50
    draws: int = 8


class Set(NamedTuple):
    """Problems with draws of one model; `oracle`: only an oracle can choose among them."""

    name: str
    pools: Sequence[Recording]
    oracle: bool


class Case(NamedTuple):
    """What was predicted of one option and what came."""

    set: str
    strategy: str
    predicted: float
    low: float
    high: float
    realised: float


def sets(which: str, folder: Path) -> Iterator[Set]:
    """All that there is to test on: `recorded` draws, `made` ones, or `all`."""
    data = Path(os.environ.get("MULL_DATA") or Path(__file__).parent.parent.parent / "shared" / "data")
    for name in RECORDED if which != "made" else ():
        if not (data / name).exists():
            print(f"left out, for it is not there: {data / name}")
            continue
        for group, pools in read_draws(data / name, Layout(score_range=SCORE_RANGES.get(name))).items():
            label = f"{name.partition('/')[0]} {group}" if "jsonl" not in group else name.partition("/")[0]
            yield Set(label, pools, not all(p.answers for p in pools) or name.startswith("game24"))
    for name, command in MADE.items() if which != "recorded" else ():
        path = folder / f"{name}.jsonl"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            words = [sys.executable, "-m", "mull", "sweep", *command.split(), "--bank", "none", "--out", str(path)]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        for pools in read_draws(path).values():
            yield Set(name, pools, False)


def files(paths: Sequence[Path]) -> Iterator[Set]:
    """What files with draws hold, a set for each model."""
    for path in paths:
        for group, pools in read_draws(path).items():
            yield Set(f"{path.name.partition('.')[0]} {group}", pools, False)


def piloted(pools: Sequence[Recording], draws: int, rng: random.Random) -> Pilot:
    """A pilot: some draws of each of these problems, each of them at the cost of one."""
    problems = []
    for pool in pools:
        if not pool.correct:
            right = sum(rng.sample(range(pool.n), draws)[i] < pool.n_correct for i in range(draws))
            problems.append(of_counts(pool.id, draws, right))
            continue
        taken = rng.sample(range(pool.n), min(draws, pool.n))
        correct, answers = [pool.correct[i] for i in taken], [pool.answers[i] for i in taken]
        problems.append(of_columns(pool.id, correct, answers, [pool.scores[i] for i in taken]))
    return Pilot("model", tuple(problems), (PilotPrice(COST, COST),) * len(problems))


COST = Cost(1, 0, 0, 0, 0, 0.0, 1.0, 0.0)


def realised(
    strategy: str, pool: Recording, order: Sequence[int], rng: random.Random, *, oracle: bool
) -> tuple[float, int]:
    """Whether a strategy is right on a problem whose draws come in this order, and how many it takes."""
    name, _, rest = strategy.partition(":n=")
    n = int(rest or 1)
    first = list(order[:n])
    right = [bool(pool.correct[i]) for i in first]
    if name == "single":
        return float(right[0]), 1
    if name == "until-pass":
        passes = right if oracle else [pool.scores[i] == 1.0 for i in first]
        if True in passes:
            at = passes.index(True)
            return float(right[at]), min(n, -(-(at + 1) // 4) * 4)
        if oracle:
            return 0.0, n
    scores = [Score(pool.scores[i]) for i in first] if pool.scores else []
    if name in ("best", "until-pass"):
        place = pick.best(scores, rng)
        return float(place is not None and right[place]), n
    answers = [pool.answers[i] for i in first]
    if name == "weighted":
        winner = pick.weighted(answers, scores, rng).answer
    elif name == "majority":
        winner = pick.majority(answers, rng).answer
    else:
        rule, used = Adaptive(n), n
        for k in range(1, n):
            if rule.is_enough(answers[:k]):
                used = k
                break
        winner, n = pick.majority(answers[:used], rng).answer, used
    if winner is None:
        return 0.0, n
    return float(np.mean([r for a, r in zip(answers, right, strict=True) if a == winner])), n


def expanded(pool: Recording, most: int, rng: random.Random) -> Recording:
    """A problem of which only counts are known, as single draws, so many of them."""
    if pool.correct:
        return pool
    drawn = rng.sample(range(pool.n), most)
    correct = tuple(i < pool.n_correct for i in drawn)
    return of_columns(pool.id, correct)


def split_cases(one: Set, size: Size, seed: int) -> tuple[list[Case], list[float], list[str]]:
    """One split: predictions beside what came, and the ratio of the advice's price to the best in hindsight."""
    rng = random.Random(f"{one.name}/{seed}")
    pools = list(one.pools)
    rng.shuffle(pools)
    n_pilot = min(size.problems, len(pools) // 2)
    pilot = piloted(pools[:n_pilot], size.draws, rng)
    most = min(p.n for p in pools)
    ns = [n for n in (4, 8, 16, 32, 64) if n <= most]
    others = pools[n_pilot : n_pilot + 400]
    asked = [expanded(pool, min(64, pool.n), rng) for pool in others]
    orders = [rng.sample(range(p.n), min(64, p.n)) for p in asked]
    advice = advise([pilot], ns=ns or [2], on=len(others), oracle=one.oracle, seed=seed)
    options = [o for o in advice.options if int(o.strategy.partition(":n=")[2] or 1) <= most]
    came: dict[str, tuple[float, float]] = {}
    for option in options:
        runs = [realised(option.strategy, p, k, rng, oracle=one.oracle) for p, k in zip(asked, orders, strict=True)]
        came[option.strategy] = float(np.mean([r for r, _ in runs])), float(np.mean([d for _, d in runs]))
    cases = [Case(one.name, o.strategy, o.accuracy, *o.ci90, came[o.strategy][0]) for o in options]
    ratios, taken = [], []
    for worth in WORTHS if len(options) > 1 else ():
        chosen = worth_most(options, worth)
        prices = {name: draws + worth * (1 - right) for name, (right, draws) in came.items()}
        ratios.append(prices[chosen] / min(prices.values()))
        taken.append(chosen)
    return cases, ratios, taken


def worth_most(options: Sequence[Option], worth: float) -> str:
    """What the advice takes where a right answer is worth so many draws: each draw costs a dollar here."""
    from mull.advice.choice import choose
    from mull.advice.options import Facts

    facts = Facts(50, 400, 0.5, 64, 0.8, 0.8, None, None)
    return choose(options, "model", Wish(worth=worth), facts).recommendation.strategy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mull" / "bench_advise"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="draws to test on, in place of all others")
    parser.add_argument("--pilot", default="50x8", help="problems x draws of each pilot")
    parser.add_argument("--draws", type=Path, default=cache, help="where the draws of the built-in models are kept")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the number of the first split")
    parser.add_argument("--sets", choices=("all", "recorded", "made"), default="all")
    options = parser.parse_args()
    start = time.process_time()
    cases: list[Case] = []
    ratios: dict[str, list[float]] = defaultdict(list)
    size = Size(*map(int, options.pilot.split("x")))
    for one in files(options.files) if options.files else sets(options.sets, options.draws):
        for seed in range(options.first, options.first + options.splits):
            made, ratio, _ = split_cases(one, size, seed)
            cases += made
            ratios[one.name] += ratio
    show(cases, ratios)
    print(f"{time.process_time() - start:.0f} s of CPU")


def show(cases: Sequence[Case], ratios: dict[str, list[float]]) -> None:
    """The tables, and whether the limits were kept."""
    grouped: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        grouped[case.set, case.strategy].append(case)
    print(f"{'set':<42}{'strategy':<18}{'predicted':>10}{'came':>8}{'error':>8}{'width':>8}{'held':>7}")
    kinds: dict[str, list[bool]] = defaultdict(list)
    held = []
    for (name, strategy), group in grouped.items():
        inside = [c.low - 1e-9 <= c.realised <= c.high + 1e-9 for c in group]
        held += inside
        kinds[strategy.partition(":")[0]] += inside
        predicted, came = np.mean([c.predicted for c in group]), np.mean([c.realised for c in group])
        error = np.mean([abs(c.predicted - c.realised) for c in group])
        width = np.mean([c.high - c.low for c in group])
        print(
            f"{name[:41]:<42}{strategy:<18}{100 * predicted:>10.1f}{100 * came:>8.1f}{100 * error:>8.1f}"
            f"{100 * width:>8.1f}{sum(inside) / len(inside):>7.0%}"
        )
    for kind, inside in kinds.items():
        print(f"{kind:<18}{sum(inside) / len(inside):>7.1%} of {len(inside):,} in their intervals")
    print(f"{'set':<42}{'price over the best in hindsight':>34}")
    for name, values in ratios.items():
        if values:
            print(f"{name[:41]:<42}{np.mean(values):>34.3f}")
    every = [np.mean(values) for values in ratios.values() if values]
    share, price = sum(held) / len(held), float(np.mean(every)) if every else math.nan
    print(f"{len(grouped)} cases, {len(cases):,} predictions: {share:.1%} in their 90 % intervals (85 to 95 asked)")
    print(
        f"{len(every)} sets: the advice costs {price:.3f} times the best in hindsight on average (1.15 at most asked)"
    )


if __name__ == "__main__":
    main()
