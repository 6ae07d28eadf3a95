"""Against recorded samples of real models: the reference figures of their README, within half a point.

The data is no part of the project: the tests read the folder named by `MULL_DATA`, or `../shared/data`, and are
skipped where there is none.
"""

import asyncio
import os
from pathlib import Path

import pytest

import bench_stop
import both_orders
from mull import spec
from mull.allocate import optimal
from mull.files.columns import Layout
from mull.lab import grid
from mull.lab.metrics import Curves, curves
from mull.lab.sources import read_draws

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")

JHU = DATA / "jhu_temperature_mcq" / "pooled_5models_100x100.jsonl.gz"
JHU_MODELS = ["claude-3-opus-20240229", "gemini-1.0-pro", "gpt-35-turbo", "llama-2-7b-chat", "mistral-large"]


def measured(path: str, ks: list[int], group: str | None = None, score_range: str | None = None) -> Curves:
    pools = read_draws(DATA / path, Layout(score_range=score_range))
    return curves(pools[group] if group else next(iter(pools.values())), ks)


def percent(curve: str, of: Curves, k: int) -> float:
    return next(100 * p.value for p in getattr(of, curve) if p.k == k)


def test_game24() -> None:
    game = measured("game24_tot/gpt4_io_100x100.norm.jsonl.gz", [1, 40, 100])
    assert percent("coverage", game, 1) == pytest.approx(7.3, abs=0.5)
    assert percent("coverage", game, 100) == pytest.approx(33, abs=0.5)
    assert percent("majority", game, 40) == pytest.approx(9.5, abs=0.5)


@pytest.mark.parametrize(
    ("model", "one", "forty"),
    [("gpt-35-turbo", 58.3, 64.5), ("llama-2-7b-chat", 25.8, 41.1), ("claude-3-opus-20240229", 77.2, 77.5)],
)
def test_multiple_choice(model: str, one: float, forty: float) -> None:
    choice = measured("jhu_temperature_mcq/pooled_5models_100x100.jsonl.gz", [1, 40], model)
    assert percent("majority", choice, 1) == pytest.approx(one, abs=0.5)
    assert percent("majority", choice, 40) == pytest.approx(forty, abs=0.5)


def test_dates() -> None:
    dates = measured("verify_cot/chatgpt_date_369x10.norm.jsonl.gz", [1, 10])
    assert percent("coverage", dates, 1) == pytest.approx(62.4, abs=0.5)
    assert percent("majority", dates, 10) == pytest.approx(69.9, abs=0.5)
    assert percent("coverage", dates, 10) == pytest.approx(82.9, abs=0.5)


def test_reward_model_scores() -> None:
    math = measured("qwen_math_rm_example/math100x8_rm.norm.jsonl.gz", [1, 8], score_range="-10,10")
    assert percent("coverage", math, 1) == pytest.approx(91, abs=0.5)
    assert percent("majority", math, 8) == pytest.approx(93, abs=0.5)
    assert percent("best", math, 8) == pytest.approx(94, abs=0.5)
    assert percent("coverage", math, 8) == pytest.approx(96, abs=0.5)


def test_counts() -> None:
    pythia = measured("monkeys_counts/pythia_math_128x10000_counts.csv", [1, 10, 100, 1000, 10_000], "Pythia 12B")
    assert [round(100 * p.value, 1) for p in pythia.coverage] == [2.3, 15.7, 48.3, 72.3, 87.5]


def test_adaptive_needs_a_third_of_forty_draws() -> None:
    """The Beta rule over all five models: at most 40/3 draws on average, within half a point of majority@40."""
    plans = {name: spec.strategy(name) for name in ("majority:n=40", "adaptive:n=40,rule=beta")}
    draws, accuracy = dict.fromkeys(plans, 0.0), dict.fromkeys(plans, 0.0)
    for model in JHU_MODELS:
        task = spec.build("task", spec.TASKS, f"file:{JHU},model={model}")
        recorded = spec.build("model", spec.MODELS, f"recorded:{JHU},model={model}")
        cells = asyncio.run(grid.run_plan(grid.Plan(task, recorded, plans), None, n_problems=None))
        for row in grid.tabulate(task, recorded, cells).rows:
            draws[row.strategy] += row.samples / len(JHU_MODELS)
            accuracy[row.strategy] += 100 * (row.accuracy or 0) / len(JHU_MODELS)
    assert draws["majority:n=40"] == 40
    assert draws["adaptive:n=40,rule=beta"] <= 40 / 3
    assert accuracy["adaptive:n=40,rule=beta"] == pytest.approx(accuracy["majority:n=40"], abs=0.5)


def test_a_learned_stop_needs_a_quarter_fewer_draws_than_adaptive_consistency() -> None:
    """Learned on half of the problems without their labels, tried on the other half, over 40 orders of the draws."""
    draws, beta, gaps = 0.0, 0.0, []
    for name in ("gemini-1.0-pro", "llama-2-7b-chat"):
        pools, n = bench_stop.recorded()[name]
        orders = bench_stop.Orders(pools, n, 40, 0)
        beta += orders.stopped(bench_stop.paper(0.95)(orders))[:, 0].mean()
        for half, other in enumerate(reversed(bench_stop.halves(len(pools)))):
            policy = optimal.policy(bench_stop.fitted((name,), half), n, bench_stop.PRICE)
            found = orders.stopped(bench_stop.learned(policy)(orders))[other]
            draws += found[:, 0].mean() / 2
            gaps.append(bench_stop.gap(found))
    assert draws <= 0.76 * beta
    assert sum(gaps) / len(gaps) > -0.8


def test_comparing_in_both_orders_finds_where_a_judge_is_swayed_by_position() -> None:
    """GPT-4 with the plain prompt: right on 82.8 and 86.2 % by order; where the orders agree it is right more often."""
    judges = both_orders.agreements()
    found = judges["GPT-4", "Vanilla"]
    assert [round(100 * share, 1) for share in found.orders] == [82.8, 86.2]
    assert found.accuracy > max(found.orders)
    assert 0.9 < found.decided < 0.95
    biased = judges["Falcon", "Vanilla"]
    assert biased.first > 0.75
    assert biased.decided < 0.5
    assert biased.accuracy > max(biased.orders) + 0.05
