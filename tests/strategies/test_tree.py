"""Searches over steps do what their papers say, step by step, on replies and scores that the tests decide."""

import asyncio
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import (
    AnswerKind,
    Budget,
    Cost,
    Draw,
    Finish,
    MemoryBank,
    Outcome,
    Params,
    Problem,
    Prompt,
    Run,
    Sample,
    Stopped,
    Strategy,
    UsageError,
    spec,
)
from mull.errors import UnknownNameError
from mull.strategies.reject import RejectEarly, survivors
from mull.strategies.stepwise import Search, shares
from mull.strategies.tree import Beam, Dvts, Lookahead, Rebase, StepBon, balanced
from mull.testing import FakeModel, LineModel, StubVerifier, fake_run, solve
from mull.types.refusals import CONTINUES

PROBLEM = Problem("p", Prompt.user("q"), AnswerKind.TEXT)
SEARCHES = [
    "beam:n=8,width=2", "lookahead:n=8,width=2,k=1", "dvts:n=8,width=2", "rebase:n=8", "step-bon:n=4", "mcts:n=16",
    "mcts:n=16,value=score", "ab-mcts:n=16", "ab-mcts:n=16,value=score", "particles:n=8", "reject-early:n=8,chunk=3",
]  # fmt: skip


def search(strategy: Strategy, model: FakeModel, verifier: StubVerifier, **options: object) -> tuple[Outcome, Run]:
    run = Run(model, verifier=verifier, params=Params(max_tokens=100), **options)  # type: ignore[arg-type]
    return solve(strategy, run, PROBLEM), run


def asked(model: FakeModel) -> Counter[str]:
    """How many draws went on from each beginning."""
    return Counter(prompt.prefix for prompt, _, _ in model.seen)


def last_digit(reply: str) -> float:
    """The higher the number of the last draw, the better."""
    return int(reply[-1]) / 10


# Beam


def test_beam_keeps_the_best_and_goes_on_from_each_in_so_many_ways() -> None:
    model, verifier = LineModel(), StubVerifier(last_digit)
    outcome, run = search(Beam(n=6, width=3), model, verifier)
    assert asked(model) == {"": 6, "0.5\n": 3, "0.4\n": 3, "0.5\n1.2\n": 3, "0.4\n1.2\n": 3}
    assert [len(call) for call in verifier.seen] == [6, 6, 6]
    assert len(outcome.candidates) == 6
    assert outcome.stopped is Stopped.COMPLETE
    assert run.spent.calls == 18


@pytest.mark.parametrize(("n", "width", "kept"), [(16, 4, 4), (256, 16, 16)])
def test_beam_keeps_n_over_width(n: int, width: int, kept: int) -> None:
    model = LineModel(length=2)
    search(Beam(n=n, width=width), model, StubVerifier(lambda reply: 0.5))
    assert sum(1 for prefix, count in asked(model).items() if prefix and count == width) == kept
    assert len(model.seen) == 2 * n


def test_the_vote_is_weighted_by_the_scores_unless_another_way_is_asked_for() -> None:
    values = {"A": 0.9, "B": 0.5, "C": 0.45}
    model = LineModel(line=lambda i, prefix, draw: "answer: " + "ABB"[draw.number], length=1)
    scored = StubVerifier(lambda reply: {"A": 0.9, "B": 0.48}[reply[-1]])
    assert values["B"] + values["C"] > values["A"]
    for how, answer in (("weighted", "b"), ("majority", "b"), ("best", "a")):
        outcome, _ = search(Beam(n=3, width=3, pick=how), model, scored)  # type: ignore[arg-type]
        assert outcome.answer == answer
        assert outcome.best is not None


def test_a_reply_that_has_ended_leaves_its_width_to_the_rest() -> None:
    """Three of four end at once: the fourth goes on in the width that is left, so that there are four replies."""

    class Ends(LineModel):
        def _draw(self, prompt, params, draw):  # type: ignore[no-untyped-def]
            sample = super()._draw(prompt, params, draw)
            if not prompt.prefix and draw.number < 3:
                return Sample(prompt, "answer: x", Finish.STOP, sample.cost, draw.number, draw.seed)
            return sample

    for strategy in (Beam(n=8, width=2), Rebase(n=8), Dvts(n=8, width=8)):
        model = Ends(length=3)
        outcome, _ = search(strategy, model, StubVerifier(lambda reply: 0.5))
        levels = Counter(prompt.prefix.count("\n") for prompt, _, _ in model.seen)
        assert levels == {0: 8, 1: 5, 2: 5}, strategy
        assert len(outcome.candidates) == 8


def test_branches_with_the_same_text_go_on_with_different_draws() -> None:
    """Two equal first lines: their continuations are draws 0 to 3 of one question, none of them shared."""
    model = LineModel(line=lambda i, prefix, draw: "same" if i == 0 else f"{draw.number}", length=2)
    outcome, _ = search(Beam(n=4, width=2), model, StubVerifier(lambda reply: 0.5))
    assert sorted(draw.number for prompt, _, draw in model.seen if prompt.prefix) == [0, 1, 2, 3]
    assert sorted(s.text for s in outcome.candidates) == ["0", "1", "2", "3"]
    assert len({s.seed for s in outcome.candidates}) == 4


# Lookahead

PATHS = {"bait": 0.9, "bait\ndead": 0.1, "good": 0.4, "good\nlive": 0.8}


def garden(i: int, prefix: str, draw: Draw) -> str:
    """A tempting first line that leads nowhere, and a plain one that leads on."""
    if i == 0:
        return "bait" if draw.number % 2 == 0 else "good"
    return {"bait\n": "dead", "good\n": "live"}[prefix] if i == 1 else f"answer: {'x' if 'bait' in prefix else 'y'}"


def value_of(reply: str) -> float:
    return PATHS["\n".join(reply.split("\n")[:2])]


def test_lookahead_scores_the_end_of_the_roll_out() -> None:
    """The verifier likes the bait itself and sees one step later that it leads nowhere."""
    by_beam, _ = search(Beam(n=2, width=2), LineModel(line=garden), StubVerifier(value_of))
    verifier = StubVerifier(value_of)
    ahead, _ = search(Lookahead(n=2, width=2, k=1), LineModel(line=garden), verifier)
    assert (by_beam.answer, ahead.answer) == ("x", "y")
    assert verifier.seen[0] == ["bait\ndead", "good\nlive"]


def test_lookahead_of_no_steps_is_beam() -> None:
    beam, _ = search(Beam(n=4, width=2), LineModel(), StubVerifier(last_digit))
    ahead, _ = search(Lookahead(n=4, width=2, k=0), LineModel(), StubVerifier(last_digit))
    assert ahead == beam


def test_a_level_of_lookahead_costs_k_more_draws_for_each_and_they_are_greedy() -> None:
    model = LineModel(length=5)
    search(Lookahead(n=64, width=4, k=3, depth=1), model, StubVerifier(lambda reply: 0.5))
    assert sum(1 for _, params, _ in model.seen if params.stop) == 256
    greedy = [params for prompt, params, _ in model.seen if prompt.prefix and params.stop]
    assert len(greedy) == 3 * 64
    assert {params.temperature for params in greedy} == {0.0}


def test_equal_steps_share_a_roll_out() -> None:
    model = LineModel(line=lambda i, prefix, draw: "same", length=3)
    search(Lookahead(n=8, width=4, k=1, depth=1), model, StubVerifier(lambda reply: 0.5))
    assert sum(1 for prompt, params, _ in model.seen if prompt.prefix and params.stop) == 1


# DVTS and step-wise best-of-n


def test_dvts_trees_never_compete() -> None:
    """All of the second tree is worse than all of the first, and it goes on all the same."""
    model = LineModel()
    outcome, _ = search(Dvts(n=6, width=3), model, StubVerifier(last_digit))
    assert asked(model) == {"": 6, "0.2\n": 3, "0.5\n": 3, "0.2\n1.2\n": 3, "0.5\n1.2\n": 3}
    assert len(outcome.candidates) == 6


def test_dvts_of_one_tree_is_greedy_search() -> None:
    model = LineModel()
    search(Dvts(n=4, width=4), model, StubVerifier(last_digit))
    assert asked(model) == {"": 4, "0.3\n": 4, "0.3\n1.3\n": 4}


def test_step_bon_takes_the_best_step_each_time_and_gives_one_reply() -> None:
    model = LineModel()
    outcome, _ = search(StepBon(n=3), model, StubVerifier(last_digit))
    assert asked(model) == {"": 3, "0.2\n": 3, "0.2\n1.2\n": 3}
    assert [s.reply for s in outcome.candidates] == ["0.2\n1.2\n2.2"]
    assert outcome.confidence == 0.2


# REBASE


@pytest.mark.parametrize(
    ("scores", "width", "counts"),
    [
        ((0.9, 0.7, 0.5, 0.1), 16, [11, 4, 1, 0]),
        ((0.9, 0.8, 0.8, 0.7), 4, [2, 1, 1, 0]),
        ((0.5, None, 0.5), 4, [2, 0, 2]),
    ],
)
def test_rebase_shares(scores: tuple[float | None, ...], width: int, counts: list[int]) -> None:
    assert balanced(scores, width, 0.2) == counts


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 64), st.floats(1e-3, 10))
def test_rebase_conserves_the_width(scores: list[float | None], width: int, temperature: float) -> None:
    counts = balanced(scores, width, temperature)
    assert sum(counts) == width
    assert all(count >= 0 for count in counts)
    by_value = sorted((v, n) for v, n in zip(scores, counts, strict=True) if v is not None)
    assert all(a[1] <= b[1] or a[0] == b[0] for a, b in itertools.pairwise(by_value))


@given(st.floats(0, 1), st.integers(1, 20), st.integers(0, 50))
def test_rebase_treats_equals_alike(score: float, k: int, width: int) -> None:
    for counts in (balanced([score] * k, width, 0.2), balanced([1.0, *[score] * k], width, 0.2)[1:]):
        assert max(counts) - min(counts) <= 1


def test_rebase_shares_what_divides_evenly() -> None:
    """45 that are left for 15 equals are three each: no rounding error of their weights gives one of them four."""
    n_seen = 0
    for hundredths in range(1, 100):
        for width in range(46, 80):
            best, *equals = balanced([1.0, *[1 - hundredths / 100] * 15], width, 0.2)
            if width - best == 45:
                assert equals == [3] * 15
                n_seen += 1
    assert n_seen > 40


def test_rebase_goes_on_by_its_shares() -> None:
    model = LineModel(length=2)
    scores = {"0.0": 0.9, "0.1": 0.7, "0.2": 0.5, "0.3": 0.1}
    verifier = StubVerifier(lambda reply: scores.get(reply, 0.0) if "\n" not in reply else 0.5)
    search(Rebase(n=4, balance=0.2), model, verifier)
    counts = balanced(list(scores.values()), 4, 0.2)
    assert asked(model) == {"": 4, **{f"{text}\n": n for text, n in zip(scores, counts, strict=True) if n}}


# Speculative rejection


def test_the_schedule_of_speculative_rejection() -> None:
    schedule = [100]
    while schedule[-1] > 3:
        schedule.append(survivors(schedule[-1], 0.5))
    assert schedule == [100, 50, 25, 12, 6, 3]
    assert survivors(1, 0.9) == 1


def test_speculative_rejection_stops_the_worst_half() -> None:
    model = LineModel(line=lambda i, prefix, draw: f"{draw.number:02d}" if i == 0 else f"{i}", length=20)
    verifier = StubVerifier(lambda reply: int(reply[:2]) / 100)
    outcome, run = search(RejectEarly(n=16, chunk=4), model, verifier)
    assert [len(call) for call in verifier.seen] == [16, 8, 4, 2, 1]
    assert outcome.best is not None
    assert outcome.best.reply.startswith("15")
    whole, _ = search(spec.strategy("best:n=16"), LineModel(length=20), StubVerifier(lambda reply: 0.5))  # type: ignore[arg-type]
    assert run.spent.output_tokens == 16 * 4 + 8 * 4 + 4 * 4 + 2 * 4 + (40 - 16)
    assert run.spent.output_tokens < sum(s.cost.output_tokens or 0 for s in whole.candidates) / 3


def test_speculative_rejection_ranks_what_has_ended_with_the_rest() -> None:
    """The short reply scores best when it ends: it counts among the survivors, until it is the only one."""

    class Short(LineModel):
        def _draw(self, prompt, params, draw):  # type: ignore[no-untyped-def]
            if not prompt.prefix and draw.number == 0:
                return Sample(prompt, "answer: short", Finish.STOP, self._cost(2), draw.number, draw.seed)
            return super()._draw(prompt, params, draw)

    verifier = StubVerifier(lambda reply: 1.0 if "short" in reply else 0.5)
    outcome, _ = search(RejectEarly(n=8, chunk=4), Short(length=10), verifier)
    assert outcome.answer == "short"
    assert [len(call) for call in verifier.seen] == [8, 3, 1]


# What all of them share


@pytest.mark.parametrize("text", SEARCHES)
@pytest.mark.parametrize("budget", [Budget(calls=n) for n in (1, 3, 9, 20)] + [Budget(tokens=n) for n in (48, 60, 150)])
def test_where_one_draw_is_allowed_there_is_an_answer(text: str, budget: Budget) -> None:
    """The price of one whole draw is kept back, so that a search which is cut short goes on to an end."""
    run = fake_run(budget=budget)
    outcome = solve(spec.strategy(text), run)
    assert outcome.best is not None
    assert outcome.best.finish in (Finish.STOP, Finish.LENGTH)
    assert run.held == Cost()


@pytest.mark.parametrize("text", SEARCHES)
def test_a_step_that_a_ceiling_cuts_is_no_finished_reply(text: str) -> None:
    """A whole reply takes 10 tokens and the price of 20 is kept back, so that every ceiling leaves room for one."""
    for tokens in range(20, 75):
        model = LineModel(length=5, line=lambda i, before, draw: f"step {i}" if i < 4 else f"answer: {draw.number}")
        run = Run(
            model, verifier=StubVerifier(lambda reply: 0.5), params=Params(max_tokens=20), budget=Budget(tokens=tokens)
        )
        outcome = solve(spec.strategy(text), run, PROBLEM)
        assert outcome.answer is not None, tokens
        assert outcome.best is not None
        assert outcome.best.finish is Finish.STOP, tokens
        assert outcome.best.reply.split("\n")[:4] == [f"step {i}" for i in range(4)]
        assert run.spent.tokens <= tokens


@pytest.mark.parametrize("text", SEARCHES)
@pytest.mark.parametrize("budget", [Budget(tokens=200), Budget(calls=25), Budget(usd=2e-4)], ids=str)
def test_a_ceiling_cuts_the_same_whatever_arrives_first_and_from_the_bank(text: str, budget: Budget) -> None:
    bank = MemoryBank()
    runs = [
        fake_run(FakeModel(is_shuffled=True), budget=budget, bank=bank),
        fake_run(FakeModel(is_shuffled=False), budget=budget),
        fake_run(FakeModel(dies_after=0), budget=budget, bank=bank),
    ]
    outcomes = [solve(spec.strategy(text), run) for run in runs]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert runs[0].spent == runs[1].spent == runs[2].spent


@pytest.mark.parametrize("text", SEARCHES)
def test_a_deadline_gives_the_best_so_far(text: str) -> None:
    run = fake_run(FakeModel(delay=0.1), budget=Budget(seconds=0.5))  # each would take .9 s or more
    outcome = solve(spec.strategy(text), run)
    assert run.stopped is Stopped.DEADLINE
    assert run.held == Cost()
    if outcome.candidates:
        assert outcome.best is not None


class Mute(FakeModel):
    """A server that cannot go on from the beginning of a reply."""

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return CONTINUES if prompt.prefix else None


@pytest.mark.parametrize("text", SEARCHES)
def test_a_model_that_cannot_go_on_is_refused_before_anything_is_spent(text: str) -> None:
    model = Mute()
    with pytest.raises(UsageError, match="fake cannot continue a partial reply"):
        solve(spec.strategy(text), fake_run(model))
    assert not model.seen


@pytest.mark.parametrize("text", SEARCHES)
def test_a_search_without_a_verifier_is_refused_before_anything_is_spent(text: str) -> None:
    model = FakeModel()
    with pytest.raises(UsageError, match="needs a verifier"):
        solve(spec.strategy(text), Run(model))
    assert not model.seen


@pytest.mark.parametrize("text", ["beam", "lookahead", "dvts", "rebase", "step-bon", "particles", "mcts:value=score"])
def test_a_verifier_of_whole_replies_is_refused_where_steps_are_scored(text: str) -> None:
    model = FakeModel()
    with pytest.raises(UsageError, match="stub scores whole replies only: use a process reward model"):
        solve(spec.strategy(text), Run(model, verifier=StubVerifier(lambda reply: 0.5, split=None)))
    assert not model.seen


@pytest.mark.parametrize("text", ["mcts", "ab-mcts", "reject-early"])
def test_a_verifier_of_whole_replies_is_enough_for_roll_outs_and_rejection(text: str) -> None:
    run = fake_run(verifier=StubVerifier(lambda reply: 0.5, split=None))
    assert solve(spec.strategy(text), run).best is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam:n=10,width=4", "n must be a multiple of the width 4, not 10: take 8 or 12"),
        ("lookahead:n=3,width=4", "n must be a multiple of the width 4, not 3: take 4 or 8"),
        ("dvts:n=7,width=2", "multiple of the width 2"),
        ("lookahead:k=-1", "k must be at least 0"),
        ("beam:separator=", "separator"),
        ("rebase:balance=0", "balance"),
        ("particles:temper=0", "temper"),
        ("reject-early:alpha=1", "alpha"),
        ("mcts:explore=-1", "explore"),
    ],
)
def test_options_that_make_no_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec.strategy(text)


def test_steps_end_where_the_verifier_splits_unless_told_otherwise() -> None:
    for split, separator, ends in (("\n\n", None, "\n\n"), ("\n\n", "\n", "\n"), ("\n", None, "\n")):
        model = FakeModel()
        search(Beam(n=2, width=2, separator=separator), model, StubVerifier(lambda reply: 0.5, split=split))
        assert model.seen[0][1].stop == (ends,)


def test_another_pick_or_value_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'weighted'"):
        spec.strategy("beam:pick=weight")
    with pytest.raises(UnknownNameError, match="'rollout'"):
        spec.strategy("mcts:value=rollouts")
    with pytest.raises(UnknownNameError, match="'majority'"):
        Beam(pick="majorit")  # type: ignore[arg-type]


def test_a_separator_is_spelled_on_the_command_line() -> None:
    built = spec.strategy(r"beam:n=8,separator=\n\n")
    assert built.separator == "\n\n"
    assert spec.describe(spec.STRATEGIES, built) == r"beam:n=8,separator=\n\n"
    assert spec.strategy(spec.describe(spec.STRATEGIES, built)) == built


@pytest.mark.parametrize("text", SEARCHES)
def test_a_reply_is_never_longer_than_max_tokens(text: str) -> None:
    """The tokens of all its steps together, not of each."""
    model = LineModel(length=50, per_line=4)
    run = Run(model, verifier=StubVerifier(lambda reply: 0.5), params=Params(max_tokens=11))
    outcome = solve(spec.strategy(text), run, PROBLEM)
    assert outcome.candidates
    for sample in outcome.candidates:
        assert 4 * len(sample.reply.split()) <= 11


def test_separators_in_a_row_end_one_step() -> None:
    """A blank line is no step, is not scored, and what follows goes on with the same branch."""
    model = LineModel(line=lambda i, prefix, draw: "" if i in (0, 2, 3) else f"line {i}", length=6)
    run = Run(model, verifier=StubVerifier(lambda reply: 0.5), params=Params(max_tokens=100))

    async def levels() -> list[str]:
        steps = Search(PROBLEM, run, "\n")
        branch, texts = steps.root, []
        while not branch.is_over:
            ((branch,),) = await steps.grow([(branch, 1)])
            assert branch.sample is not None
            texts.append(branch.sample.text)
        assert branch.depth == len(texts)
        return texts

    assert asyncio.run(levels()) == ["line 1", "line 4", "line 5"]


def test_a_model_that_writes_nothing_but_blank_lines_comes_to_an_end() -> None:
    model = LineModel(line=lambda i, prefix, draw: "", length=10**6)
    outcome, _ = search(Beam(n=2, width=2), model, StubVerifier(lambda reply: 0.5))
    assert len(model.seen) <= 2 * 50 + 2
    assert outcome.answer is None


def test_scores_that_are_not_known_rank_last_and_are_no_zeros() -> None:
    model = LineModel()
    values: dict[str, float | None] = {"0.0": None, "0.1": 0.0, "0.2": None, "0.3": 0.3}
    outcome, _ = search(Beam(n=4, width=2), model, StubVerifier(lambda reply: values.get(reply)))
    assert set(asked(model)) >= {"", "0.3\n", "0.1\n"}
    assert "0.0\n" not in asked(model)
    # All whole replies are unscored: they are counted, and no score is made up.
    assert outcome.answer is not None
    assert [s.value for s in outcome.scores] == [None] * 4


@given(st.integers(0, 100), st.integers(1, 20))
def test_shares_are_even(n: int, k: int) -> None:
    parts = shares(n, k)
    assert sum(parts) == n
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


@pytest.mark.parametrize(
    "text",
    [
        "beam:n=16,width=4", "dvts:n=16,width=4", "rebase:n=16", "step-bon:n=8", "particles:n=16", "mcts:n=64",
        "mcts:n=160,value=score", "ab-mcts:n=64", "reject-early:n=64,chunk=2",
    ],
)  # fmt: skip
def test_a_good_verifier_finds_what_a_draw_finds_seldom(text: str) -> None:
    """Each of four lines is right with probability 0.5: one draw in 16. The verifier tells right from wrong lines."""

    def value(reply: str) -> float:
        return 0.05 if "bad" in reply or reply.endswith("no") else 0.95

    n_solved = 0
    for problem in range(20):

        def line(i: int, prefix: str, draw: Draw, problem: int = problem) -> str:
            right = random.Random(f"{problem}/{prefix}/{draw.seed}").random() < 0.5
            if i == 3:
                return "answer: yes" if right and "bad" not in prefix else "answer: no"
            return "ok" if right else "bad"

        strategy = spec.strategy(text if text.startswith("step") else f"{text},pick=best")
        outcome, _ = search(strategy, LineModel(line=line, length=4), StubVerifier(value))
        n_solved += outcome.answer == "yes"
    # Sixteen draws and a perfect choice would solve 0.64 of them.
    assert n_solved >= 17
