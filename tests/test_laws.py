"""The laws find what they are for: each is broken by one that keeps all others."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from mull import Budget, Cost, Draw, Finish, Grade, Params, Problem, Prompt, Sample, Score, testing
from mull.testing import FakeModel
from mull.types import Calls, Purse

HELLO, PARAMS = Prompt.user("hello"), Params(max_tokens=12)
Check = Callable[[FakeModel], Awaitable[object]]


class OfItsBatch(FakeModel):
    """Says how many were asked for together."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        async for sample in super().sample(prompt, params, draws, purse):
            yield replace(sample, text=f"{sample.text} {len(draws)}")


class Renumbered(FakeModel):
    """Numbers its draws from 0, whatever was asked for."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        number = 0
        async for sample in super().sample(prompt, params, draws, purse):
            yield replace(sample, draw=number)
            number += 1


class Cheap(FakeModel):
    """Quotes half of what its longest draw costs."""

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self._cost(params.max_tokens // 2)


class Wordy(FakeModel):
    """Minds no limit on its tokens, and quotes as if it did."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        sample = super()._draw(prompt, params, draw)
        return replace(sample, cost=replace(sample.cost, output_tokens=params.max_tokens + 1))


class Eager(FakeModel):
    """Makes all draws at once, and tells of those that nobody took `n_told` times."""

    n_told = 0

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        made = [self._draw(prompt, params, draw) for draw in draws]
        self.seen += [(prompt, params, draw) for draw in draws]
        try:
            while made:
                yield made.pop(0)
        finally:
            for sample in made * self.n_told:
                purse.lost(sample.cost)


class Chatty(Eager):
    n_told = 2


class Forgetful(FakeModel):
    """Says something else each time, whatever the seed."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        return super()._draw(prompt, params, Draw(draw.number, draw.seed + len(self.seen)))


class Willing(FakeModel):
    """Does not refuse what it then cannot do."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        assert params.effort is None, "it cannot do this"
        return super()._draw(prompt, params, draw)


class Shy(FakeModel):
    """Refuses everything."""

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return "would rather not"


async def check_cancelled(model: FakeModel) -> None:
    await testing.check_cancelled(model, HELLO, PARAMS, begun=lambda: len(model.seen))


MODELS: dict[str, tuple[FakeModel, Check, str]] = {
    "batch": (OfItsBatch(), lambda m: testing.check_batch(m, HELLO, PARAMS), "is another alone"),
    "seeds": (Forgetful(), lambda m: testing.check_batch(m, HELLO, PARAMS), "is another"),
    "numbers": (Renumbered(), lambda m: testing.check_numbers(m, HELLO, PARAMS), "was not asked for|seed of another"),
    "quote": (Cheap(), lambda m: testing.check_quote(m, HELLO, PARAMS), "where at most"),
    "length": (Wordy(), lambda m: testing.check_quote(m, HELLO, PARAMS), "where at most"),
    "ceiling": (
        Wordy(), lambda m: testing.check_model_ceiling(m, HELLO, PARAMS, Budget(tokens=48)), "more than the ceiling",
    ),
    "lost": (Eager(), check_cancelled, "delivered and 0 lost, of 4 begun"),
    "lost twice": (Chatty(), check_cancelled, "delivered and 6 lost"),
    "willing": (Willing(), lambda m: testing.check_refuses(m, HELLO, PARAMS, "a"), "it cannot do this"),
    "shy": (Shy(), lambda m: testing.check_refuses(m, HELLO, PARAMS, "a"), "refuses a plain prompt"),
}  # fmt: skip


@pytest.mark.parametrize("law", MODELS)
async def test_a_model_that_breaks_a_law_is_found(law: str) -> None:
    model, check, why = MODELS[law]
    with pytest.raises(AssertionError, match=why):
        await check(model)


class Letters:
    """Asks for a letter that its problems do not tell; each of the others here gets one thing of it wrong."""

    name = "letters"
    gold = "QQQ"

    def problem(self, i: int) -> Problem:
        return Problem(str(i), Prompt.user(f"Which letter? {i}"))

    def problems(self) -> list[Problem]:
        return [self.problem(i) for i in range(3)]

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(sample.finish is not Finish.ERROR and sample.text == self.gold)


class Leaky(Letters):
    def problem(self, i: int) -> Problem:
        return replace(super().problem(i), given={"tests": ["a", self.gold]})


class Open(Letters):
    def problem(self, i: int) -> Problem:
        return replace(super().problem(i), given={"grade": self.grade})


class Unsteady(Letters):
    n = 0

    def problem(self, i: int) -> Problem:
        Unsteady.n += 1
        return replace(super().problem(i), prompt=Prompt.user(f"Which? {self.n}"))


class Narrow(Letters):
    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        assert sample.text.isascii(), "it reads nothing else"
        return await super().grade(problem_id, sample)


class Silent(Letters):
    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(None)


class Kind(Letters):
    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(True)


async def check_task(task: Letters) -> None:
    testing.check_problems(lambda: task)
    testing.check_no_gold(task, lambda problem: [task.gold])
    await testing.check_grading(task)
    await testing.check_right(task, lambda problem: task.gold, lambda problem: "a")


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Leaky(), "holds its gold answer"),
        (Open(), "holds a method"),
        (Unsteady(), "other problems"),
        (Narrow(), "reads nothing else"),
        (Silent(), "no grade and no reason"),
        (Kind(), "is graded right"),
    ],
)
async def test_a_task_that_breaks_a_law_is_found(task: Letters, why: str) -> None:
    await check_task(Letters())
    with pytest.raises(AssertionError, match=why):
        await check_task(task)


def test_what_is_in_both_splits_is_found() -> None:
    problems = Letters().problems()
    testing.check_held_out(problems[:1], problems[1:])
    with pytest.raises(AssertionError, match="held out and trained on"):
        testing.check_held_out(problems[:2], problems[1:])


SAMPLES = [Sample(testing.PROBLEM.prompt, f"answer: {c}", Finish.STOP) for c in "abcd"]


class Plain(testing.FakeVerifier):
    """Keeps all laws: it knows every reply that is there."""

    def _score(self, sample: Sample) -> Score:
        cost = Cost(1, 0, 0, 3, 0, 6.0, self.usd, 0.0)
        if sample.finish is Finish.ERROR:
            return Score(None, cost=cost, why="the draw failed")
        return Score(len(set(sample.reply)) % 7 / 6, cost=cost)


class Sure(Plain):
    def _score(self, sample: Sample) -> Score:
        return replace(super()._score(sample), value=0.0)


class Loud(Plain):
    def _score(self, sample: Sample) -> Score:
        return replace(super()._score(sample), why=sample.reply)


class Placed(Plain):
    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        scores = await super().score(problem, samples, calls)
        return [replace(score, value=1 / (i + 1)) for i, score in enumerate(scores)]


class Dear(Plain):
    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()


@pytest.mark.parametrize(
    ("verifier", "law", "why"),
    [
        (Sure(), testing.check_hostile, "a draw that failed has a verdict"),
        (Loud(), testing.check_hostile, "the reason holds"),
        (Placed(), lambda v, p: testing.check_order(v, p, SAMPLES), "the order changes"),
        (Placed(), lambda v, p: testing.check_alone(v, p, SAMPLES), "another verdict alone"),
        (Dear(), lambda v, p: testing.check_bound(v, p, SAMPLES), "where at most"),
        (Dear(), lambda v, p: testing.check_judging_ceilings(v, p, SAMPLES), "more than the ceiling"),
        (Plain(), lambda v, p: testing.check_unknown(v, p, SAMPLES), "could not know"),
    ],
)
async def test_a_verifier_that_breaks_a_law_is_found(
    verifier: Plain, law: Callable[[Plain, Problem], Awaitable[None]], why: str
) -> None:
    if type(verifier) is not Plain:
        await law(Plain(), testing.PROBLEM)
    with pytest.raises(AssertionError, match=why):
        await law(verifier, testing.PROBLEM)
