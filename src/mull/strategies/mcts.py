"""Monte-Carlo tree search over steps: UCT with a fixed width, and adaptive branching by Thompson sampling."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from mull.errors import UnknownNameError, UsageError
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.stepwise import (
    Branch,
    Pick,
    Search,
    check_options,
    flat,
    rank,
    selection_of,
)
from mull.types import Need, Outcome, Problem, Scaling, Selection

Value = Literal["score", "rollout"]


@dataclass(slots=True, eq=False)
class TreeNode:
    """A branch in the tree with the statistics of the rewards below it."""

    branch: Branch
    parent: TreeNode | None = None
    children: list[TreeNode] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    is_closed: bool = False
    """Whether no leaf below it can be expanded."""

    @property
    def mean(self) -> float | None:
        """The mean reward below it; `None` before the first visit."""
        return self.total / self.visits if self.visits else None

    def lineage(self) -> Iterable[TreeNode]:
        """The node and its ancestors, the root last."""
        node: TreeNode | None = self
        while node is not None:
            yield node
            node = node.parent

    def close(self) -> None:
        """Closes the node, and every ancestor without another open child."""
        for node in self.lineage():
            if not all(child.is_closed for child in node.children):
                return
            node.is_closed = True


def uct(node: TreeNode, explore: float) -> float:
    """The upper confidence bound of a child (Kocsis and Szepesvari 2006): mean + explore * sqrt(ln N / n).

    A child without a reward has its parent's mean.
    """
    parent = node.parent
    assert parent is not None
    mean = node.mean if node.visits else parent.mean
    return (mean or 0.0) + explore * math.sqrt(math.log(max(parent.visits, 1)) / max(node.visits, 1))


def check_is_value(value: str) -> None:
    """Raises `UnknownNameError` unless `value` is `score` or `rollout`."""
    if value not in get_args(Value):
        raise UnknownNameError("value", value, get_args(Value))


def needs_of(value: Value) -> frozenset[Need]:
    """The needs of a search: roll-outs are complete replies, which any verifier can score; steps need a PRM."""
    whole = frozenset({Need.VERIFIER, Need.CONTINUATION})
    return whole | {Need.STEPS} if value == "score" else whole


async def judge(search: Search, branches: Sequence[Branch], value: Value) -> None:
    """Rewards new branches: by their own score, or by that of one roll-out to the end, which is kept."""
    if value == "score":
        await search.score(branches)
    else:
        going = [branch for branch in branches if not branch.is_over]
        ends = dict(zip(going, await search.finish(going), strict=True))
        await search.score([*(b for b in branches if b.is_over), *flat(ends.values())])
        for branch in going:
            for end in ends[branch]:
                branch.score = end.score
                search.complete.append(end)
                search.decided("rollout", [branch], end=end.sample, value=end.value)
    search.complete += [branch for branch in branches if branch.is_over]


@dataclass(frozen=True)
class Mcts:
    """Monte-Carlo tree search (UCT) over at most `n` steps (Kocsis and Szepesvari 2006; Hao et al. 2023).

    Expands the leaf reached by the highest bounds from the root by `width` steps at once. The reward of a step is the
    score of one roll-out from it to the end, which is also a candidate for the answer, or the step's own score
    (`value=score`), which needs a verifier of steps and enough steps for the tree to reach the end of replies. `batch`
    leaves are expanded in parallel; pending ones count as visits without a reward.
    """

    draws = Scaling.TREE

    n: int = 16
    width: int = 4
    explore: float = 1.0
    value: Value = "rollout"
    batch: int = 1
    depth: int = 40
    pick: Pick = "weighted"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, width=self.width, batch=self.batch, depth=self.depth)
        check_options(self.pick, self.separator)
        check_is_value(self.value)
        if not self.explore >= 0:
            raise UsageError(f"explore must be 0 or more, not {self.explore}")

    @property
    def needs(self) -> frozenset[Need]:
        return needs_of(self.value)

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        root, left = TreeNode(search.root), self.n
        leaves: list[Branch] = [search.root]
        with run.reserve(problem.prompt):
            while left and not root.is_closed:
                chosen = self.select(root, left)
                wanted = [(node.branch, min(self.width, left - i * self.width)) for i, node in enumerate(chosen)]
                grown = await search.grow(wanted)
                if not any(grown):
                    break
                await judge(search, flat(grown), self.value)
                for node, steps in zip(chosen, grown, strict=True):
                    left -= len(steps)
                    self.expand(node, steps)
                leaves += [step for step in flat(grown) if not step.is_over]
        return await search.outcome(self.pick, sorted(leaves[1:], key=rank)[:1])

    def select(self, root: TreeNode, left: int) -> list[TreeNode]:
        """Up to `batch` open leaves, as many as the remaining steps can expand."""
        chosen: list[TreeNode] = []
        while len(chosen) < min(self.batch, -(-left // self.width)) and not root.is_closed:
            node = root
            while node.children:
                node = max((c for c in node.children if not c.is_closed), key=lambda c: uct(c, self.explore))
            chosen.append(node)
            for above in node.lineage():
                above.visits += 1
            node.close()
        for node in chosen:
            for above in node.lineage():
                above.visits -= 1
                above.is_closed = False
        return chosen

    def expand(self, node: TreeNode, steps: Sequence[Branch]) -> None:
        """Adds new steps below a leaf and propagates their rewards to its ancestors."""
        node.children = [TreeNode(step, node, is_closed=step.is_over or step.depth >= self.depth) for step in steps]
        for child in node.children:
            if child.branch.value is not None:
                for above in child.lineage():
                    above.visits += 1
                    above.total += child.branch.value
        node.close()


@dataclass(slots=True)
class Beta:
    """Beta posterior of rewards in [0, 1], from Jeffreys' prior."""

    a: float = 0.5
    b: float = 0.5

    def observe(self, reward: float) -> None:
        self.a += reward
        self.b += 1 - reward

    def sample(self, rng: random.Random) -> float:
        return rng.betavariate(self.a, self.b)


@dataclass(slots=True, eq=False)
class Arm:
    """A node of adaptive branching, with reward posteriors for adding a child, descending, and choosing this node."""

    branch: Branch
    parent: Arm | None = None
    open_children: list[Arm] = field(default_factory=list)
    wider: Beta = field(default_factory=Beta)
    deeper: Beta = field(default_factory=Beta)
    here: Beta = field(default_factory=Beta)

    def learn(self, reward: float) -> None:
        """Records a new node's reward: as going wider at its parent, as going deeper at all ancestors above."""
        self.here.observe(reward)
        if self.parent is not None:
            self.parent.wider.observe(reward)
            node = self.parent
            while node.parent is not None:
                node.here.observe(reward)
                node.parent.deeper.observe(reward)
                node = node.parent


@dataclass(frozen=True)
class AbMcts:
    """Adaptive branching Monte-Carlo tree search with node aggregation, AB-MCTS-A (Inoue et al. 2025, 2503.04412).

    At every node, Thompson sampling chooses between a new child and descending, and then among the existing children.
    Rewards have Beta posteriors from Jeffreys' prior. At most `n` steps, `batch` of them in parallel. `value` is as in
    `Mcts`, but with scored steps nothing favours depth in this search.
    """

    draws = Scaling.TREE

    n: int = 16
    value: Value = "rollout"
    batch: int = 1
    depth: int = 40
    pick: Pick = "weighted"
    separator: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, batch=self.batch, depth=self.depth)
        check_options(self.pick, self.separator)
        check_is_value(self.value)

    @property
    def needs(self) -> frozenset[Need]:
        return needs_of(self.value)

    @property
    def selects(self) -> Selection:
        return selection_of(self.pick)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        search = await Search.start(problem, run, self.separator)
        root, left = Arm(search.root), self.n
        leaves: list[Branch] = []
        with run.reserve(problem.prompt):
            while left:
                chosen = Counter(self.select(root, run.rng) for _ in range(min(self.batch, left)))
                grown = await search.grow([(arm.branch, n) for arm, n in chosen.items()])
                steps = flat(grown)
                if not steps:
                    break
                await judge(search, steps, self.value)
                for arm, children in zip(chosen, grown, strict=True):
                    for step in children:
                        self.add(arm, step)
                left -= len(steps)
                leaves += [step for step in steps if not step.is_over]
        return await search.outcome(self.pick, sorted(leaves, key=rank)[:1])

    @staticmethod
    def select(root: Arm, rng: random.Random) -> Arm:
        """The node to add a child to."""
        node = root
        while node.open_children and node.deeper.sample(rng) > node.wider.sample(rng):
            node = max(node.open_children, key=lambda child: child.here.sample(rng))
        return node

    def add(self, arm: Arm, step: Branch) -> None:
        """Adds a new step below an arm; a step that cannot continue becomes no arm, but its reward is recorded."""
        child = Arm(step, arm)
        if step.value is not None:
            child.learn(step.value)
        if not step.is_over and step.depth < self.depth:
            arm.open_children.append(child)
