"""Chains of revisions: what is shown, what is said, and which answer is taken."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from mull import AnswerKind, Finish, Outcome, Params, Problem, Prompt, Run, Sample, Score, Stopped, UsageError, spec
from mull.errors import UnknownNameError
from mull.lab import grid
from mull.lab.oracle import Oracle
from mull.models.embedded import Nano
from mull.strategies.revise import AGAIN, Revise
from mull.tasks.synthetic import ChainTask
from mull.testing import FakeModel, StubVerifier, solve
from mull.types import Calls, Cost, Draw, Verifier

PROBLEM = Problem("p", Prompt.user("Which letter?"), AnswerKind.TEXT)


@dataclass
class Says(FakeModel):
    """Answers `says(how many answers it is shown, draw)`, and a critique where it is asked for one."""

    says: Callable[[int, int], str] = lambda n, draw: "abcdefgh"[n]

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        shown = prompt.prefix.count("Wait") + sum(m.role == "assistant" for m in prompt.messages)
        shown = shown or prompt.messages[-1].content.count("An answer to this was:")
        text = f"answer: {self.says(shown, draw.number)}"
        if prompt.messages[-1].content.startswith("Check this"):
            text = "Step 2 is wrong."
        elif prompt.prefix:
            text = f"thought {shown}\n</think>\n{text}"
        elif self.says.__name__ == "thinks":
            text = f"<think>\nthought {shown}\n</think>\n{text}"
        return Sample(prompt, text, Finish.STOP, Cost(1, 5, 4, 0, 0, 1.0, 0.0, 0.0), draw.number, draw.seed)


def revised(strategy: Revise, model: Says, verifier: Verifier | None = None) -> Outcome:
    return solve(strategy, Run(model, verifier=verifier, params=Params(max_tokens=64)), PROBLEM)


def test_each_answer_is_drawn_with_the_last_few_in_view() -> None:
    model = Says()
    revised(Revise(n=4, chain=4, context=2), model)
    turns = [[m.content for m in prompt.messages] for prompt, _, _ in model.seen]
    assert turns[0] == ["Which letter?"]
    assert turns[1] == ["Which letter?", "answer: a", AGAIN]
    # The fourth sees the second and third only.
    assert turns[3] == ["Which letter?", "answer: b", AGAIN, "answer: c", AGAIN]


def test_without_a_verifier_all_answers_of_all_chains_are_pooled() -> None:
    """Two chains: a, b, b and a, a, b. Not the last answers, of which both are b: a 3, b 3 would tie; here a has 4."""
    model = Says(says=lambda n, draw: "a" if n < 2 else "b")
    outcome = revised(Revise(n=6, chain=3), model)
    assert (outcome.answer, dict(outcome.tally)) == ("a", {"a": 4.0, "b": 2.0})


def test_with_a_verifier_chains_elect_their_best_and_these_are_elected_again() -> None:
    """Pooled, `a` would win by weight (.9 + .5 + .5); chain by chain b wins its own chain, and c's solution is best."""
    said = {(0, 0): "a", (1, 0): "a", (0, 1): "c", (1, 1): "a"}
    values = {"a": 0.5, "c": 0.9}
    model = Says(says=lambda n, draw: said[(n, draw)])
    judge = StubVerifier(lambda reply: values[reply[-1]])
    outcome = revised(Revise(n=4, chain=2), model, judge)
    # Heads: `a` of .5 and `c` of .9. All answers pooled would have given a by 1.5 to .9.
    assert (outcome.answer, dict(outcome.tally)) == ("c", {"c": 0.9, "a": 0.5})


def test_a_critique_is_written_by_the_model_and_shown() -> None:
    model = Says()
    revised(Revise(n=2, chain=2, feedback="critique"), model)
    assert len(model.seen) == 3
    assert model.seen[-1][0].messages[-1].content == f"Step 2 is wrong.\n\n{AGAIN}"


def test_what_tests_say_is_shown_and_a_chain_that_passes_ends() -> None:
    @dataclass
    class Tests(StubVerifier):
        async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
            return [
                Score(float(s.reply[-1] == "b"), why="" if s.reply[-1] == "b" else "test 1 failed") for s in samples
            ]

    model = Says()
    outcome = revised(Revise(n=4, chain=4, feedback="tests"), model, Tests(lambda reply: None))
    assert outcome.answer == "b"
    assert len(model.seen) == 2
    assert "It was run on tests. test 1 failed" in model.seen[1][0].messages[-1].content


def test_a_score_is_shown_and_unknown_is_not() -> None:
    model = Says()
    revised(Revise(n=3, chain=3, feedback="score"), model, StubVerifier(lambda r: 0.25 if r.endswith("a") else None))
    assert "gives it 0.25 of 1" in model.seen[1][0].messages[-1].content
    assert model.seen[2][0].messages[-1].content == AGAIN


def test_answers_are_shown_as_text_or_in_the_thought() -> None:
    model = Says()
    revised(Revise(n=2, chain=2, show="text"), model)
    assert "An answer to this was:\n\n```\nanswer: a\n```" in model.seen[1][0].messages[0].content

    def thinks(n: int, draw: int) -> str:
        return "abc"[n]

    model = Says(says=thinks)
    outcome = revised(Revise(n=3, chain=3, show="thought"), model)
    assert model.seen[2][0].prefix == "<think>\nthought 0\nWait\nthought 1\nWait\n"
    assert [c.reply[-1] for c in outcome.candidates] == ["a", "b", "c"]


def test_the_built_in_models_see_earlier_answers_in_their_thought() -> None:
    problem = Problem("chain", Prompt.user("b:a+45;a:9;c:b-30;c?"), AnswerKind.NUMBER)
    outcome = solve(Revise(n=2, chain=2), Run(Nano(), params=Params(max_tokens=100)), problem)
    assert [c.prompt.prefix.count("Wait\n") >= i for i, c in enumerate(outcome.candidates)] == [True, True]
    with pytest.raises(UsageError, match="cannot read feedback=score"):
        solve(Revise(n=2, chain=2, feedback="score"), Run(Nano(), verifier=StubVerifier(lambda r: 0.5)), problem)


def test_an_oracle_ends_a_chain_at_the_first_right_answer_and_is_marked() -> None:
    task = ChainTask(3, seed=11)
    plans = {"revise": Revise(n=4, chain=4, feedback="oracle"), "plain": Revise(n=4, chain=4)}

    async def both() -> grid.Table:
        model, params = Nano(), Params(max_tokens=200)
        bound = await grid.run_plan(
            grid.Plan(task, model, {"revise": plans["revise"]}, verifier=Oracle(task), params=params),
            None,
            n_problems=3,
        )
        plain = await grid.run_plan(
            grid.Plan(task, model, {"plain": plans["plain"]}, params=params), None, n_problems=3
        )
        for cell in bound["revise"]:
            n = len(cell.outcome.candidates)
            assert n == 4 or (cell.candidates[n - 1].correct, cell.outcome.stopped) == (True, Stopped.EARLY)
            assert cell.outcome.notes["oracle"] == 1.0
        return grid.tabulate(task, model, {**plain, **bound})

    table = asyncio.run(both())
    plain, bound = table.rows
    assert plain.accuracy is not None
    assert (bound.accuracy, bound.ci95) == (None, None)
    assert bound.oracle is not None
    assert table.pairs == []


def test_gold_is_in_no_feedback_but_the_oracles() -> None:
    task = ChainTask(3)
    for strategy in (Revise(n=2, chain=2), Revise(n=2, chain=2, feedback="score")):
        with pytest.raises(UsageError, match="feedback=oracle and an oracle need each other"):
            revised(strategy, Says(), Oracle(task))
    with pytest.raises(UsageError, match="needs a verifier"):
        revised(Revise(n=2, chain=2, feedback="tests"), Says())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("revise:n=6,chain=4", "n must be a multiple of chain=4, not 6: take 4 or 8"),
        ("revise:chain=0", "chain must be at least 1"),
        ("revise:context=0", "context must be at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec.strategy(text)
    with pytest.raises(UnknownNameError):
        spec.strategy("revise:feedback=praise")
