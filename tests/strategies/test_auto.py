"""`auto`: what it spends, what it reuses, what it refuses, and what it does where nobody taught it anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from mull import spec, testing
from mull.allocate import policy_file
from mull.errors import UsageError
from mull.run import Run
from mull.run.trace import NoteEvent, ScoreEvent, Trace
from mull.strategies.auto import BIGGER, Auto
from mull.testing import PROBLEM, FakeModel, FakeVerifier, LineModel, StubVerifier, fake_run, solve
from mull.types import AnswerKind, Budget, Cost, Params, Problem, Stopped

FAKE = Path(__file__).parents[1] / "data" / "policy.toml"


def in_bin(bin: int, folder: Path) -> Auto:
    """`auto` with a policy that puts every problem into one bin."""
    policy = policy_file.read(FAKE)
    path = folder / f"bin-{bin}.toml"
    edges = tuple(1.0 - 0.001 * i if i < bin else 0.001 - 0.0001 * i for i in range(3))
    policy_file.write(path, replace(policy, edges=edges))
    return Auto(policy=str(path))


OPTIONS = ["stop", "weighted:n=8", "rebase:n=4", "until-pass:n=16"]


@pytest.mark.parametrize("bin", range(4), ids=OPTIONS)
def test_every_option_keeps_the_laws(bin: int, tmp_path: Path) -> None:
    auto = in_bin(bin, tmp_path)
    testing.check_deterministic(auto)
    testing.check_no_draw_twice(auto)
    testing.check_replay(auto)
    testing.check_resume(auto)
    for budget in testing.BUDGETS:
        testing.check_ceiling(auto, budget)


@pytest.mark.parametrize("bin", range(4), ids=OPTIONS)
def test_it_does_what_its_policy_says_and_tells(bin: int, tmp_path: Path) -> None:
    outcome = solve(in_bin(bin, tmp_path), fake_run())
    assert outcome.notes["option"] == OPTIONS[bin]
    assert outcome.notes["bin"] == bin + 1
    assert outcome.notes["expected"] == [0.9, 0.8, 0.5, 0.15][bin]
    assert 0 < float(outcome.notes["predicted_pass_at_1"] or 0) < 1
    assert outcome.notes.get("advice") == (BIGGER if bin == 3 else None)
    # Both ends are of a rule's own making: enough was seen, or one passed.
    assert (outcome.stopped is Stopped.EARLY) == (bin in (0, 3))


def test_what_was_looked_at_is_drawn_scored_and_paid_once(tmp_path: Path) -> None:
    """With eight draws asked for, two of them looked at: eight draws and scores, as without the look."""
    model, verifier = FakeModel(), FakeVerifier()
    run, plain = fake_run(model, verifier), fake_run()
    outcome = solve(in_bin(1, tmp_path), run)
    other = solve(spec.strategy("weighted:n=8"), plain)
    assert len(model.seen) == len(verifier.seen) == 8
    assert run.spent == plain.spent
    assert (outcome.answer, outcome.tally, outcome.candidates) == (other.answer, other.tally, other.candidates)


def test_a_search_after_the_look_is_paid_on_top(tmp_path: Path) -> None:
    run, plain, pilot = fake_run(), fake_run(), fake_run()
    solve(in_bin(2, tmp_path), run)
    solve(spec.strategy("rebase:n=4"), plain)
    solve(in_bin(0, tmp_path), pilot)
    assert run.spent.tokens == (plain.spent.tokens or 0) + (pilot.spent.tokens or 0)


def test_the_trace_tells_of_the_choice_and_what_each_score_cost_once(tmp_path: Path) -> None:
    auto = in_bin(1, tmp_path)
    trace = Trace(PROBLEM)
    solve(auto, fake_run(trace=trace))
    (note,) = [event for event in trace.events if isinstance(event, NoteEvent)]
    assert note.what == "allocated"
    assert note.details["option"] == "weighted:n=8"
    scores = [scored for event in trace.events if isinstance(event, ScoreEvent) for scored in event.scores]
    assert sum(scored.cost != Cost() for scored in scores) == 8, "those of the look cost nothing when they come again"


def test_a_ceiling_that_ends_a_search_leaves_what_was_looked_at(tmp_path: Path) -> None:
    """Where a search has no reply yet the vote of the look stands."""
    for tokens in range(20, 120, 3):
        run = fake_run(budget=Budget(tokens=tokens))
        outcome = solve(in_bin(2, tmp_path), run)
        if any(sample.text for sample in outcome.candidates):
            assert outcome.best is not None or outcome.answer is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "other@1"}, "learned with the model other@1, not fake"),
        ({"verifier": "other"}, "learned with the verifier other, not fake-verifier"),
        ({"kinds": ("number",)}, "learned with answers of kind number, not choice"),
        ({"temperature": 0.7}, "learned with the temperature 0.7, not 1.0"),
    ],
)
def test_a_policy_of_something_else_is_refused_before_anything_is_spent(
    change: dict[str, object], says: str, tmp_path: Path
) -> None:
    policy = policy_file.read(FAKE)
    path = tmp_path / "other.toml"
    policy_file.write(path, replace(policy, origin=replace(policy.origin, **change)))  # type: ignore[arg-type]
    run = fake_run()
    with pytest.raises(UsageError, match=says):
        solve(Auto(policy=str(path)), run, replace(PROBLEM, kind=AnswerKind.CHOICE))
    assert run.spent == Cost()
    assert solve(Auto(policy=str(path), force=True), run).best is not None


def test_a_policy_of_another_task_is_refused(tmp_path: Path) -> None:
    """The ids of generated problems tell their task; those of a prompt given by hand tell nothing."""
    policy = policy_file.read(FAKE)
    path = tmp_path / "chain.toml"
    policy_file.write(path, replace(policy, origin=replace(policy.origin, tasks=("chain:ops=4", "chain:ops=5"))))
    countdown = replace(PROBLEM, id="countdown:numbers=4/0/7")
    with pytest.raises(UsageError, match="learned with the task chain, not countdown"):
        solve(Auto(policy=str(path)), fake_run(), countdown)
    assert solve(Auto(policy=str(path)), fake_run(), replace(PROBLEM, id="chain:ops=9/0/7")).best is not None
    assert solve(Auto(policy=str(path)), fake_run(), PROBLEM).best is not None


def test_a_policy_learned_with_a_verifier_needs_one_even_if_forced() -> None:
    run = Run(FakeModel(), params=Params(max_tokens=48))
    with pytest.raises(UsageError, match="needs a verifier"):
        solve(Auto(policy=str(FAKE), force=True), run)


def test_bad_options_are_refused_when_it_is_made() -> None:
    for options, says in (
        ({"policy": "nowhere.toml"}, "nowhere.toml: there is no such file"),
        ({"policy": str(FAKE), "budget": 10.0}, "cheapest plan, 46"),
        ({"budget": 10.0}, "needs a policy"),
        ({"level": 1.0}, "level"),
        ({"n": 0}, "at least 1"),
    ):
        with pytest.raises(UsageError, match=says):
            Auto(**options)  # type: ignore[arg-type]


def untrained(value: dict[str, float], budget: Budget | None = None) -> tuple[Run, object]:
    """`auto` without a policy on replies `0`, `1`, `2`, ..., scored as told; others 0.1."""
    model = LineModel(line=lambda i, prefix, draw: f"answer: {draw.number}", length=1)
    verifier = StubVerifier(lambda reply: value.get(reply.removeprefix("answer: "), 0.1))
    run = Run(model, verifier=verifier, params=Params(max_tokens=8), budget=budget)
    return run, solve(Auto(n=12), run, Problem("letters", PROBLEM.prompt, AnswerKind.TEXT))


def test_one_draw_that_the_verifier_is_sure_of_is_enough() -> None:
    run, outcome = untrained({"0": 0.96})
    assert run.spent.calls == 1
    assert outcome.answer == "0"  # type: ignore[attr-defined]
    assert outcome.stopped is Stopped.EARLY  # type: ignore[attr-defined]


def test_a_checker_ends_it_at_the_first_pass() -> None:
    run, outcome = untrained({**{str(i): 0.0 for i in range(12)}, "2": 1.0})
    assert run.spent.calls == 3
    assert outcome.answer == "2"  # type: ignore[attr-defined]


def test_where_nothing_passes_it_makes_all_draws_and_advises_a_bigger_model() -> None:
    run, outcome = untrained({str(i): 0.0 for i in range(12)})
    assert run.spent.calls == 12
    assert outcome.notes["advice"] == BIGGER  # type: ignore[attr-defined]


def test_doubts_of_draws_that_agree_multiply() -> None:
    """Two draws of .8 leave a doubt of .04: with one draw it goes on, with two it stops."""
    model = LineModel(line=lambda i, prefix, draw: "answer: same", length=1)
    run = Run(model, verifier=StubVerifier(lambda reply: 0.8), params=Params(max_tokens=8))
    assert solve(Auto(), run).answer == "same"
    assert run.spent.calls == 2


def test_without_a_verifier_it_votes_until_the_leader_leads() -> None:
    with_policy_of_none = Run(FakeModel(), params=Params(max_tokens=48))
    plain = Run(FakeModel(), params=Params(max_tokens=48))
    auto, adaptive = solve(Auto(n=32), with_policy_of_none), solve(spec.strategy("adaptive:n=32,rule=beta"), plain)
    assert auto.answer == adaptive.answer
    assert auto.tally == adaptive.tally
    assert with_policy_of_none.spent == plain.spent


def test_a_verifier_that_cannot_tell_leaves_a_plain_vote() -> None:
    run = Run(FakeModel(), verifier=StubVerifier(lambda reply: None), params=Params(max_tokens=48))
    outcome = solve(Auto(n=16), run)
    votes = solve(spec.strategy("majority:n=16"), Run(FakeModel(), params=Params(max_tokens=48)))
    assert outcome.tally == votes.tally
