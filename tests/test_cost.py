"""Costs add up exactly, and unknown stays unknown."""

import random

from hypothesis import given
from hypothesis import strategies as st

from mull import Budget, Cost, Params
from mull.cost import Price, affordable, fits, mean, times, total

costs = st.builds(Cost, st.integers(0, 9), usd=st.none() | st.floats(0, 1), seconds=st.floats(0, 1e3))


@given(st.lists(costs, max_size=20), st.randoms())
def test_a_sum_does_not_depend_on_the_order(items: list[Cost], rng: random.Random) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)
    assert total(items) == total(shuffled)


def test_unknown_plus_anything_is_unknown() -> None:
    assert (Cost(usd=None) + Cost(usd=1.0)).usd is None
    assert total([Cost(usd=1.0), Cost(usd=None)]).usd is None
    assert mean([Cost(1, usd=1.0), Cost(2, usd=None)]) == Cost(1.5, 0, 0, 0, 0, 0, None, 0)  # type: ignore[arg-type]
    assert times(Cost(1, usd=None), 3) == Cost(3, usd=None)


def test_a_price_counts_dollars_by_the_million_and_flops_by_the_parameter() -> None:
    price = Price(usd_per_mtok_in=2.0, usd_per_mtok_out=8.0, active_params=1e9)
    cost = price.cost(prompt_tokens=1000, output_tokens=500, cached_tokens=400)
    assert cost.usd == (1000 * 2 + 500 * 8) / 1e6
    assert cost.flops == 2e9 * (600 + 500)
    assert Price().cost(1, 1).usd is None
    assert price.cost(None, 1).flops is None


def test_only_a_last_draw_is_shortened() -> None:
    quote = Cost(1, output_tokens=50)
    assert affordable(Budget(tokens=120), quote, Params(max_tokens=50), 5) == (2, Params(max_tokens=50))
    assert affordable(Budget(tokens=20), quote, Params(max_tokens=50), 5) == (1, Params(max_tokens=20))
    assert affordable(Budget(tokens=0), quote, Params(max_tokens=50), 5)[0] == 0
    assert affordable(Budget(calls=3), quote, Params(max_tokens=50), 5)[0] == 3
    assert affordable(Budget(), quote, Params(max_tokens=50), 5)[0] == 5


@given(st.integers(1, 50), st.floats(1e-6, 1), st.floats(0, 5))
def test_what_is_affordable_fits(n: int, usd: float, left: float) -> None:
    k, _ = affordable(Budget(usd=left), Cost(1, usd=usd), Params(), n)
    assert k <= n
    assert k == 0 or fits(Budget(usd=left * (1 + 1e-12)), times(Cost(1, usd=usd), k))
