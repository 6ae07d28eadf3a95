"""Stopping rules on recorded draws of real models: draws and accuracy beside the full vote, in one run.

The learned stop is fitted on other problems than it is tried on: `halves` fits it on half of a set's problems and
tries it on the other half, both ways round; `others` fits it on all other sets (leave one out), as the prior that
ships with mull would meet a new model. No label is read for either. Every figure is the mean over random orders of
the recorded draws, with a 95 % interval over problems. Needs the recorded data (see tests/test_data.py).

    python bench/bench_stop.py [ORDERS [PRICE]]
    python bench/bench_stop.py figure        draws docs/stopping.png
    python bench/bench_stop.py bound         the least that a rule on counts can draw, fitted on the very problems
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mull.allocate import optimal, prior
from mull.allocate.stop import beta_lead, certified, window
from mull.files.recording import Recording
from mull.lab.sources import read_draws
from mull.strategies.adaptive import Adaptive

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
CHOICE = DATA / "jhu_temperature_mcq" / "pooled_5models_100x100.jsonl.gz"
DATES = DATA / "verify_cot" / "chatgpt_date_369x10.norm.jsonl.gz"
N_RESAMPLES = 2000
PRICE = Adaptive().price
PRICES = (0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.02)
PAPER, DECIDED = "beta .95 (paper)", "beta .95 or decided"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Rule = Callable[["Orders"], Bools]


@lru_cache
def recorded() -> dict[str, tuple[Sequence[Recording], int]]:
    """The sets by name, each with the cap: 40 draws, or all that there are."""
    sets = {name: (pools, 40) for name, pools in read_draws(CHOICE).items()}
    return sets | {"chatgpt dates": (next(iter(read_draws(DATES).values())), 10)}


class Orders:
    """Random orders of each problem's draws: counts of its answers after every draw, and what they are worth."""

    def __init__(self, pools: Sequence[Recording], n: int, n_orders: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.n_problems, self.n_orders = n, len(pools), n_orders
        width = max(2, max(len(set(pool.answers) - {None}) for pool in pools))
        codes = np.empty((len(pools), n_orders, n), np.int8)
        right = np.zeros((len(pools), width))
        for row, pool in enumerate(pools):
            names = list(dict.fromkeys(a for a in pool.answers if a is not None))
            coded = np.array([-1 if a is None else names.index(a) for a in pool.answers])
            for code in range(len(names)):
                right[row, code] = np.array(pool.correct)[coded == code].mean()
            for order in range(n_orders):
                codes[row, order] = rng.permutation(coded)[:n]
        flat = codes.reshape(-1, n)
        self.codes = flat
        self.counts = (flat[:, :, None] == np.arange(width)).cumsum(1, dtype=np.int8)
        self.right = np.repeat(right, n_orders, axis=0)
        top = np.sort(self.counts, axis=2)
        self.first, self.second = top[:, :, -1].astype(int), top[:, :, -2].astype(int)
        self.votes = self.counts.sum(2, dtype=int)
        self.full = self._accuracy(self.counts[:, -1])

    def winners(self, counts: NDArray[np.int8]) -> Bools:
        found: Bools = (counts == counts.max(1, keepdims=True)) & (counts > 0)
        return found

    def _accuracy(self, counts: NDArray[np.int8]) -> Floats:
        """The accuracy of a vote; ties are broken by lot, so each winner counts in part."""
        winners = self.winners(counts)
        found: Floats = (winners * self.right).sum(1) / np.maximum(winners.sum(1), 1)
        return found

    def stopped(self, stops: Bools) -> Floats:
        """By problem: draws, accuracy, that of the full vote, and how often the answer is not one it elects."""
        stops = stops.copy()
        stops[:, -1] = True
        at = stops.argmax(1)
        counts = self.counts[np.arange(len(at)), at]
        early, full = self.winners(counts), self.winners(self.counts[:, -1])
        other = 1 - np.where(full.any(1), (early & full).sum(1) / np.maximum(early.sum(1), 1), 1.0)
        rows = np.stack([at + 1.0, self._accuracy(counts), self.full, other])
        found: Floats = rows.reshape(4, self.n_problems, self.n_orders).mean(2).T
        return found


LEADS = np.array([[beta_lead(first, second) for second in range(64)] for first in range(64)])


def decided(orders: Orders) -> Bools:
    """Where the leader cannot be overtaken any more: mull stops there under every rule."""
    found: Bools = orders.first - orders.second > orders.n - 1 - np.arange(orders.n)
    return found


def paper(level: float) -> Rule:
    """Adaptive-Consistency as in its paper."""
    return lambda orders: (orders.first > 0) & (LEADS[orders.first, orders.second] >= level)


def with_curtailment(rule: Rule) -> Rule:
    return lambda orders: rule(orders) | decided(orders)


def learned(policy: optimal.StopPolicy) -> Rule:
    def rule(orders: Orders) -> Bools:
        stops = np.zeros(orders.first.shape, bool)
        for draws in range(1, orders.n):
            state = np.stack([x[:, draws - 1] for x in (orders.first, orders.second, orders.votes)], axis=1)
            packed = (state * np.array([1, 100, 10_000])).sum(1)
            stops[:, draws - 1] = np.isin(packed, (policy.stops[draws] * np.array([1, 100, 10_000])).sum(1))
        return stops | decided(orders)

    return rule


@lru_cache
def fitted(names: tuple[str, ...], half: int | None) -> prior.Prior:
    """The prior of sets, or of one half of each."""
    tallies = []
    for name in names:
        pools = recorded()[name][0]
        chosen = pools if half is None else [pools[i] for i in halves(len(pools))[half]]
        tallies += [prior.tally(pool.answers) for pool in chosen]
    return prior.fit(tallies)


def halves(n: int) -> tuple[Ints, Ints]:
    order = np.random.default_rng(0).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def trials(n_orders: int, price: float) -> dict[str, dict[str, Floats]]:
    """What each rule made of each set."""
    sets = recorded()
    found: dict[str, dict[str, Floats]] = {}
    for seed, (name, (pools, n)) in enumerate(sets.items()):
        orders = Orders(pools, n, n_orders, seed)

        def tried(rule: Rule, orders: Orders = orders) -> Floats:
            return orders.stopped(rule(orders))

        both = np.zeros((len(pools), 4))
        for half, other in enumerate(reversed(halves(len(pools)))):
            part = orders.stopped(learned(optimal.policy(fitted((name,), half), n, price))(orders))
            both[other] = part[other]
        others = tuple(other for other in sets if other != name)
        found[name] = {
            PAPER: tried(paper(0.95)),
            DECIDED: tried(with_curtailment(paper(0.95))),
            "beta .99 or decided": tried(with_curtailment(paper(0.99))),
            "decided": tried(decided),
            "learned, halves": both,
            "learned, others": tried(learned(optimal.policy(fitted(others, None), n, price))),
        }
    return found


def resampled(sizes: dict[str, int]) -> list[dict[str, Ints]]:
    """Problems drawn with replacement within each set, once for each resample."""
    rng = np.random.default_rng(1)
    return [{name: rng.integers(0, size, size) for name, size in sizes.items()} for _ in range(N_RESAMPLES)]


def ends(values: list[float]) -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"({low:+.2f}, {high:+.2f})" if low < 0 or high < 0.3 else f"({low:.3f}, {high:.3f})"


def gap(rows: Floats) -> float:
    """Accuracy minus that of the full vote, in points."""
    mean = rows.mean(0)
    return 100 * float(mean[1] - mean[2])


def show(found: dict[str, dict[str, Floats]]) -> None:
    draws = resampled({name: len(rules[PAPER]) for name, rules in found.items()})
    print(f"{'set':24}{'rule':22}{'draws':>7}{'of beta':>9}{'accuracy':>10}{'- full vote, points':>26}{'differs':>9}")
    for name, rules in found.items():
        for rule, rows in rules.items():
            used, accuracy, _, other = rows.mean(0)
            print(
                f"{name:24}{rule:22}{used:7.2f}{used / rules[PAPER].mean(0)[0]:9.3f}{100 * accuracy:9.2f}%"
                f"{gap(rows):+10.2f} {ends([gap(rows[drawn[name]]) for drawn in draws]):16}{100 * other:8.2f}%"
            )
    print(
        f"\n{'mean over the sets':22}{'draws':>7}{'of beta (paper)':>26}{'of beta or decided':>26}{'- full vote':>20}"
    )
    for rule in next(iter(found.values())):
        line = f"{rule:22}{np.mean([rules[rule].mean(0)[0] for rules in found.values()]):7.2f}"
        for base in (PAPER, DECIDED):
            pairs = {name: (rules[rule][:, 0], rules[base][:, 0]) for name, rules in found.items()}
            whole = sum(a.mean() for a, _ in pairs.values()) / sum(b.mean() for _, b in pairs.values())
            parts = [
                float(sum(a[d[n]].mean() for n, (a, _) in pairs.items()))
                / float(sum(b[d[n]].mean() for n, (_, b) in pairs.items()))
                for d in draws
            ]
            line += f"{whole:10.3f} {ends(parts):15}"
        gaps = [float(np.mean([gap(rules[rule][d[n]]) for n, rules in found.items()])) for d in draws]
        print(line + f"{np.mean([gap(rules[rule]) for rules in found.values()]):+8.3f} {ends(gaps)}")


def frontier(n_orders: int) -> dict[str, list[tuple[float, float]]]:
    """Mean draws over the sets and how often the answer is not the full vote's, by rule and its setting."""
    sets = recorded()
    found: dict[str, list[tuple[float, float]]] = {}
    many, few = (
        {name: Orders(pools, n, size, seed) for seed, (name, (pools, n)) in enumerate(sets.items())}
        for size in (n_orders, 2)
    )

    def add(label: str, rules: Callable[[str], Rule], orders: dict[str, Orders] = many) -> None:
        rows = [orders[name].stopped(rules(name)(orders[name])).mean(0) for name in sets]
        found.setdefault(label, []).append((float(np.mean([r[0] for r in rows])), float(np.mean([r[3] for r in rows]))))

    def others(name: str, price: float) -> Rule:
        return learned(optimal.policy(fitted(tuple(o for o in sets if o != name), None), sets[name][1], price))

    for level in (0.8, 0.85, 0.9, 0.93, 0.95, 0.98):
        add("beta", lambda _, level=level: with_curtailment(paper(level)))  # type: ignore[misc]
    for price in (0.016, 0.011, 0.008, 0.006, 0.004, 0.003, 0.002):
        add("learned, on other sets", lambda name, price=price: others(name, price))  # type: ignore[misc]
    for width in (3, 4, 5, 7):
        add("window", lambda _, w=width: with_curtailment(one_by_one(lambda a, n: window(a, w))), few)  # type: ignore[misc]
    for delta in (0.3, 0.1, 0.02):
        add("guarantee", lambda _, d=delta: with_curtailment(one_by_one(lambda a, n: certified(a, n, d))), few)  # type: ignore[misc]
    for share in (0.1, 0.2, 0.3, 0.4, 0.5):
        add("a fixed number", lambda _, share=share: fixed(share))  # type: ignore[misc]
    add("decided", lambda _: decided)
    return found


def known(orders: Orders, pools: Sequence[Recording]) -> tuple[Ints, Floats]:
    """States and losses for `optimal.induced`: the loss is an answer other than the problem's most frequent one."""
    often = np.zeros(orders.right.shape)
    for row, pool in enumerate(pools):
        counts = Counter(a for a in pool.answers if a is not None)
        for code, count in enumerate(counts.values()):  # in order of appearance, as the codes are
            often[row * orders.n_orders : (row + 1) * orders.n_orders, code] = count == max(counts.values())
    shape = orders.n + 1, len(often)
    states, losses = np.zeros(shape, np.int64), np.ones(shape)
    for draws in range(1, orders.n + 1):
        leads = orders.winners(orders.counts[:, draws - 1])
        losses[draws] -= (leads * often).sum(1) / np.maximum(leads.sum(1), 1)
        first, second, votes = (x[:, draws - 1] for x in (orders.first, orders.second, orders.votes))
        states[draws] = optimal.packed(first, second, votes, orders.n)
    return states, losses


def bound(n_orders: int) -> None:
    """The draws and accuracy of a rule on counts that knows the problems, at one price and at each set's best.

    It is fitted without labels to the very set; only which of its problems a vote is about is not known. A rule that
    knows other problems cannot be expected to do better. The best price of a set is the cheapest within .3 points of
    the full vote by the labels of that set.
    """
    shares, beta_draws, every = [], [], []
    for seed, (name, (pools, n)) in enumerate(recorded().items()):
        tried, fitted_on = Orders(pools, n, n_orders, seed), Orders(pools, n, 3 * n_orders, seed + 100)
        beta_draws.append(tried.stopped(paper(0.95)(tried)).mean(0)[0])
        found, problems = [], known(fitted_on, pools)
        for price in PRICES:
            rows = tried.stopped(learned(optimal.induced(*problems, price))(tried))
            found.append((float(rows.mean(0)[0]), gap(rows)))
            print(f"{name:24} price {price:<6g} {found[-1][0]:6.2f} draws, {found[-1][1]:+.2f} points", flush=True)
        every.append(found)
        draws, points = min((one for one in found if one[1] >= -0.3), default=(float(n), 0.0))
        shares.append(draws)
        print(f"{name:24} at best {draws:.2f} draws at {points:+.2f} points; beta .95: {beta_draws[-1]:.2f}")
    for place, price in enumerate(PRICES):
        at = [found[place] for found in every]
        share = sum(draws for draws, _ in at) / sum(beta_draws)
        print(
            f"one price {price:<6g} {share:.3f} of the draws of beta .95, {min(p for _, p in at):+.2f} points at worst"
        )
    print(f"each set at its best: {sum(shares) / sum(beta_draws):.3f} of the draws of beta .95")


def one_by_one(is_enough: Callable[[list[str | None], int], bool]) -> Rule:
    """A rule that looks at the answers themselves."""

    def rule(orders: Orders) -> Bools:
        stops = np.zeros(orders.first.shape, bool)
        is_decided = decided(orders)
        for row, codes in enumerate(orders.codes):
            answers = [None if code < 0 else str(code) for code in codes]
            for k in range(1, orders.n):
                if is_decided[row, k - 1] or is_enough(answers[:k], orders.n):
                    stops[row, k - 1] = True
                    break
        return stops

    return rule


def fixed(share: float) -> Rule:
    """A vote of so many of the draws."""
    return lambda orders: np.tile(np.arange(1, orders.n + 1) >= round(share * orders.n), (len(orders.first), 1))


def draw_figure(found: dict[str, list[tuple[float, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for (label, points), marker in zip(found.items(), "so^DvX", strict=True):
        axes.plot(*zip(*[(x, 100 * y) for x, y in points], strict=True), marker=marker, label=label)
        print(label, ", ".join(f"{x:.2f} draws: {100 * y:.2f} %" for x, y in points))
    axes.set_xlabel("draws, mean over six recorded sets (cap 40, dates 10)")
    axes.set_ylabel("another answer than the full vote's (%)")
    axes.set_ylim(0, 8)
    axes.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.38))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    if not CHOICE.exists():
        print(f"no recorded draws in {DATA}: skipped")
        sys.exit()
    if sys.argv[1:2] == ["figure"]:
        draw_figure(frontier(20), Path(__file__).parents[1] / "docs" / "stopping.png")
        sys.exit()
    if sys.argv[1:2] == ["bound"]:
        bound(150)
        sys.exit()
    n_orders = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    price = float(sys.argv[2]) if len(sys.argv) > 2 else PRICE
    print(f"{n_orders} orders of the draws of each problem; price {price:g}")
    show(trials(n_orders, price))
