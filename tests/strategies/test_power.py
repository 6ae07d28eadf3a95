"""Power sampling against the exact law of a small model whose every reply can be listed."""

import itertools
import math
import random
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from mull import Budget, Cost, Draw, Finish, Params, Problem, Prompt, Run, Sample, UsageError
from mull.errors import ModelError
from mull.strategies.power import PowerSampling, log_ratio
from mull.testing import FakeModel, solve
from mull.types import Purse

PROBLEM = Problem("p", Prompt.user("q"))
NEXT = {"": 0.52, "x": 0.5, "y": 0.95, "xx": 0.5, "xy": 0.4, "yx": 0.9, "yy": 0.3}
"""P(x) after each beginning. x is the likelier first token, but only y has a likely continuation."""
REPLIES = ["".join(one) for one in itertools.product("xy", repeat=3)]
ALPHA = 4.0


def p_of(token: str, before: str) -> float:
    return NEXT[before] if token == "x" else 1 - NEXT[before]


def p_reply(reply: str) -> float:
    return math.prod(p_of(token, reply[:i]) for i, token in enumerate(reply))


def sharpened(token: str, before: str, alpha: float) -> float:
    return p_of(token, before) ** alpha / sum(p_of(v, before) ** alpha for v in "xy")


@dataclass
class Letters:
    """Writes x or y by `NEXT`, at the temperature that is asked for, and tells both probabilities at temperature 1."""

    name: str = "letters"
    identity: str = "letters"
    seen: list[Params] = field(default_factory=list)
    tells: bool = True

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 1, params.max_tokens)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            self.seen.append(params)
            rng, text, tops = random.Random(draw.seed), "", []
            for _ in range(params.max_tokens):
                before = prompt.prefix + text
                text += "x" if rng.random() < sharpened("x", before, 1 / params.temperature) else "y"
                tops.append(tuple((v, math.log(p_of(v, before))) for v in "xy"))
            cost = Cost(1, 1, len(text))
            told = tuple(tops) if self.tells else None
            yield Sample(prompt, text, Finish.LENGTH, cost, draw.number, draw.seed, alternatives=told)


def chunks(reply: str) -> list[Sample]:
    """A reply in chunks of one token, with the probabilities that the model tells."""
    return [
        Sample(
            PROBLEM.prompt.extend(reply[:i]), token, Finish.LENGTH,
            alternatives=(tuple((v, math.log(p_of(v, reply[:i]))) for v in "xy"),),
        )
        for i, token in enumerate(reply)
    ]  # fmt: skip


def test_every_step_keeps_the_sharpened_law() -> None:
    """Detailed balance of the whole kernel: pi(a) K(a, b) = pi(b) K(b, a) for all 64 pairs of replies."""
    pi = {reply: p_reply(reply) ** ALPHA for reply in REPLIES}

    def flow(old: str, new: str) -> float:
        moved = 0.0
        for at in range(3):
            if old[:at] == new[:at]:
                drawn = math.prod(sharpened(new[i], new[:i], ALPHA) for i in range(at, 3))
                taken = min(1.0, math.exp(log_ratio(chunks(old), chunks(new), at, ALPHA)))
                moved += drawn * taken / 3
        return pi[old] * moved

    for old, new in itertools.combinations(REPLIES, 2):
        assert flow(old, new) == pytest.approx(flow(new, old))


def test_replies_with_fewer_chunks_are_proposed_more_often_and_that_is_undone() -> None:
    """Two chunks against three, each cut equally often: the ratio has 3/2, as a cut of the shorter one has 1/2."""
    long, short = chunks("xyx"), chunks("xy")
    assert log_ratio(long, short, 2, 1.0) == pytest.approx(math.log(3 / 2)), "at alpha 1 every sum is 1"
    assert log_ratio(short, long, 2, 1.0) == pytest.approx(-math.log(3 / 2))


def test_its_replies_follow_the_sharpened_law_and_those_of_a_low_temperature_do_not() -> None:
    """80 runs of 20 steps; wrong once in 16,000 seeds. Nearly all chains forget their start: a step cuts at the front
    one time in three and then finds the better first letter with a chance of .42, so .86 to the 20th remain, .05.
    """
    params, n = Params(max_tokens=3), 80
    outcomes = [
        solve(PowerSampling(ALPHA, 20, 1, 2), Run(Letters(), params=params, seed=seed), PROBLEM) for seed in range(n)
    ]
    found = Counter(outcome.best.reply for outcome in outcomes if outcome.best is not None)
    total = math.fsum(p_reply(reply) ** ALPHA for reply in REPLIES)
    law = {reply: p_reply(reply) ** ALPHA / total for reply in REPLIES}
    cold = {r: math.prod(sharpened(t, r[:i], ALPHA) for i, t in enumerate(r)) for r in REPLIES}
    best = max(law, key=law.__getitem__)
    error = math.sqrt(law[best] * (1 - law[best]) / n)
    assert found[best] / n == pytest.approx(law[best], abs=4 * error + 0.03)
    assert abs(cold[best] - law[best]) > 6 * error, "the two laws can be told apart"


def test_it_asks_for_a_low_temperature_and_probabilities_chunk_by_chunk() -> None:
    model = Letters()
    run = Run(model, params=Params(0.7, 3, top_p=0.9), seed=1)
    outcome = solve(PowerSampling(ALPHA, 5, 2, 2), run, PROBLEM)
    assert {(p.temperature, p.top_p, p.logprobs) for p in model.seen} == {(0.25, 1.0, 2)}
    assert model.seen[0].max_tokens == 2
    assert model.seen[1].max_tokens == 1, "a reply has at most max_tokens"
    assert outcome.best is not None
    assert len(outcome.best.reply) == 3
    assert 0 <= float(outcome.notes["accepted"] or 0) <= 5
    assert len(outcome.candidates) == 6


def test_without_steps_it_is_one_draw_at_a_low_temperature() -> None:
    run = Run(Letters(), params=Params(max_tokens=3))
    outcome = solve(PowerSampling(ALPHA, 0, 3, 2), run, PROBLEM)
    assert (run.spent.calls, outcome.notes["accepted"]) == (1, 0)


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5, 6, 7])
def test_what_a_ceiling_interrupts_is_not_taken(calls: int) -> None:
    run = Run(Letters(), params=Params(max_tokens=3), budget=Budget(calls=calls), seed=3)
    outcome = solve(PowerSampling(ALPHA, 50, 1, 2), run, PROBLEM)
    assert run.spent.calls == calls
    assert outcome.best is not None
    assert len(outcome.best.reply) == min(calls, 3)


def test_a_model_that_tells_no_probabilities_is_refused_by_name_of_what_lacks() -> None:
    run = Run(Letters(tells=False), params=Params(max_tokens=3))
    with pytest.raises(ModelError, match="no likeliest tokens"):
        solve(PowerSampling(ALPHA, 3, 3, 2), run, PROBLEM)
    with pytest.raises(UsageError, match="alpha is a power"):
        PowerSampling(0.5)
    with pytest.raises(UsageError, match="continue"):
        solve(PowerSampling(), Run(FakeModel(continues=False)))
