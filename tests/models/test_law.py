"""The check at load that an engine draws from the law that it reports."""

import math
import random

import pytest

from mull import Cost, Finish, Prompt, Sample
from mull.models.law import FALSE_ALARM, N_DRAWS, departs

LAW = {"Tea": 0.7, "Books": 0.15, " rain": 0.05, "<|im_end|>": 0.06}


def draws_of(law: dict[str, float], reported: dict[str, float], n: int, seed: int) -> list[Sample]:
    """First tokens drawn from a law, each with another as its log-probabilities; what is left over are other tokens."""
    rng = random.Random(seed)
    names = [*law, "other"]
    tops = tuple((token, math.log(p)) for token, p in reported.items())
    texts = rng.choices(names, [*law.values(), 1 - sum(law.values())], k=n)
    return [
        Sample(
            Prompt.user("x"),
            "" if text.startswith("<") else text,
            Finish.LENGTH,
            Cost(),
            i,
            logprobs=(-1.0,),
            alternatives=(tops,),
        )
        for i, text in enumerate(texts)
    ]


def test_draws_from_the_reported_law_pass() -> None:
    """300 times 64 draws: the chance of one false alarm is below 300 * `FALSE_ALARM`, less than one in a million."""
    assert FALSE_ALARM <= 1e-9
    assert [departs(draws_of(LAW, LAW, N_DRAWS, seed)) for seed in range(300)] == [None] * 300


@pytest.mark.parametrize(
    ("drawn", "name"),
    [
        ({**LAW, "Tea": 0.2, "Books": 0.6}, "'Tea'"),  # weights changed on reading
        ({"Tea": 1.0}, "'Tea'"),  # greedy, whatever is asked
        ({"Books": 0.9}, "'Tea'"),
        ({}, "any other token"),
    ],
)
def test_draws_from_another_law_are_told(drawn: dict[str, float], name: str) -> None:
    why = departs(draws_of(drawn, LAW, N_DRAWS, 1))
    assert why is not None
    assert name in why or name == "any other token"
    assert " and was drawn in " in why


def test_a_law_that_an_engine_changed_is_told() -> None:
    """As seen of an engine that reads 4-bit weights wrongly: a token of .93 was drawn at .24 to .30."""
    why = departs(draws_of({"Tea": 0.3, "Books": 0.5}, {"Tea": 0.93, "Books": 0.03}, N_DRAWS, 3))
    assert why is not None
    assert why.startswith("'Tea' has the probability 0.93")


def test_without_log_probabilities_or_draws_nothing_is_told() -> None:
    assert departs([]) is None
    assert departs([Sample(Prompt.user("x"), "Tea", Finish.STOP)] * N_DRAWS) is None
