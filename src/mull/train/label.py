"""Automatic step labels: how often completions of a solution's prefix reach the right answer.

`math_shepherd` rolls out every prefix (Wang et al. 2023, arXiv 2312.08935); `OmegaPRM` finds the first wrong step by
binary search in a tree of prefixes and selects which prefix to search next (Luo et al. 2024, arXiv 2406.06592).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from mull.errors import UsageError
from mull.replies import steps as steps_
from mull.run import Run
from mull.types import Cost, Finish, Problem, Prompt, Sample

Right = Callable[[Sample], Awaitable[bool | None]]
"""Whether a complete reply gives the right answer; `None` if unknown."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One solution and the labels of its prefixes; prefix i ends with step i.

    `hits[i]` of `rollouts[i]` completions of that prefix gave the right answer (0 of 0: none was made). `hard[i]` says
    whether any completion did, counting the solution itself, or what monotonicity implies; `None` is unknown.
    """

    problem: str
    prompt: str
    steps: tuple[str, ...]
    hits: tuple[int, ...]
    rollouts: tuple[int, ...]
    hard: tuple[int | None, ...]
    correct: bool

    @property
    def soft(self) -> tuple[float | None, ...]:
        """The share of completions that were right; `None` if there are none."""
        return tuple(h / n if n else None for h, n in zip(self.hits, self.rollouts, strict=True))


@dataclass(slots=True)
class PrefixNode:
    """A prefix of `depth` steps, and the completions that were drawn from it."""

    prefix: tuple[str, ...]
    hits: int = 0
    rollouts: int = 0
    wrong: list[Sample] = field(default_factory=list)
    right: list[Sample] = field(default_factory=list)
    visits: int = 0

    @property
    def value(self) -> float | None:
        """The Monte Carlo estimate of the prefix's value, MC in the papers."""
        return self.hits / self.rollouts if self.rollouts else None


class Roller:
    """Completes prefixes of one problem and caches the results."""

    def __init__(self, problem: Problem, run: Run, right: Right, separator: str, revision: str = "") -> None:
        if run.model.refuses(Prompt((), prefix=" "), run.params) is not None:
            raise UsageError(
                f"{run.model.name} cannot continue a partial reply, which roll-outs need: "
                "label with a model that can, such as nano"
            )
        self.problem, self.run, self.right, self.separator, self.revision = problem, run, right, separator, revision
        self.nodes: dict[str, PrefixNode] = {}

    def node(self, prefix: Sequence[str]) -> PrefixNode:
        """The node of a prefix, created if it is new."""
        return self.nodes.setdefault("".join(prefix), PrefixNode(tuple(prefix)))

    async def roll(self, prefix: Sequence[str], k: int) -> PrefixNode:
        """The node of a prefix with `k` completions, or fewer if a ceiling ended them.

        A completion that begins with a revision is excluded: it may correct the prefix, so it is no evidence for it.
        """
        node = self.node(prefix)
        missing = k - node.rollouts
        params = self.run.params
        if self.revision and prefix:
            params = replace(params, stop=(*params.stop, self.revision))
        if missing > 0:
            for sample in await self.run.draw(self.problem.prompt.extend("".join(prefix)), missing, params):
                is_right = await self.right(sample)
                if is_right is None or sample.finish in (Finish.ERROR, Finish.STOP_STRING):
                    continue
                node.rollouts += 1
                node.hits += is_right
                (node.right if is_right else node.wrong).append(sample)
        return node

    def split(self, sample: Sample) -> tuple[str, ...]:
        return tuple(steps_.split(sample.reply, self.separator))

    def proven(self, pieces: Sequence[str], is_right: bool) -> int:
        """The first step whose prefix a solution confirms: all steps of a right one, from its last revision on."""
        if not is_right:
            return len(pieces)
        return max((i for i, piece in enumerate(pieces) if self.revision and self.revision in piece), default=0)


async def math_shepherd(
    problem: Problem,
    run: Run,
    right: Right,
    *,
    solutions: int = 4,
    k: int = 8,
    separator: str = "\n",
    revision: str = "",
) -> list[Labelled]:
    """Draws solutions and completes every prefix of each `k` times (Math-Shepherd).

    The last step's label is the solution's own grade. `revision` is the text with which a model takes back what it
    wrote: completions that contain it are left out. Raises `UsageError` if the model cannot continue a reply.
    """
    roller = Roller(problem, run, right, separator, revision)
    labelled = []
    for solution in await run.draw(problem.prompt, solutions):
        is_right = await right(solution)
        pieces = roller.split(solution)
        if is_right is None or not pieces:
            continue
        nodes = await asyncio.gather(*(roller.roll(pieces[:i], k) for i in range(1, len(pieces))))
        hits = (*(node.hits for node in nodes), int(is_right))
        rollouts = (*(node.rollouts for node in nodes), 1)
        own = roller.proven(pieces, is_right)
        hard = tuple(
            1 if h or i >= own else 0 if n else None for i, (h, n) in enumerate(zip(hits, rollouts, strict=True))
        )
        labelled.append(Labelled(problem.id, _text(problem), pieces, hits, rollouts, hard, is_right))
    return labelled


@dataclass(frozen=True)
class OmegaPRM:
    """The tree search of OmegaPRM with the paper's constants; each visited prefix gets `k` completions.

    `searches` is the largest number of binary searches per problem. A boundary at which all `k` completions failed
    gets `recheck` further ones, since a prefix of value p fails k times by chance with probability (1 - p)^k.
    `revision`: as in `math_shepherd`.
    """

    k: int = 8
    searches: int = 8
    alpha: float = 0.5
    beta: float = 0.9
    length: int = 500
    c_puct: float = 0.125
    recheck: int = 8
    separator: str = "\n"
    revision: str = ""

    def quality(self, value: float, n_tokens: float) -> float:
        """Q(s, r): prefers long completions that went wrong, from a prefix of high value."""
        return float(self.alpha ** (1 - value) * self.beta ** (n_tokens / self.length))

    def bonus(self, visits: int, total_visits: int) -> float:
        """U(s): the exploration bonus of rarely visited prefixes."""
        return self.c_puct * math.sqrt(total_visits) / (1 + visits)

    async def __call__(self, problem: Problem, run: Run, right: Right) -> list[Labelled]:
        roller = Roller(problem, run, right, self.separator, self.revision)
        root = await roller.roll((), self.k)
        pool = [(root, sample) for sample in root.wrong] if root.hits else []
        searched: list[Sample] = []
        for _ in range(self.searches):
            if not pool:
                break
            total = sum(node.visits for node in {id(node): node for node, _ in pool}.values())
            node, sample = max(pool, key=lambda entry: self._priority(entry[0], entry[1], total))
            pool = [entry for entry in pool if entry[1] is not sample]
            node.visits += 1
            known = set(roller.nodes)
            await self._search(roller, sample, len(node.prefix))
            searched.append(sample)
            for text, new in roller.nodes.items():
                if text not in known and new.hits and new.rollouts:
                    pool += [(new, wrong) for wrong in new.wrong]
        right_ones = [sample for known_node in roller.nodes.values() for sample in known_node.right]
        return [
            *(self._labelled(roller, sample, is_right=False) for sample in searched),
            *(self._labelled(roller, sample, is_right=True) for sample in right_ones),
        ]

    def _priority(self, node: PrefixNode, sample: Sample, total: int) -> float:
        n_tokens = sample.cost.output_tokens
        return self.quality(node.value or 0.0, len(sample.text) if n_tokens is None else n_tokens) + self.bonus(
            node.visits, total
        )

    async def _search(self, roller: Roller, sample: Sample, depth: int) -> None:
        """Halves the wrong completion until the first step without a right completion is found."""
        pieces = roller.split(sample)
        low, high = depth, len(pieces)  # right answers follow the prefix of `low` steps, none that of `high`
        while high - low > 1:
            middle = (low + high) // 2
            node = await roller.roll(pieces[:middle], self.k)
            if node.hits == 0 and node.rollouts and self.recheck:
                node = await roller.roll(pieces[:middle], self.k + self.recheck)
            if node.rollouts == 0:
                return
            if node.hits:
                low = middle
            else:
                high = middle

    def _labelled(self, roller: Roller, sample: Sample, *, is_right: bool) -> Labelled:
        """The labels of a reply's prefixes from the tree: right up to the last prefix with a right completion, wrong
        from the first without one."""
        pieces = roller.split(sample)
        nodes = [roller.nodes.get("".join(pieces[:i])) for i in range(1, len(pieces))]
        hits = (*(node.hits if node else 0 for node in nodes), int(is_right))
        rollouts = (*(node.rollouts if node else 0 for node in nodes), 1)
        own = roller.proven(pieces, is_right)
        good = max((i for i, h in enumerate(hits) if h), default=-1)
        bad = next((i for i, (h, n) in enumerate(zip(hits, rollouts, strict=True)) if n and not h and i > good), None)
        hard = tuple(
            1 if i >= own or (i <= good and not is_right) or h else 0 if bad is not None and i >= bad else None
            for i, h in enumerate(hits)
        )
        return Labelled(roller.problem.id, _text(roller.problem), pieces, hits, rollouts, hard, is_right)


def _text(problem: Problem) -> str:
    return problem.prompt.question


@dataclass(frozen=True, slots=True)
class Agreement:
    """Labels compared with the true steps: counts of steps, and of wrong solutions whose first error was found."""

    steps: int
    agreed: int
    false_right: int
    false_wrong: int
    solutions: int
    first_error_found: int

    @property
    def share(self) -> float | None:
        return self.agreed / self.steps if self.steps else None

    @property
    def first_error_share(self) -> float | None:
        return self.first_error_found / self.solutions if self.solutions else None


def agreement(labelled: Sequence[Labelled], truths: Sequence[Sequence[bool | None]]) -> Agreement:
    """Compares hard labels with the truth of each step; steps that assert nothing are left out.

    A prefix is true if no step in it is wrong: a label says what the prefix can still lead to.
    """
    n = agreed = false_right = false_wrong = solutions = found = 0
    for one, truth in zip(labelled, truths, strict=True):
        first = first_wrong(truth)
        for i, (label, claim) in enumerate(zip(one.hard, truth, strict=True)):
            if label is None or claim is None:
                continue
            is_right = first is None or i < first
            n += 1
            agreed += (label == 1) == is_right
            false_right += label == 1 and not is_right
            false_wrong += label == 0 and is_right
        if first is not None and not one.correct:
            solutions += 1
            claims = [i for i, claim in enumerate(truth) if claim is not None]
            found += next((i for i in claims if one.hard[i] == 0), None) == first
    return Agreement(n, agreed, false_right, false_wrong, solutions, found)


def first_wrong(truth: Sequence[bool | None]) -> int | None:
    """Index of the first false step; `None` if there is none."""
    return next((i for i, claim in enumerate(truth) if claim is False), None)


def labels_per_million(labelled: Sequence[Labelled], cost: Cost) -> float | None:
    """Known hard labels per million generated tokens; `None` if the tokens are unknown or 0."""
    n = sum(label is not None for one in labelled for label in one.hard)
    return 1e6 * n / cost.tokens if cost.tokens else None
