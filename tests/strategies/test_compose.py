"""Strategies made of strategies: when a cascade goes on, what it reuses, how an ensemble votes, what attempts are."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mull import Budget, Cost, Outcome, Problem, Run, Sample, Stopped, Strategy, UsageError, spec
from mull.run.trace import Trace
from mull.strategies.compose import Cascade, Ensemble, On, Repeat
from mull.strategies.parallel import Best, Majority, Single
from mull.testing import PROBLEM, FakeModel, FakeVerifier, StubVerifier, assert_within, fake_run, solve


@dataclass(frozen=True)
class Sure:
    """Draws n and answers with the first, as sure as it is told to be."""

    confidence: float | None
    n: int = 2
    seen: list[tuple[str, list[Sample]]] = field(default_factory=list, compare=False)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, self.n)
        self.seen.append((run.model.name, samples))
        best = samples[0] if samples else None
        return Outcome(best, None if best is None else best.text, tuple(samples), confidence=self.confidence)


class Strict(FakeVerifier):
    """Another verifier than the run's."""

    @property
    def identity(self) -> str:
        return "strict"


@dataclass(frozen=True)
class Says:
    """One draw, whose answer it gives out as this one."""

    answer: str | None

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt)
        if self.answer is None or not samples:
            return Outcome(None, None, tuple(samples))
        said = Sample(problem.prompt, f"answer: {self.answer}", samples[0].finish, answer=self.answer)
        return Outcome(said, self.answer, (said,))


def other() -> FakeModel:
    return FakeModel(label="other")


@pytest.mark.parametrize(("confidence", "stages"), [(0.8, 1), (0.7, 1), (0.69, 2), (None, 2), (0.0, 2)])
def test_a_cascade_goes_on_where_the_first_is_not_sure_or_cannot_tell(confidence: float | None, stages: int) -> None:
    then = Sure(0.5)
    outcome = solve(Cascade(Sure(confidence), then, other(), bar=0.7), fake_run())
    assert outcome.notes["stages"] == stages
    assert [model for model, _ in then.seen[1:]] == ["other"] * (stages - 1), "the first call is the rehearsal"
    assert len(outcome.candidates) == 2 * stages
    if confidence is None:
        assert outcome.notes["escalated"] == "the confidence is unknown"
    elif stages == 2:
        assert outcome.notes["escalated"] == f"confidence {confidence:.2f} is below 0.7"


def test_on_one_model_the_second_stage_starts_from_the_draws_of_the_first() -> None:
    run, then = fake_run(), Sure(None, n=5)
    outcome = solve(Cascade(Sure(None, n=3), then, bar=1), run)
    assert [s.draw for s in outcome.candidates] == [0, 1, 2, 3, 4]
    assert run.spent.calls == 5
    on_two, twice = fake_run(), Sure(None, n=5)
    outcome = solve(Cascade(Sure(None, n=3), twice, other(), bar=1), on_two)
    assert [s.draw for s in outcome.candidates] == [0, 1, 2, 0, 1, 2, 3, 4]
    assert on_two.spent.calls == 8


def test_what_was_scored_for_the_first_stage_is_not_paid_for_again_in_the_second() -> None:
    verifier, strict = FakeVerifier(), Strict()
    run = fake_run(verifier=verifier, seed=3)
    outcome = solve(Cascade(Best(4), Best(6), bar=1), run)
    assert outcome.notes["stages"] == 2, "with this seed none of the first four has a score of 1"
    assert run.spent.calls == 6 + 6
    assert len(verifier.seen) == 6
    run = fake_run(verifier=verifier, seed=3)
    solve(Cascade(Best(4), On(Best(6), verifier=strict), bar=1), run)
    assert run.spent.calls == 6 + 4 + 6, "another verifier has not seen them yet"


def test_what_a_cascade_did_not_use_goes_to_nobody_else() -> None:
    """A draw that has voted in one member of an ensemble must not vote in the next."""
    cascade = Cascade(Sure(None, n=4), Sure(None, n=1), bar=1)
    last = Sure(None, n=2)
    run = fake_run()
    solve(Ensemble((cascade, last)), run)
    assert [s.draw for s in last.seen[-1][1]] == [4, 5]


def test_a_cascade_has_as_many_stages_as_are_nested() -> None:
    third = FakeModel(label="third")
    inner = Cascade(Sure(0.2), Sure(0.3), third, bar=0.9)
    run = fake_run(trace=Trace(PROBLEM))
    outcome = solve(Cascade(Sure(0.1), inner, other(), bar=0.9), run)
    assert outcome.notes["stages"] == 3
    assert outcome.notes["escalated"] == "confidence 0.10 is below 0.9; confidence 0.20 is below 0.9"
    assert outcome.confidence == 0.3
    assert run.trace is not None
    notes = [event for event in run.trace.events if event.event == "note"]
    assert [(note.what, note.details["confidence"]) for note in notes] == [("escalated", 0.1), ("escalated", 0.2)]


def test_where_the_budget_ends_the_cheap_answer_stands() -> None:
    run = fake_run(budget=Budget(calls=3))
    outcome = solve(Cascade(Majority(3), Majority(8), other(), bar=1), run)
    assert outcome.answer is not None
    assert outcome.stopped is Stopped.BUDGET
    assert_within(run)


def test_scores_go_with_the_draws_that_have_them() -> None:
    outcome = solve(Cascade(Majority(2), Best(3), other(), bar=1), fake_run(verifier=StubVerifier(lambda text: 0.5)))
    assert [score.value for score in outcome.scores] == [None, None, 0.5, 0.5, 0.5]
    assert outcome.scores[0].why == "it was not scored"


@pytest.mark.parametrize(
    "strategy",
    [
        Cascade(Majority(2), Majority(2), FakeModel(label="unpriced", usd_per_token=None), bar=1),
        Ensemble((Majority(2), Repeat(On(Single(), FakeModel(label="unpriced", usd_per_token=None))))),
    ],
)
def test_a_model_without_a_price_is_refused_before_the_first_draw(strategy: Strategy) -> None:
    model = FakeModel()
    run = fake_run(model, budget=Budget(usd=1))
    with pytest.raises(UsageError, match="unpriced has no known price in usd"):
        solve(strategy, run)
    assert (model.seen, run.spent) == ([], Cost())


def test_a_verifier_that_is_missing_deep_inside_is_missed_before_the_first_draw() -> None:
    model = FakeModel()
    strategy = Cascade(Majority(2), Ensemble((Single(), Repeat(spec.strategy("beam:n=4,width=2")))))
    with pytest.raises(UsageError, match="verifier"):
        solve(strategy, Run(model))
    assert not model.seen


def vote(*answers: str | None, weights: tuple[float, ...] = ()) -> Outcome:
    return solve(Ensemble(tuple(map(Says, answers)), weights), fake_run())


def test_an_ensemble_is_one_vote_of_its_members() -> None:
    outcome = vote("a", "b", "a")
    assert (outcome.answer, outcome.tally) == ("a", (("a", 2.0), ("b", 1.0)))
    assert outcome.confidence == pytest.approx(2 / 3)
    assert len(outcome.candidates) == 3


def test_weights_decide_and_members_without_an_answer_do_not_vote() -> None:
    outcome = vote("a", "b", "a", weights=(1.0, 2.5, 1.0))
    assert (outcome.answer, outcome.confidence) == ("b", pytest.approx(2.5 / 4.5))
    outcome = vote(None, "b", None, weights=(9.0, 1.0, 9.0))
    assert (outcome.answer, outcome.confidence, outcome.notes["silent"]) == ("b", 1.0, 2)
    assert vote(None, None).best is None


def test_the_best_of_an_ensemble_is_from_the_heaviest_member_that_says_so() -> None:
    outcome = vote("a", "a", weights=(1.0, 2.0))
    assert outcome.best is outcome.candidates[1]


def test_members_on_several_models_share_one_budget() -> None:
    run = fake_run(budget=Budget(calls=9))
    solve(Ensemble((Majority(4), On(Majority(4), other()), On(Best(4), verifier=FakeVerifier()))), run)
    assert run.spent.calls == 9
    assert_within(run)


def test_attempts_draw_anew_and_their_choices_vote() -> None:
    run = fake_run()
    outcome = solve(Repeat(Majority(3), n=4), run)
    assert [s.draw for s in outcome.candidates] == list(range(12))
    assert sum(weight for _, weight in outcome.tally) == 4
    assert outcome.scores == ()


@pytest.mark.parametrize(
    ("pick", "value", "answer"),
    [
        ("best", lambda reply: 0.9 if reply.endswith("b") else 0.4, "b"),
        ("weighted", lambda reply: 0.5 if reply.endswith("b") else 0.4, "a"),
        ("best", lambda reply: None, None),
    ],
)
def test_attempts_are_chosen_by_their_scores(
    pick: str, value: Callable[[str], float | None], answer: str | None
) -> None:
    """Three attempts say a, b and a; only what they settled on is scored."""
    stub = StubVerifier(value)
    said = iter("aba")

    @dataclass(frozen=True)
    class Each:
        async def __call__(self, problem: Problem, run: Run) -> Outcome:
            if run.budget.calls == 0:
                return Outcome(None, None)
            return await Says(next(said))(problem, run)

    outcome = solve(Repeat(Each(), n=3, pick=pick), fake_run(verifier=stub))  # type: ignore[arg-type]
    assert outcome.answer == answer
    assert sum(map(len, stub.seen)) == 3


def test_a_part_that_stopped_early_is_told_and_a_ceiling_more_so() -> None:
    easy = spec.strategy("repeat:of=(adaptive:n=16),n=2")
    assert solve(easy, fake_run()).stopped is Stopped.EARLY
    assert solve(easy, fake_run(budget=Budget(calls=5))).stopped is Stopped.BUDGET


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cascade(Single(), Single(), bar=0), "bar is a confidence"),
        (lambda: On(Single()), "on needs a model, a verifier or a judge"),
        (lambda: Ensemble(()), "members must be at least 1"),
        (lambda: Ensemble((Single(),), (1.0, 2.0)), "an ensemble of 1 needs as many weights, not 2"),
        (lambda: Ensemble((Single(),), (-1.0,)), "weights must be 0 or more"),
        (lambda: Repeat(Single(), n=0), "n must be at least 1"),
        (lambda: Repeat(Single(), pick="bets"), "did you mean 'best'"),  # type: ignore[arg-type]
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], Strategy], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@dataclass(frozen=True)
class Careless:
    """Takes the first of its draws without asking whether there is one."""

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, 2)
        return Outcome(samples[0], samples[0].text, tuple(samples))


async def careless(problem: Problem, run: Run) -> Outcome:
    samples = await run.draw(problem.prompt, 2)
    return Outcome(samples[0], samples[0].text, tuple(samples), confidence=1 / len(samples))


@pytest.mark.parametrize(("inner", "name"), [(Careless(), "Careless"), (careless, "careless")])
@pytest.mark.parametrize(
    "whole",
    [
        lambda inner: Repeat(inner, 2),
        lambda inner: Cascade(Single(), inner),
        lambda inner: Ensemble((Single(), inner)),
        lambda inner: On(Repeat(inner, 2), other()),
    ],
)
def test_a_strategy_that_cannot_do_without_draws_is_named(
    whole: Callable[[Strategy], Strategy], inner: Strategy, name: str
) -> None:
    run = fake_run()
    with pytest.raises(UsageError, match=f"^{name} fails on a budget of no draws .IndexError: .* range"):
        solve(whole(inner), run)
    assert run.spent.calls == 0
