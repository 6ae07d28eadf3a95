"""Ratings by expected value: the digit's whole distribution counts, criterion by criterion."""

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mull import Cost, Draw, Finish, Params, Problem, Prompt, Sample, UsageError, spec
from mull.run.calls import MeteredCalls
from mull.types import Purse
from mull.verifiers.rating import Rating, expected

PROBLEM = Problem("p", Prompt.user("What is 2 + 3 * 4?"))
Places = tuple[tuple[tuple[str, float], ...], ...]


def logs(chances: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((token, math.log(p)) for token, p in chances.items())


@dataclass(frozen=True)
class Scripted:
    """A model that says what a function of the prompt and the draw tells it to: (text, alternatives at each place)."""

    say: Callable[[str, int], tuple[str, Places | None]]
    seen: list[tuple[str, Params]] = field(default_factory=list, compare=False)

    name = "scripted"
    identity = "scripted"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 100, params.max_tokens)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            self.seen.append((prompt.question, params))
            text, alternatives = self.say(prompt.question, draw.number)
            yield Sample(prompt, text, Finish.STOP, Cost(1, 100, 1), draw.number, draw.seed, alternatives=alternatives)


def sample(text: str) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP)


async def rated(model: Scripted, **options: Any) -> Any:
    (score,) = await Rating(model, **options).score(PROBLEM, [sample("14")], MeteredCalls())
    return score


def test_the_expected_digit() -> None:
    assert expected(logs({"9": 0.5, "0": 0.5})) == pytest.approx(0.5)
    assert expected(logs({" 8": 0.3, "8": 0.3, "2": 0.2, "The": 0.2})) == pytest.approx((0.6 * 8 + 0.2 * 2) / 0.8 / 9)
    assert expected(logs({"The": 0.7, "9": 0.3})) is None, "most of the probability is no rating"
    assert expected(logs({"7": 0.4, "8": 0.3})) is None, "three tenths may lie on digits that are not listed"
    assert expected(logs({"10": 0.9, "1": 0.1})) is None


async def test_a_rating_is_the_mean_of_the_distribution_and_not_its_mode() -> None:
    model = Scripted(lambda prompt, i: ("8", (logs({"8": 0.6, "2": 0.39, "x": 0.001}),)))
    score = await rated(model)
    assert score.value == pytest.approx((0.6 * 8 + 0.39 * 2) / 0.99 / 9)
    assert score.drawn == Cost(1, 100, 0, 1), "what a judge writes are verifier tokens"
    (asked, params) = model.seen[0]
    assert (params.max_tokens, params.temperature, params.logprobs) == (1, 0.0, 20)
    assert "Is the answer correct?" in asked


async def test_each_criterion_is_asked_about_alone_and_the_mean_counts() -> None:
    def say(prompt: str, i: int) -> tuple[str, Places]:
        digit = "9" if "right" in prompt else "3"
        return digit, (logs({digit: 0.9999}),)

    model = Scripted(say)
    score = await rated(model, criteria=("Is it right?", "Is it short?"))
    assert score.value == pytest.approx((1 + 3 / 9) / 2)
    assert [("right" in prompt, "short" in prompt) for prompt, _ in model.seen] == [(True, False), (False, True)]
    mute = Scripted(lambda prompt, i: say(prompt, i) if "right" in prompt else ("I like it.", (logs({"I": 0.9}),)))
    score = await rated(mute, criteria=("Is it right?", "Is it short?"))
    assert score.value is None
    assert "no clear digit" in score.why


async def test_rationales_end_in_a_rating_and_their_mean_counts() -> None:
    def say(prompt: str, i: int) -> tuple[str, Places]:
        places = (logs({"9": 0.9999}), logs({"So": 0.9}), logs({"6": 0.7, "4": 0.2999}), logs({"<eos>": 0.99}))
        return (f"9 holds.\nRating (0-9): {(6, 4)[i]}", places)

    assert (await rated(Scripted(say), k=2)).value == pytest.approx((0.7 * 6 + 0.2999 * 4) / 0.9999 / 9)
    assert (await rated(Scripted(lambda p, i: (say(p, i)[0], None)), k=2)).value == pytest.approx(5 / 9)


@pytest.mark.parametrize(
    ("ending", "digit"),
    [
        ("Rating (0-9): 7", 7), ("**Rating (0-9):** 7", 7), ("Rating: 7/9", 7), (r"Rating (0-9): \boxed{7}", 7),
        ("Rating (0–9): 0.", 0), ("My rating is 7 out of 9.", 7), ("rating: `7`\n", 7),
        ("Rating (0-9): 10", None), ("Rating: 8.5", None), ("Rating: 8/10", None), ("Rating: -3", None),
        ("Rating (0-9):", None), ("I rate it highly.", None), ("Rating: 7\nOr rather not.", None),
    ],
)  # fmt: skip
async def test_a_rating_is_read_whole_or_not_at_all(ending: str, digit: int | None) -> None:
    score = await rated(Scripted(lambda prompt, i: (f"Let me see.\n{ending}", None)), k=1)
    assert score.value == (None if digit is None else digit / 9)


async def test_without_log_probabilities_one_token_is_no_rating() -> None:
    score = await rated(Scripted(lambda prompt, i: ("8", None)))
    assert score.value is None
    assert "set k=1" in score.why


def test_a_spec_names_criteria_and_what_changes_a_rating_is_in_its_identity() -> None:
    model = Scripted(lambda prompt, i: ("8", None))
    made = spec.build(
        "verifier", spec.VERIFIERS, "rating:model=m,criteria=(Is it right?,Is it short?)", models=lambda name: model
    )
    assert made == Rating(model, criteria=("Is it right?", "Is it short?"))
    ratings = [Rating(model), made, Rating(model, k=1), Rating(model, seed=1), Rating(model, template="{answer}")]
    assert len({one.identity for one in ratings}) == len(ratings)
    with pytest.raises(UsageError, match="criteria must be"):
        Rating(model, criteria=())
