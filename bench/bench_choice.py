"""Ways to choose among recorded draws of real models, beside the majority vote: accuracy and paired differences.

MATH problems with 8 samples and a reward model's scores, and date questions with 10 samples. Ties are broken by lot 50
times, and the mean counts. Needs the recorded data (see tests/test_data.py).

    python bench/bench_choice.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from mull.files.columns import Layout
from mull.files.recording import Recording
from mull.lab.sources import read_draws
from mull.stats.paired import holm, paired
from mull.strategies import pick
from mull.types import Score

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
MATH = DATA / "qwen_math_rm_example" / "math100x8_rm.norm.jsonl.gz"
DATES = DATA / "verify_cot" / "chatgpt_date_369x10.norm.jsonl.gz"
N_LOTS = 50
Chooses = Callable[[Recording, random.Random], str | None]


def majority(pool: Recording, rng: random.Random) -> str | None:
    return pick.majority(pool.answers, rng).answer


def scores_of(pool: Recording) -> list[Score]:
    return [Score(value) for value in pool.scores]


def best(pool: Recording, rng: random.Random) -> str | None:
    place = pick.best(scores_of(pool), rng)
    return None if place is None else pool.answers[place]


def of_bests(m: int) -> Chooses:
    return lambda pool, rng: pick.bests_of_subsets(pool.answers, scores_of(pool), m, rng).answer


def shortest(k: int) -> Chooses:
    def choose(pool: Recording, rng: random.Random) -> str | None:
        ranked = sorted(range(pool.n), key=lambda i: len(pool.samples[i].text))[:k]
        return pick.majority([pool.answers[i] for i in ranked], rng).answer

    return choose


SCORED: Mapping[str, Chooses] = {
    "majority": majority,
    "best": best,
    "weighted": lambda pool, rng: pick.weighted(pool.answers, scores_of(pool), rng).answer,
    "best-of-majority": lambda pool, rng: pick.best_of_majority(pool.answers, scores_of(pool), 0.1, rng),
    "majority-of-bests:m=2": of_bests(2),
    "majority-of-bests": of_bests(3),
    "majority-of-bests:m=5": of_bests(5),
    "shortest:k=4": shortest(4),
}
PLAIN: Mapping[str, Chooses] = {
    "majority": majority, "shortest:k=3": shortest(3), "shortest:k=5": shortest(5), "shortest:k=7": shortest(7),
}  # fmt: skip


def accuracy(pool: Recording, chooses: Chooses) -> float:
    """How often the choice is right, over lots."""
    right = {answer: ok for answer, ok in zip(pool.answers, pool.correct, strict=True) if answer is not None}
    won = [chooses(pool, random.Random(lot)) for lot in range(N_LOTS)]
    return sum(right.get(answer, False) for answer in won if answer is not None) / N_LOTS


def table(name: str, pools: Sequence[Recording], strategies: Mapping[str, Chooses]) -> None:
    print(f"{name}: {len(pools)} problems, {pools[0].n} draws each; differences in points, p by Holm over the lines")
    found = {plan: [accuracy(pool, chooses) for pool in pools] for plan, chooses in strategies.items()}
    base = found.pop("majority")
    print(f"{'majority':24} {100 * fmean(base):5.1f} %")
    gaps = [gap for plan, right in found.items() if (gap := paired(plan, "majority", right, base)) is not None]
    for gap, p in zip(gaps, holm([gap.p_value for gap in gaps]), strict=True):
        low, high = gap.ci95
        told = f"{100 * gap.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], p = {p:.2f}"
        print(f"{gap.a:24} {100 * fmean(found[gap.a]):5.1f} %   {told}")


if __name__ == "__main__":
    table(
        "MATH, Qwen2.5-Math and its reward model",
        next(iter(read_draws(MATH, Layout(score_range="-5,7")).values())),
        SCORED,
    )
    table("dates, ChatGPT", next(iter(read_draws(DATES).values())), PLAIN)
