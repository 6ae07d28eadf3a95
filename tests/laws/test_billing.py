"""Draws are priced as one request, whether the pilot's draws shared requests or not."""

import random

import pytest

from mull.advice.billing import as_one_request
from mull.cost import Price
from mull.types import Cost

PRICE = Price(0.15, 0.6, 7e9)
REPLIES = [[40, 61, 55, 80], [210, 190, 260, 233], [12, 30, 9, 14]]
PROMPTS = [500, 812, 77]


def drawn(*, is_shared: bool) -> list[list[Cost]]:
    """The same replies, with their prompt in each draw or only in the first."""
    return [
        [PRICE.cost(0 if is_shared and i else prompt, output) for i, output in enumerate(outputs)]
        for prompt, outputs in zip(PROMPTS, REPLIES, strict=True)
    ]


@pytest.mark.parametrize("part", ["usd", "flops", "tokens", "prompt_tokens"])
@pytest.mark.parametrize("n", [1, 4, 64])
def test_n_draws_have_one_price_whether_the_pilot_shared_requests_or_not(part: str, n: int) -> None:
    def whole(costs: list[list[Cost]]) -> list[float]:
        return [getattr(first, part) + (n - 1) * getattr(more, part) for first, more in as_one_request(costs)]

    assert whole(drawn(is_shared=True)) == pytest.approx(whole(drawn(is_shared=False)), rel=1e-9)


def test_the_price_is_that_of_the_prompt_once_and_of_each_reply() -> None:
    first, more = as_one_request(drawn(is_shared=False))[0]
    mean = sum(REPLIES[0]) / 4
    assert first.usd == pytest.approx((500 * 0.15 + mean * 0.6) / 1e6)
    assert more.usd == pytest.approx(mean * 0.6 / 1e6)


def test_a_mix_of_both_is_priced_alike() -> None:
    rng = random.Random(4)
    both = [drawn(is_shared=True), drawn(is_shared=False)]
    mixed = [rng.choice(both)[i] for i in range(len(PROMPTS))]
    for one, other in zip(as_one_request(mixed), as_one_request(both[0]), strict=True):
        assert [c.usd for c in one] == pytest.approx([c.usd for c in other])


def test_costs_that_are_no_sums_of_tokens_stay_as_they_were_charged() -> None:
    draws = [[Cost(1, 10, n, 0, 0, None, n * n * 1e-6, None) for n in (3, 5, 9)]]
    ((first, more),) = as_one_request(draws)
    assert first == draws[0][0]
    assert more.usd == pytest.approx((25 + 81) / 2 * 1e-6)
    unknown = [[Cost(1, None, None, 0, None, None, None, None)] * 3]
    assert as_one_request(unknown)[0][0].usd is None
