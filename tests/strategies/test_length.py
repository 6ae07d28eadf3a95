"""Rejection by length: the first reply that fits, and what the tries before it cost."""

from dataclasses import replace

import pytest

from mull import Budget, Draw, Finish, Params, Problem, Prompt, Run, Sample, UsageError, spec
from mull.models.embedded import Nano
from mull.strategies.length import LengthReject, Shortest
from mull.testing import PROBLEM, FakeModel, solve

HARD = Problem("hard", Prompt.user("d:c*3;b:a+45;a:9;e:d+17;c:b-30;f:e-8;f?"))


def test_the_first_reply_that_fits_is_taken_and_no_more_is_drawn() -> None:
    model = FakeModel()
    run = Run(model, params=Params(max_tokens=48))
    outcome = solve(LengthReject(tokens=12, n=64), run)
    assert outcome.best is not None
    assert outcome.best.cost.output_tokens <= 12
    n_tries = outcome.notes["tries"]
    assert n_tries == len(model.seen) == run.spent.calls > 1, "its lengths are 1 to 40: this seed needs several tries"
    assert all(sample.finish == "length" for sample in outcome.candidates[:-1])


def test_in_waves_the_first_that_fits_in_draw_order_is_taken() -> None:
    for seed in range(20):
        (one, by_one), (many, by_many) = (
            (solve(LengthReject(tokens=12, wave=wave), run), run)
            for wave, run in ((w, Run(FakeModel(), params=Params(max_tokens=48), seed=seed)) for w in (1, 5))
        )
        assert (one.best, one.notes) == (many.best, many.notes)
        assert by_many.spent.calls == -(-by_one.spent.calls // 5) * 5, "whole waves"


def test_the_share_of_replies_that_fit_decides_how_many_tries_it_takes() -> None:
    """Geometric: lengths are even in 1 to 40, so that 10 tokens fit a quarter and the mean is 4 tries. Over 400 seeds
    that has a standard error of .17; false alarm below 1e-4 at 4 of them.
    """
    tries = []
    for seed in range(400):
        outcome = solve(LengthReject(tokens=10, n=1000), Run(FakeModel(), params=Params(max_tokens=48), seed=seed))
        tries.append(float(outcome.notes["tries"]))
    assert abs(sum(tries) / len(tries) - 4) < 4 * (12 / 400) ** 0.5


def test_where_no_reply_fits_there_is_no_answer_and_that_is_said() -> None:
    outcome = solve(LengthReject(tokens=1, n=3), Run(Nano(), params=Params(max_tokens=200)), HARD)
    assert (outcome.best, outcome.answer) == (None, None)
    assert outcome.notes["warning"] == "none of 3 replies had at most 1 tokens"


def test_rejected_replies_are_cut_where_they_are_rejected() -> None:
    run = Run(Nano(), params=Params(max_tokens=200), budget=Budget(tokens=60))
    solve(LengthReject(tokens=20, n=9), run, HARD)
    assert run.spent.output_tokens == 60


def test_at_temperature_0_it_is_refused() -> None:
    with pytest.raises(UsageError, match="all draws are the same"):
        solve(LengthReject(tokens=9), Run(FakeModel(), params=Params(temperature=0.0)))
    with pytest.raises(UsageError, match="needs tokens"):
        spec.strategy("length-reject")
    with pytest.raises(UsageError, match="tokens must be at least 1"):
        spec.strategy("length-reject:0")
    assert solve(LengthReject(tokens=48), Run(FakeModel(), params=Params(max_tokens=48)), PROBLEM).best is not None


def test_the_shortest_whole_replies_vote() -> None:
    for seed in range(10):
        run = Run(FakeModel(), params=Params(max_tokens=30), seed=seed)
        outcome = solve(Shortest(16, 5), run)
        whole = [sample for sample in outcome.candidates if sample.finish is Finish.STOP]
        ranked = sorted(whole, key=lambda sample: sample.cost.output_tokens or 0)[:5]
        letters = [sample.text[-1] for sample in ranked if sample.text]
        assert {answer: letters.count(answer) for answer, _ in outcome.tally} == dict(outcome.tally)
        assert sum(weight for _, weight in outcome.tally) == len(letters)
        assert (len(outcome.candidates), outcome.notes["length"]) == (16, "tokens")
        assert outcome.notes["longest"] == ranked[-1].cost.output_tokens


def test_without_tokens_the_shortest_are_those_with_the_fewest_characters() -> None:
    class Silent(FakeModel):
        def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
            sample = super()._draw(prompt, params, draw)
            text = "answer: z" if draw.number == 3 else "a longer way to say it, answer: y" + 40 * "."
            return replace(sample, text=text, reasoning="so", cost=replace(sample.cost, output_tokens=None))

    outcome = solve(Shortest(6, 1), Run(Silent(), params=Params(max_tokens=48)))
    assert (outcome.answer, outcome.notes["length"], outcome.notes["longest"]) == ("z", "characters", 11)
