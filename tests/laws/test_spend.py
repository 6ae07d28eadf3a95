"""The exchange of training against inference, against the figures of the papers and sums done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.advice.spend import exchange, growth, queries_until, spend, verified
from mull.cost import Price
from mull.errors import UsageError


@pytest.mark.parametrize(("ratio", "expected"), [(0.16, 257.75), (0.79, 63.36709), (22, 15.77273)])
def test_a_model_of_14_times_the_size_against_more_draws(ratio: float, expected: float) -> None:
    """Snell et al. 2024: the less a model is used for each token it was trained on, the more draws the other buys."""
    assert exchange(14, ratio) == pytest.approx(expected, abs=1e-5)


@given(st.floats(1, 1e3), st.floats(1e-3, 1e3))
def test_at_the_exchange_both_cost_the_same_over_their_lives(times: float, ratio: float) -> None:
    n, training = 1e9, 1e12
    # Training takes 6 N D, all that is ever read and written 2 N D' (Kaplan et al. 2020).
    bigger = times * n * (6 * training + 2 * ratio * training)
    smaller = n * (6 * training + 2 * exchange(times, ratio) * ratio * training)
    assert smaller == pytest.approx(bigger, rel=1e-9)


def test_an_outlay_pays_for_itself_after_the_first_query_that_is_cheaper_in_all() -> None:
    assert queries_until(fixed=100.0, dear=0.16, cheap=0.06) == 1001
    assert queries_until(fixed=0.0, dear=2.0, cheap=1.0) == 1
    assert queries_until(fixed=0.0, dear=1.0, cheap=1.0) is None
    n = queries_until(fixed=37.0, dear=0.75, cheap=0.5)
    assert n is not None
    assert 37.0 + 0.5 * n < 0.75 * n
    assert 37.0 + 0.5 * (n - 1) >= 0.75 * (n - 1)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="must be at least 1 times the size"):
        exchange(0.5, 1)
    with pytest.raises(UsageError, match="numbers of at least 0"):
        queries_until(-1.0, 1.0, 1.0)


def test_verification_is_paid_from_the_same_budget() -> None:
    """64 votes cost as much as 8 solutions with 7 verifications each of the same length (arXiv 2504.01005)."""
    assert verified(8, 7, 1.0) == verified(64, 0, 1.0)
    assert growth(2) == pytest.approx((1.4845, 1.3104), abs=1e-4)


def test_cached_input_is_billed_at_its_own_rate_and_energy_is_unknown_unless_measured() -> None:
    price = Price(usd_per_mtok_in=2.0, usd_per_mtok_out=8.0, usd_per_mtok_cached=0.5)
    each = price.cost(1000, 200, 900).usd
    assert each == (100 * 2.0 + 900 * 0.5 + 200 * 8.0) / 1e6
    month = spend(1000, usd=each, seconds=3.0)
    assert month.usd == pytest.approx(2.25)
    assert (month.seconds, month.flops, month.joules) == (3000.0, None, None)
    assert spend(10, seconds=3.0, watts=300.0).joules == 9000.0
