"""Monte-Carlo tree search: the bound, where it looks, what it backs up, and that it is linear in its nodes."""

import math
import random
from collections import Counter

import pytest

from mull import AnswerKind, Draw, Params, Problem, Prompt, Run
from mull.strategies.mcts import AbMcts, Arm, Beta, Mcts, TreeNode, uct
from mull.strategies.stepwise import Branch
from mull.testing import LineModel, StubVerifier, solve

PROBLEM = Problem("p", Prompt.user("q"), AnswerKind.TEXT)


def branch() -> Branch:
    return Branch(PROBLEM.prompt)


def run_of(model: LineModel, verifier: StubVerifier, max_tokens: int = 100) -> Run:
    return Run(model, verifier=verifier, params=Params(max_tokens=max_tokens))


def test_the_bound_by_hand() -> None:
    root = TreeNode(branch(), visits=10, total=5.0)
    child = TreeNode(branch(), root, visits=4, total=3.0)
    unknown = TreeNode(branch(), root)
    assert uct(child, 1.0) == pytest.approx(0.75 + math.sqrt(math.log(10) / 4))
    assert uct(child, 0.0) == 0.75
    assert uct(unknown, 1.0) == pytest.approx(0.5 + math.sqrt(math.log(10)))


def test_rewards_are_backed_up_to_the_root() -> None:
    search = Mcts(n=8, width=2)
    root = TreeNode(branch())
    steps = [branch(), branch()]
    for step, value in zip(steps, (0.25, None), strict=True):
        step.score = step.score.__class__(value)
    search.expand(root, steps)
    assert (root.visits, root.total) == (1, 0.25)
    deep = branch()
    deep.score = deep.score.__class__(1.0)
    search.expand(root.children[0], [deep])
    assert (root.visits, root.total) == (2, 1.25)
    assert (root.children[0].visits, root.children[0].mean) == (2, 0.625)
    assert root.children[1].mean is None


def test_a_subtree_with_nothing_left_to_expand_is_left_alone() -> None:
    """Replies of one line: the root closes after one expansion, although more steps were allowed."""
    model = LineModel(length=1)
    outcome = solve(Mcts(n=100, width=4), run_of(model, StubVerifier(lambda reply: 0.5)), PROBLEM)
    assert len(model.seen) == 4
    assert len(outcome.candidates) == 4


def test_it_looks_where_the_reward_is() -> None:
    """One first line of four leads to reward: most of the other steps are made below it."""
    model = LineModel(length=6)
    verifier = StubVerifier(lambda reply: 1.0 if reply.startswith("0.2") else 0.0)
    solve(Mcts(n=80, width=4, explore=0.3, value="score"), run_of(model, verifier), PROBLEM)
    below = Counter(prompt.prefix[:3] for prompt, _, _ in model.seen if prompt.prefix)
    assert below["0.2"] > 0.8 * sum(below.values())
    solve(Mcts(n=80, width=4, explore=1e6, value="score"), run_of(wide := LineModel(length=6), verifier), PROBLEM)
    even = Counter(prompt.prefix[:3] for prompt, _, _ in wide.seen if prompt.prefix)
    assert max(even.values()) - min(even.values()) <= 8


@pytest.mark.parametrize(
    "strategy", [Mcts(n=10, width=4), AbMcts(n=10), Mcts(n=10, width=4, batch=3), AbMcts(n=10, batch=4)]
)
def test_no_more_steps_than_n_and_every_roll_out_stands_for_election(strategy: Mcts | AbMcts) -> None:
    model = LineModel(length=5)
    outcome = solve(strategy, run_of(model, StubVerifier(lambda reply: 0.5)), PROBLEM)
    steps = [params for _, params, _ in model.seen if params.stop]
    assert len(steps) == 10
    assert len(outcome.candidates) == 10
    assert all(sample.reply.count("\n") == 4 for sample in outcome.candidates)


def test_a_roll_out_is_the_reward() -> None:
    """The verifier sees whole replies only."""
    verifier = StubVerifier(lambda reply: 0.5, split=None)
    solve(Mcts(n=12, width=3), run_of(LineModel(length=5), verifier), PROBLEM)
    assert {reply.count("\n") for call in verifier.seen for reply in call} == {4}


def test_leaves_of_a_batch_are_different() -> None:
    model = LineModel(length=6)
    solve(Mcts(n=4 + 16, width=4, batch=4, value="score"), run_of(model, StubVerifier(lambda reply: 0.5)), PROBLEM)
    second = Counter(prompt.prefix for prompt, params, _ in model.seen if prompt.prefix and params.stop)
    assert second == {f"0.{i}\n": 4 for i in range(4)}


def test_thompson_sampling_goes_wider_or_deeper_by_what_it_has_learnt() -> None:
    rng = random.Random(0)

    def share_of_root(wider: Beta, deeper: Beta) -> float:
        root = Arm(branch(), wider=wider, deeper=deeper)
        root.open_children.append(Arm(branch(), root))
        return sum(AbMcts.select(root, rng) is root for _ in range(1000)) / 1000

    assert share_of_root(Beta(), Beta()) == pytest.approx(0.5, abs=0.08)  # 5 standard errors
    assert share_of_root(Beta(9, 1), Beta(1, 9)) > 0.95
    assert share_of_root(Beta(1, 9), Beta(9, 1)) < 0.05


def test_what_adaptive_branching_learns_goes_to_the_right_places() -> None:
    root = Arm(branch())
    child = Arm(branch(), root)
    grandchild = Arm(branch(), child)
    grandchild.learn(1.0)
    assert (grandchild.here.a, child.wider.a, child.here.a, root.deeper.a) == (1.5, 1.5, 1.5, 1.5)
    assert (root.wider.a, child.deeper.a) == (0.5, 0.5)
    child.learn(0.0)
    assert (root.wider.b, child.here.b, root.deeper.b) == (1.5, 1.5, 0.5)


def test_the_work_is_linear_in_the_nodes() -> None:
    """Counted, not timed: how often the bound is asked for, for each node, does not grow with the tree."""
    counts = {}
    for n in (200, 800):
        asked = 0

        def bound(node: TreeNode, explore: float) -> float:
            nonlocal asked
            asked += 1
            return uct(node, explore)

        import mull.strategies.mcts as module

        original, module.uct = module.uct, bound
        try:
            model = LineModel(line=lambda i, prefix, draw: f"{draw.seed % 1000}", length=40)
            verifier = StubVerifier(lambda reply: int(reply.split("\n")[-1]) / 1000)
            solve(Mcts(n=n, value="score"), run_of(model, verifier, 10**4), PROBLEM)
        finally:
            module.uct = original
        counts[n] = asked / n
    assert counts[800] < 2 * counts[200]


def test_a_draw_has_its_number() -> None:
    """Two expansions of equal texts: all draws of that question are different ones."""
    model = LineModel(line=lambda i, prefix, draw: "same", length=3)
    solve(Mcts(n=20, width=2, value="score"), run_of(model, StubVerifier(lambda reply: 0.5)), PROBLEM)
    made = [(prompt, params, draw) for prompt, params, draw in model.seen]
    assert len(made) == len({(prompt, params, draw.number) for prompt, params, draw in made})
    assert all(isinstance(draw, Draw) for _, _, draw in made)
