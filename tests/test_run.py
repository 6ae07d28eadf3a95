"""The run: numbered draws, ceilings that are held, leaving early, deadlines, unknown costs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import Budget, Cost, Draw, MemoryBank, Params, Prompt, Run, Sample, Stopped, UsageError
from mull.bank.keys import digest, question, seed_of
from mull.run.trace import Trace
from mull.testing import PROBLEM, FakeModel, FakeVerifier, assert_within, fake_run
from mull.types import Ask, Purse


def drawn(run: Run, n: int, prompt: Prompt = PROBLEM.prompt, params: Params | None = None) -> list[Sample]:
    async def call() -> list[Sample]:
        return await run.draw(prompt, n, params)

    return asyncio.run(call())


def test_draws_come_in_draw_order_however_they_arrive() -> None:
    run = fake_run()
    assert [s.draw for s in drawn(run, 20)] == list(range(20))
    assert [draw.number for _, _, draw in run.model.seen] != list(range(20))  # type: ignore[attr-defined]


def test_arrival_order_is_had_by_name() -> None:
    run = fake_run()

    async def call() -> list[int]:
        async with run.sample(PROBLEM.prompt, 20, order="arrival") as draws:
            return [s.draw async for s in draws]

    assert asyncio.run(call()) == [draw.number for _, _, draw in run.model.seen]  # type: ignore[attr-defined]


def test_later_draws_of_a_question_go_on_counting() -> None:
    run = fake_run()
    assert [s.draw for s in drawn(run, 3)] == [0, 1, 2]
    assert [s.draw for s in drawn(run, 2)] == [3, 4]
    assert [s.draw for s in drawn(run, 2, Prompt.user("another"))] == [0, 1]


def test_a_draw_is_the_same_whatever_was_asked_with_it() -> None:
    assert drawn(fake_run(), 8) == drawn(fake_run(), 3) + drawn_after(3, 5)


def drawn_after(first: int, n: int) -> list[Sample]:
    run = fake_run()
    drawn(run, first)
    return drawn(run, n)


def test_another_seed_gives_other_draws() -> None:
    assert [s.text for s in drawn(fake_run(), 20)] != [s.text for s in drawn(fake_run(seed=1), 20)]


def test_the_key_of_a_question_depends_on_all_that_decides_its_draws() -> None:
    model = FakeModel()
    asked = [
        question(model, PROBLEM.prompt, Params(), 0),
        question(model, PROBLEM.prompt, Params(), 1),
        question(model, PROBLEM.prompt, Params(temperature=0.5), 0),
        question(model, PROBLEM.prompt, Params(stop=("x",)), 0),
        question(model, PROBLEM.prompt, Params(max_tokens=3), 0),
        question(model, PROBLEM.prompt, Params(top_p=0.5), 0),
        question(model, PROBLEM.prompt, Params(top_k=5), 0),
        question(model, PROBLEM.prompt.extend("x"), Params(), 0),
        question(model, Prompt.user("y"), Params(), 0),
    ]
    keys = {digest(q) for q in asked}
    assert len(keys) == len(asked)
    assert all(key.startswith("b2:") for key in keys)
    assert digest(asked[0]) == digest(dict(reversed(asked[0].items())))


@given(st.text(max_size=20), st.integers(0, 10**6))
def test_seeds_are_63_bits_of_the_key_and_the_number(key: str, number: int) -> None:
    assert 0 <= seed_of(key, number) < 2**63
    assert seed_of(key, number) != seed_of(key, number + 1)


def test_leaving_early_gives_the_rest_back_and_cancels_it() -> None:
    run = fake_run(FakeModel(is_shuffled=False), budget=Budget(calls=20))

    async def call() -> None:
        async with run.sample(PROBLEM.prompt, 16) as draws:
            async for sample in draws:
                if sample.draw == 2:
                    break
        assert run.held == Cost()
        assert run.spent.calls == 3
        assert run.left.calls == 17

    asyncio.run(call())
    assert run.model.n_cancelled == 13  # type: ignore[attr-defined]


def test_an_error_inside_the_block_gives_the_rest_back_too() -> None:
    run = fake_run(budget=Budget(calls=20))

    async def call() -> None:
        async with run.sample(PROBLEM.prompt, 16) as draws:
            async for _ in draws:
                raise KeyError("mine")

    with pytest.raises(KeyError):
        asyncio.run(call())
    assert run.held == Cost()


class Forgetful(FakeModel):
    """A model that tells what its cancelled draws had cost."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        n_left = len(draws)
        try:
            async for sample in super().sample(prompt, params, draws, purse):
                n_left -= 1
                yield sample
        finally:
            for _ in range(n_left):
                purse.lost(Cost(1, 5, 7))


def test_cancelled_draws_are_spend() -> None:
    run = fake_run(Forgetful(is_shuffled=False))

    async def call() -> None:
        async with run.sample(PROBLEM.prompt, 4) as draws:
            async for _ in draws:
                break

    asyncio.run(call())
    assert run.spent.calls == 4
    assert run.spent.output_tokens is not None
    assert run.spent.output_tokens >= 21


@given(
    st.builds(
        Budget,
        calls=st.none() | st.integers(0, 12),
        tokens=st.none() | st.integers(0, 300),
        usd=st.none() | st.floats(0, 3e-4),
        flops=st.none() | st.floats(0, 600),
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_ceilings_hold_whatever_is_asked_at_once(budget: Budget, asks: list[int]) -> None:
    run = fake_run(budget=budget)

    async def call() -> None:
        await asyncio.gather(*(run.draw(Prompt.user(f"q{i}"), n) for i, n in enumerate(asks)))

    asyncio.run(call())
    assert_within(run)


def test_what_draws_leave_unspent_is_drawn_from_again() -> None:
    """At worst 2 draws of 48 tokens fit under 100; they are shorter, so more are made until nothing is left."""
    run = fake_run(budget=Budget(tokens=100))
    samples = drawn(run, 50)
    assert len(samples) > 2
    assert run.stopped is Stopped.BUDGET
    assert run.left.tokens == 0


def test_a_ceiling_on_something_without_a_price_is_refused_before_anything_is_drawn() -> None:
    model = FakeModel(usd_per_token=None)
    run = fake_run(model, budget=Budget(usd=1.0))
    with pytest.raises(UsageError, match="fake has no known price in usd"):
        drawn(run, 3)
    assert not model.seen


class Untold(FakeModel):
    """A server that does not say how many tokens a reply had."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        async for s in super().sample(prompt, params, draws, purse):
            yield Sample(s.prompt, s.text, s.finish, Cost(1, None, None, 0, None, None, None, None), s.draw, s.seed)


def test_unknown_costs_stay_unknown_and_count_as_the_most_they_can_be() -> None:
    run = fake_run(Untold(), budget=Budget(tokens=200))
    samples = drawn(run, 50)
    assert run.spent.output_tokens is None
    assert run.spent.calls == len(samples) == 5  # four of 48, and one of the 8 that are left


def test_a_second_model_spends_from_the_same_budget_and_stops_the_same_run() -> None:
    run = fake_run(budget=Budget(calls=7))
    other = run.on(FakeModel(label="other"))
    assert len(drawn(run, 5)) == 5
    assert len(drawn(other, 5)) == 2
    assert run.stopped is other.stopped is Stopped.BUDGET
    assert run.spent == other.spent
    assert run.spent.calls == 7
    assert_within(other)


def test_ceilings_hold_over_two_models_that_draw_at_once() -> None:
    run = fake_run(budget=Budget(tokens=300))
    other = run.on(FakeModel(label="other"))

    async def call() -> None:
        await asyncio.gather(*(who.draw(Prompt.user(f"q{i}"), 4) for i in range(3) for who in (run, other)))

    asyncio.run(call())
    assert_within(run)
    assert run.spent.tokens is not None
    assert run.spent.tokens > 200


def test_draws_of_a_second_model_have_numbers_and_seeds_of_their_own() -> None:
    run = fake_run()
    other = run.on(FakeModel(label="other"))
    first, second = drawn(run, 3), drawn(other, 3)
    assert [s.draw for s in second] == [0, 1, 2]
    assert not {s.seed for s in first} & {s.seed for s in second}
    assert [s.draw for s in drawn(run.on(), 2)] == [3, 4], "the same model goes on counting in a child run"
    assert [s.draw for s in drawn(fake_run().on(FakeModel()), 2)] == [0, 1]


def test_a_second_model_without_a_price_is_refused_before_it_draws() -> None:
    model = FakeModel(usd_per_token=None, label="unpriced")
    run = fake_run(budget=Budget(usd=1.0)).on(model)
    with pytest.raises(UsageError, match="unpriced has no known price in usd"):
        run.priced(PROBLEM.prompt)
    with pytest.raises(UsageError, match="unpriced has no known price in usd"):
        drawn(run, 3)
    assert not model.seen
    assert run.held == Cost()


def test_a_run_on_another_verifier_keeps_the_model_and_the_accounts() -> None:
    run, strict = fake_run(), FakeVerifier(usd=1.0)
    other = run.on(verifier=strict)
    assert (other.model, other.judge, other.executor) == (run.model, run.judge, run.executor)
    asyncio.run(other.score(PROBLEM, drawn(run, 2)))
    assert len(strict.seen) == 2
    assert run.spent.usd is not None
    assert run.spent.usd >= 2.0


def test_the_deadline_is_one_and_leaves_time_for_a_verifier_that_came_later() -> None:
    model = FakeModel(delay=0.02, is_shuffled=False)
    run = Run(model, budget=Budget(seconds=5.0)).on(verifier=FakeVerifier())
    samples = drawn(run, 1000)
    assert run.stopped is Stopped.DEADLINE
    assert run.seconds < 5.0
    assert [score.value for score in asyncio.run(run.score(PROBLEM, samples[:3]))] != [None] * 3


def test_draws_that_are_handed_back_come_first_for_nothing_and_once() -> None:
    """What follows a pilot starts from the pilot's draws."""
    run = fake_run(trace=Trace(PROBLEM))
    pilot = drawn(run, 4)
    spent = run.spent
    assert run.hand_back(reversed(pilot)) == 4
    again = drawn(run, 3)
    assert [id(s) for s in again] == [id(s) for s in pilot[:3]]
    assert run.spent == spent
    assert [s.draw for s in drawn(run, 3)] == [3, 4, 5], "the fourth of the pilot, and two new ones"
    assert len(run.model.seen) == 6  # type: ignore[attr-defined]
    assert run.trace is not None
    assert len(run.trace.events) == 6, "each is in the trace once"


def test_draws_go_back_to_their_own_question_only() -> None:
    run = fake_run()
    pilot = drawn(run, 2)
    other = run.on(FakeModel(label="other"))
    run.hand_back(pilot)
    assert [s.draw for s in drawn(run, 1, Prompt.user("another"))] == [0]
    assert drawn(other, 2)[0] is not pilot[0]
    assert drawn(run, 1, params=Params(max_tokens=47))[0] is not pilot[0]
    assert drawn(run, 2) == pilot


def test_handed_back_draws_are_dealt_out_to_questions_side_by_side() -> None:
    run = fake_run(budget=Budget(calls=5))
    pilot = drawn(run, 3)
    run.hand_back(pilot)
    ask = Ask(PROBLEM.prompt, 4, run.params)
    got = asyncio.run(run.draw_each([ask, ask]))
    assert [[s.draw for s in samples] for samples in got] == [[0, 1, 2, 3], [4]]


def test_what_is_no_draw_of_the_run_cannot_be_handed_back() -> None:
    """A reply that a search put together from steps must not pass for a draw."""
    run, stranger = fake_run(), fake_run()
    pilot = drawn(run, 2)
    assert run.hand_back([replace(pilot[0]), *drawn(stranger, 2)]) == 0
    assert [s.draw for s in drawn(run, 1)] == [2]
    assert run.hand_back([pilot[0], pilot[0]]) == 2
    assert [s.draw for s in drawn(run, 2)] == [0, 3]


def test_leaving_early_keeps_what_was_handed_back_and_not_looked_at() -> None:
    run = fake_run()
    run.hand_back(drawn(run, 3))

    async def first() -> int:
        async with run.sample(PROBLEM.prompt, 3) as draws:
            async for sample in draws:
                return sample.draw
        return -1

    assert asyncio.run(first()) == 0
    assert [s.draw for s in drawn(run, 3)] == [1, 2, 3]


def test_verifier_calls_are_held_and_settled_under_the_same_ceilings() -> None:
    run = fake_run(budget=Budget(calls=10))

    async def call() -> list[float | None]:
        samples = await run.draw(PROBLEM.prompt, 6)
        return [score.value for score in await run.score(PROBLEM, samples)]

    values = asyncio.run(call())
    assert run.spent.calls == 10
    assert values[4:] == [None, None]
    assert run.stopped is Stopped.BUDGET


def test_scores_that_the_budget_does_not_allow_say_so() -> None:
    run = fake_run(budget=Budget(calls=2))

    async def call() -> str:
        samples = await run.draw(PROBLEM.prompt, 2)
        return (await run.score(PROBLEM, samples))[0].why

    assert asyncio.run(call()) == "the budget is spent"


def test_a_strategy_that_needs_a_verifier_says_so() -> None:
    run = Run(FakeModel())
    with pytest.raises(UsageError, match="needs a verifier"):
        asyncio.run(run.score(PROBLEM, []))
    with pytest.raises(UsageError, match="needs a judge"):
        asyncio.run(run.prefer(PROBLEM, []))


def test_a_deadline_ends_the_drawing_and_keeps_what_there_is() -> None:
    bank = MemoryBank()
    run = fake_run(FakeModel(delay=0.02, is_shuffled=False), budget=Budget(seconds=1.0), bank=bank)
    samples = drawn(run, 1000)
    assert 0 < len(samples) <= 50, "one takes 0.02 s"
    assert run.stopped is Stopped.DEADLINE
    assert len(bank) == len(samples)
    assert run.held == Cost()


class Slow(FakeVerifier):
    async def score(self, problem, samples, calls):
        await asyncio.sleep(60)


def test_a_deadline_ends_the_scoring_too() -> None:
    run = fake_run(verifier=Slow(), budget=Budget(seconds=1.5))

    async def call() -> str:
        samples = await run.draw(PROBLEM.prompt, 2)
        return (await run.score(PROBLEM, samples))[0].why

    assert asyncio.run(call()) == "the deadline passed"
    assert run.stopped is Stopped.DEADLINE
    assert run.held == Cost()


class Timid(FakeModel):
    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        raise TimeoutError("mine")
        yield  # a generator, as the protocol says


def test_a_time_out_of_the_model_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        drawn(fake_run(Timid(), budget=Budget(seconds=60)), 1)


@pytest.mark.parametrize(
    ("prompt", "n", "params", "message"),
    [
        (Prompt.user("  "), 1, Params(), "the prompt is empty"),
        (Prompt.user("x"), 0, Params(), "at least 1, not 0"),
        (Prompt.user("x"), 1, Params(temperature=-0.1), "temperature"),
        (Prompt.user("x"), 1, Params(temperature=float("nan")), "temperature"),
        (Prompt.user("x"), 1, Params(max_tokens=0), "max_tokens"),
        (Prompt.user("x"), 1, Params(top_p=0), "top_p"),
        (Prompt.user("x"), 1, Params(top_k=-1), "top_k"),
    ],
)
def test_what_makes_no_sense_is_refused(prompt: Prompt, n: int, params: Params, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        drawn(fake_run(), n, prompt, params)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="calls = -1"):
        fake_run(budget=Budget(calls=-1))


def test_banked_draws_are_spent_but_not_paid_again() -> None:
    bank = MemoryBank()
    first = fake_run(bank=bank)
    drawn(first, 4)
    second = fake_run(bank=bank)
    drawn(second, 6)
    assert second.spent.calls == 6
    assert second.fresh.calls == 2
    assert [draw.number for _, _, draw in second.model.seen] in ([4, 5], [5, 4])  # type: ignore[attr-defined]


async def test_a_logit_bias_and_a_thinking_budget_are_part_of_what_is_asked() -> None:
    """They change draws, and so are other draws; without them nothing is asked but what was asked before."""
    run = Run(FakeModel(), params=Params(max_tokens=48))
    others = [Params(max_tokens=48, logit_bias=(("a", -1.0),)), Params(max_tokens=48, logit_bias=(("a", -2.0),))]
    others += [Params(max_tokens=48, thinking_tokens=n) for n in (0, 5)]
    seeds = {(await run.draw(Prompt.user("?"), 1, params))[0].seed for params in (run.params, *others)}
    assert len(seeds) == 5
    asked = question(run.model, Prompt.user("?"), run.params, 0)
    assert not {"logit_bias", "thinking_tokens"} & set(asked), "banks that are there stay of use"
